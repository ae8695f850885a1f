"""How well people agree: measured on posts that two of them judged without knowing of one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import numpy as np
from sqlalchemy import Connection, Engine

from core.agreement import Counts, Scale, against_others, alpha, alpha_interval
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
    """by_label: each label against the others. by_week: by the Monday of the later judgement, oldest first.

    Of a family of near-copies two people judge one post; what was decided along has the first opinion only.
    """

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
    doubled = opinions_of_two(found)
    whole = _counts(doubled)
    return AgreementReport(
        nominal=_measured(*whole, Scale.nominal, rng),
        ordinal=_measured(*whole, Scale.ordinal, rng),
        by_label={label: _measured_of_label(*whole, label, rng) for label in Label},
        by_pair=tuple(sorted(_pairs(doubled, rng), key=lambda pair: (-pair.measured.posts, pair.names))),
        by_week=tuple(
            (monday, _measured(*_counts(group), Scale.ordinal, rng))
            for monday, group in sorted(_grouped(doubled, _week_of).items())
        ),
    )


def agreement_between(
    conn: Connection, since: datetime, until: datetime, *, rng: np.random.Generator
) -> tuple[Measured, Measured]:
    """(of the posts whose second opinion came in then, of all until then): alpha, ordinal, of what chance drew."""
    both = opinions_of_two(seconds.judgements(conn, why=SecondOpinion.drawn))
    before = [pair for pair in both if max(said.decided_at for said in pair) < until]
    then = [pair for pair in before if max(said.decided_at for said in pair) >= since]
    return _measured(*_counts(then), Scale.ordinal, rng), _measured(*_counts(before), Scale.ordinal, rng)


def opinions_of_two(found: Iterable[Judgement]) -> list[list[Judgement]]:
    """What two people said of each post that two have judged; found: of many posts."""
    return [both for said in _grouped(found, lambda said: said.post_id).values() if (both := first_two(said))]


def first_two(said: Sequence[Judgement]) -> list[Judgement]:
    """What two people said of a post before either could know of the other; empty while fewer have.

    said: of one post, oldest first. What stood when the second opinion came in counts: corrections after that may
    follow what the other said, and a lead's word is said with both in view.
    """
    standing: dict[int, Judgement] = {}
    for judgement in said:
        standing.pop(judgement.supersedes or 0, None)
        if judgement.label is not None and not judgement.settles:
            standing[judgement.id] = judgement
        if len({each.source for each in standing.values()}) > 1:
            return list(standing.values())
    return []


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
            if said.label is not None:
                counts[row, said.label] += 1
    return counts, np.array([group[0].family for group in groups], dtype=np.int64)


def _measured(counts: Counts, families: Counts, scale: Scale, rng: np.random.Generator) -> Measured:
    return Measured(len(counts), alpha(counts, scale=scale), alpha_interval(counts, families, scale=scale, rng=rng))


def _measured_of_label(counts: Counts, families: Counts, label: Label, rng: np.random.Generator) -> Measured:
    return _measured(against_others(counts, label), families, Scale.nominal, rng)


def _pairs(groups: Sequence[Sequence[Judgement]], rng: np.random.Generator) -> Iterable[Pair]:
    together = _grouped(groups, lambda group: tuple(sorted(said.source for said in group)))
    for names, both in together.items():
        same = sum(one.label is other.label for one, other in both)
        yield Pair((names[0], names[1]), same, _measured(*_counts(both), Scale.ordinal, rng))


def _week_of(group: Sequence[Judgement]) -> date:
    last = max(said.decided_at for said in group).date()
    return last - timedelta(days=last.weekday())
