"""How well people agree: measured on posts that two of them judged without knowing of one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from typing import TypeVar

import numpy as np
from sqlalchemy import Engine

from core.agreement import Counts, Scale, alpha, alpha_interval, alpha_of_label
from core.domain import Actor, Label, SecondOpinion
from core.permissions import Permission, require
from db import seconds
from db.engine import read
from db.seconds import Judgement

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Measured:
    """Alpha over so many posts; None where too few were judged twice, or one label was used throughout."""

    posts: int
    alpha: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people, the posts that both judged, and how many of them alike."""

    names: tuple[str, str]
    same: int
    measured: Measured


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """by_label: each label against the others. by_week: by the Monday of the later judgement, oldest first."""

    nominal: Measured
    ordinal: Measured
    by_label: dict[Label, Measured]
    by_pair: tuple[Pair, ...]
    by_week: tuple[tuple[date, Measured], ...]


def agreement(engine: Engine, actor: Actor, *, why: SecondOpinion, rng: np.random.Generator) -> AgreementReport:
    """Intervals are of 95 %, bootstrapped by family; pairs with the most posts in common come first."""
    require(actor, Permission.review)
    with read(engine) as conn:
        found = seconds.judgements(conn, why=why)
    by_post = _grouped(found, lambda said: said.post_id)
    doubled = [group for group in by_post.values() if len({said.source for said in group}) > 1]
    counts, families = _counts(doubled)
    return AgreementReport(
        nominal=_measured(counts, families, Scale.nominal, rng),
        ordinal=_measured(counts, families, Scale.ordinal, rng),
        by_label={label: Measured(len(counts), alpha_of_label(counts, label)) for label in Label},
        by_pair=tuple(sorted(_pairs(doubled), key=lambda pair: (-pair.measured.posts, pair.names))),
        by_week=tuple(
            (monday, Measured(len(group), alpha(_counts(group)[0], scale=Scale.ordinal)))
            for monday, group in sorted(_grouped(doubled, _week_of).items())
        ),
    )


def _grouped(values: Iterable[Value], key: Callable[[Value], Key]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return groups


def _counts(groups: Sequence[Sequence[Judgement]]) -> tuple[Counts, Counts]:
    """Judgements by post and label, (n_posts, n_labels), and the posts' families."""
    counts = np.zeros((len(groups), len(Label)), dtype=np.int64)
    for row, group in enumerate(groups):
        for said in group:
            counts[row, said.label] += 1
    return counts, np.array([group[0].family for group in groups], dtype=np.int64)


def _measured(counts: Counts, families: Counts, scale: Scale, rng: np.random.Generator) -> Measured:
    return Measured(len(counts), alpha(counts, scale=scale), alpha_interval(counts, families, scale=scale, rng=rng))


def _pairs(groups: Sequence[Sequence[Judgement]]) -> Iterable[Pair]:
    together: dict[tuple[str, str], list[tuple[Judgement, Judgement]]] = defaultdict(list)
    for group in groups:
        for one, other in combinations(sorted(group, key=lambda said: said.source), 2):
            together[one.source, other.source].append((one, other))
    for names, both in together.items():
        counts, _pairs = _counts(both)
        same = sum(one.label is other.label for one, other in both)
        yield Pair(names, same, Measured(len(both), alpha(counts, scale=Scale.ordinal)))


def _week_of(group: Sequence[Judgement]) -> date:
    last = max(said.decided_at for said in group).date()
    return last - timedelta(days=last.weekday())
