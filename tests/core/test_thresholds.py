"""Thresholds keep to what they promise on posts that they were not chosen by, and say how sure that is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Label
from core.evaluation import Aside, evaluate
from core.thresholds import FEWEST, MISSED, PRECISION, Thresholds, Verdict, choose, figures, verdicts_out_of_fold


def posts(n: int, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities and labels drawn by them, so that each threshold does what it says on average."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet((0.5, 0.06, 0.12), size=n)
    return proba, np.array([rng.choice(3, p=row) for row in proba])


def shares(proba: np.ndarray, truth: np.ndarray, found: Thresholds) -> tuple[float, float]:
    """Precision of what is removed; share of the violations that pass."""
    verdicts, is_violation = found.verdicts(proba), truth == Label.violation
    removed, passed = verdicts == Verdict.removed, verdicts == Verdict.passes
    right = is_violation[removed].mean() if removed.any() else 0.0
    return right, (passed & is_violation).sum() / is_violation.sum()


def test_chosen_thresholds_keep_to_their_promise_and_none_lower_does() -> None:
    proba, truth = posts(4_000)
    found = choose(proba, truth, np.ones(len(truth)))
    assert found.removes is not None
    assert found.passes is not None
    precision, missed = shares(proba, truth, found)
    assert precision >= PRECISION
    assert missed <= MISSED
    for at in np.unique(proba[:, 2])[np.unique(proba[:, 2]) < found.removes][-50:]:
        assert shares(proba, truth, Thresholds(float(at), None))[0] < PRECISION
    at = proba[:, 0][proba[:, 0] < found.passes].max()
    assert shares(proba, truth, Thresholds(None, float(at)))[1] >= missed


def test_on_new_posts_they_do_about_what_was_told_out_of_fold() -> None:
    proba, truth = posts(6_000)
    sizes, families = np.ones(len(truth)), np.arange(len(truth))
    tried = verdicts_out_of_fold(proba, truth, sizes, families % 5)
    told = figures(tried, truth, sizes, families=families, rng=np.random.default_rng(1))
    precision, missed = shares(*posts(60_000, seed=9), choose(proba, truth, sizes))
    for name, happened in (("precision", precision), ("missed", missed)):
        low, high = told[name]["interval"]  # type: ignore[misc]
        assert low - 0.01 <= happened <= high + 0.01, name


def test_a_post_counts_as_often_as_its_family_has_posts() -> None:
    proba, truth = posts(300, seed=3)
    sizes = np.random.default_rng(3).integers(1, 6, size=300)
    weighed = choose(proba, truth, sizes.astype(float))
    repeated = choose(np.repeat(proba, sizes, axis=0), np.repeat(truth, sizes), np.ones(sizes.sum()))
    assert weighed.passes == repeated.passes


def test_few_texts_or_none_of_a_violation_choose_nothing() -> None:
    proba, truth = posts(FEWEST - 1)
    assert choose(proba, truth, np.ones(len(truth))) == Thresholds(None, None)
    calm = np.tile([0.9, 0.05, 0.05], (200, 1))
    assert choose(calm, np.zeros(200, dtype=int), np.ones(200)) == Thresholds(None, None)
    told = figures(
        Thresholds(None, None).verdicts(calm),
        np.zeros(200, dtype=int),
        np.ones(200),
        families=np.arange(200),
        rng=np.random.default_rng(1),
    )
    assert told["moderators"]["value"] == 1
    assert (told["precision"]["value"], told["missed"]["value"]) == (None, None)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1_000))
def test_every_post_has_one_verdict_and_shares_add_up(removes: float, passes: float, seed: int) -> None:
    proba, truth = posts(40, seed=seed)
    verdicts = Thresholds(removes, passes).verdicts(proba)
    told = figures(verdicts, truth, np.ones(40), families=np.arange(40), rng=np.random.default_rng(seed))
    assert sum(told[name]["value"] for name in ("passed", "moderators", "removed")) == pytest.approx(1)  # type: ignore[misc]


def test_a_version_with_enough_random_texts_carries_thresholds_and_one_without_does_not() -> None:
    proba, truth = posts(2_000)
    logits, ones = np.log(proba + 1e-9), np.ones(2_000)
    aside = Aside(truth, np.arange(2_000), ones, ones.astype(bool))
    trained = np.bincount(truth, minlength=3) / len(truth)
    found = evaluate(logits, aside, trained=trained, seed=1).figures["thresholds"]
    assert 0.5 < found["removes"] < 1  # type: ignore[index]
    assert found["precision"]["value"] == pytest.approx(PRECISION, abs=0.05)  # type: ignore[index]
    few = Aside(truth, np.arange(2_000), ones, ones.astype(bool) & (np.arange(2_000) < 200))
    assert "thresholds" not in evaluate(logits, few, trained=trained, seed=1).figures
