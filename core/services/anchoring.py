"""Whether the model's view leads people: decisions that saw it beside those that were drawn to be blind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from sqlalchemy import Engine

from core.anchoring import Difference, Ids, Labels, Side, compare_sides, measure_side
from core.domain import Actor, Label, ModelView
from core.permissions import Permission, require
from db import anchoring
from db.anchoring import SeenDecision
from db.engine import read


@dataclass(frozen=True, slots=True)
class Measured:
    """seconds: the median that a decision took, where it is known."""

    side: Side
    seconds: float | None


@dataclass(frozen=True, slots=True)
class AnchoringReport:
    """asked: with M, by their own choice, so it can be compared with neither of the others.

    by_label: where the model says that label, with the view and without.
    """

    shown: Measured
    blind: Measured
    asked: Measured
    difference: Difference
    by_label: dict[Label, tuple[Side, Side, Difference]]


def anchoring_report(engine: Engine, actor: Actor, *, rng: np.random.Generator) -> AnchoringReport:
    """Over every decision since the policy first showed the model's view."""
    require(actor, Permission.review)
    with read(engine) as conn:
        found = anchoring.seen_decisions(conn)
    by_view = {view: [each for each in found if each.view is view] for view in ModelView}
    shown, blind = by_view[ModelView.shown], by_view[ModelView.blind]
    return AnchoringReport(
        shown=_measured(shown, rng),
        blind=_measured(blind, rng),
        asked=_measured(by_view[ModelView.asked], rng),
        difference=_difference(shown, blind, rng),
        by_label={label: _of_label(shown, blind, label, rng) for label in Label},
    )


def _measured(found: Sequence[SeenDecision], rng: np.random.Generator) -> Measured:
    seconds = [each.seconds for each in found if each.seconds is not None]
    return Measured(_side(found, rng), median(seconds) if seconds else None)


def _of_label(
    shown: Sequence[SeenDecision], blind: Sequence[SeenDecision], label: Label, rng: np.random.Generator
) -> tuple[Side, Side, Difference]:
    with_view, without = ([each for each in side if each.model is label] for side in (shown, blind))
    return _side(with_view, rng), _side(without, rng), _difference(with_view, without, rng)


def _side(found: Sequence[SeenDecision], rng: np.random.Generator) -> Side:
    return measure_side(*_arrays(found), rng=rng)


def _difference(shown: Sequence[SeenDecision], blind: Sequence[SeenDecision], rng: np.random.Generator) -> Difference:
    (said, model, families), (blind_said, blind_model, blind_families) = _arrays(shown), _arrays(blind)
    return compare_sides(said == model, families, blind_said == blind_model, blind_families, rng=rng)


def _arrays(found: Sequence[SeenDecision]) -> tuple[Labels, Labels, Ids]:
    """What people said, what the model said, and families, (n_decisions,) each."""
    columns = [(int(each.said), int(each.model), each.family) for each in found]
    said, model, families = np.array(columns, dtype=np.int64).reshape(-1, 3).T
    return said, model, families
