"""Versions beside one another: when a candidate counts as worse than the active version."""

from __future__ import annotations

from core.domain import ModelVersion
from core.metrics import measure
from core.services.models import Comparison
from tests.conftest import NOW

TRUTH = [0, 0, 0, 1, 1, 2, 2]


def compared(candidate: list[int], active: list[int] | None) -> Comparison:
    version = ModelVersion(1, "v1", None, "base", "v1", {}, {}, NOW)
    old = None if active is None else measure(TRUTH, active)
    return Comparison(version, None if active is None else version, 7, 0, measure(TRUTH, candidate), old)


def test_candidate_is_worse_when_macro_f1_or_violation_recall_is_lower() -> None:
    misses_a_violation = [0, 0, 0, 1, 1, 2, 0]
    assert set(compared(misses_a_violation, TRUTH).losses) == {"macro-F1", "violation recall"}
    assert compared(misses_a_violation, TRUTH).losses["violation recall"] == 0.5
    better_but_misses_one = compared(misses_a_violation, [2, 2, 2, 0, 0, 2, 2])
    assert set(better_but_misses_one.losses) == {"violation recall"}


def test_candidate_that_is_as_good_or_has_nothing_beside_it_is_not_worse() -> None:
    assert compared(TRUTH, TRUTH).losses == {}
    assert compared(TRUTH, [0] * 7).losses == {}
    assert compared([0] * 7, None).losses == {}
