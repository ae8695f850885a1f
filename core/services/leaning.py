"""Whether somebody gives a label more often than the others do: on posts that chance drew, so that all had the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from sqlalchemy import Engine

from core.domain import Actor, Label
from core.permissions import Permission, require
from core.prevalence import Share, share_of, surplus
from db import figures
from db.engine import read


class Lean(StrEnum):
    """Against the others: more, less, no difference beyond chance, or too few posts to tell."""

    more = "more"
    less = "less"
    alike = "alike"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Leaning:
    """posts: that chance drew and the person judged. shares: of each label. leans: against all others together."""

    name: str
    posts: int
    shares: dict[Label, Share]
    leans: dict[Label, Lean]


@dataclass(frozen=True, slots=True)
class LeaningReport:
    """everybody: shares over all people's judgements. people: by name."""

    posts: int
    everybody: dict[Label, Share]
    people: tuple[Leaning, ...]


def leanings(engine: Engine, actor: Actor, *, rng: np.random.Generator) -> LeaningReport:
    """Intervals are of 95 %, by family. A person is held against the others, not against a mean with them in it."""
    require(actor, Permission.review)
    with read(engine) as conn:
        found = figures.judged_by_chance(conn)
    names = np.array([name for name, _family, _label in found])
    families = np.array([family for _name, family, _label in found], dtype=np.int64)
    labels = np.array([label for _name, _family, label in found], dtype=np.int64)

    def shares(chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> dict[Label, Share]:
        return {label: share_of(labels[chosen] == label, families[chosen], rng=rng) for label in Label}

    people = []
    for name in sorted(set(names.tolist())):
        is_own = names == name
        own, others = shares(is_own), shares(~is_own)
        leans = {label: _lean(own[label], others[label]) for label in Label}
        people.append(Leaning(name, int(is_own.sum()), own, leans))
    return LeaningReport(len(found), shares(np.full(len(found), True)), tuple(people))


def _lean(own: Share, others: Share) -> Lean:
    told = surplus(own, others)
    if told is None:
        return Lean.unknown
    low, high = told.interval
    return Lean.more if low > 0 else Lean.less if high < 0 else Lean.alike
