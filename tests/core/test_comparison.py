"""Figures with intervals, and what may be said of two versions."""

from __future__ import annotations

import numpy as np
import pytest

from core.comparison import Verdict, estimates, gaps
from core.domain import LABEL_NAMES
from core.metrics import measure


def units(count: int, *, right: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and what a version says of them that is right so often and otherwise anything."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=count, p=[0.8, 0.1, 0.1])
    said = np.where(rng.random(count) < right, truth, rng.choice(3, size=count))
    return truth, said


def test_figures_are_those_of_the_version_and_lie_in_their_intervals() -> None:
    truth, said = units(400, right=0.8, seed=1)
    sizes = np.random.default_rng(2).integers(1, 5, size=400)
    found = estimates(truth, said, families=np.arange(400), sizes=sizes.astype(float), rng=np.random.default_rng(3))
    expected = measure(truth.tolist(), said.tolist(), sizes=sizes.tolist())
    assert found["macro_f1"].value == pytest.approx(expected.macro_f1)
    assert found["accuracy"].value == pytest.approx(expected.accuracy)
    for name, of_class in zip(LABEL_NAMES, expected.per_class, strict=True):
        assert found[f"{name} recall"].value == pytest.approx(of_class.recall)
        assert found[f"{name} precision"].value == pytest.approx(of_class.precision)
    for figure in found.values():
        assert figure.interval is not None
        assert figure.interval[0] <= figure.value <= figure.interval[1]


def test_near_copies_make_no_figure_surer() -> None:
    truth, said = units(60, right=0.7, seed=4)
    alone = estimates(truth, said, families=np.arange(60), sizes=np.ones(60), rng=np.random.default_rng(5))
    copied = estimates(
        truth.repeat(20),
        said.repeat(20),
        families=np.arange(60).repeat(20),
        sizes=np.ones(1_200),
        rng=np.random.default_rng(5),
    )
    assert copied["macro_f1"].interval == pytest.approx(alone["macro_f1"].interval)


@pytest.mark.slow
def test_interval_holds_the_true_recall_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = np.full(80, 2)
        said = np.where(rng.random(80) < 0.7, 2, 0)
        found = estimates(truth, said, families=np.arange(80), sizes=np.ones(80), rng=rng)["violation recall"].interval
        assert found is not None
        held += found[0] <= 0.7 <= found[1]
    assert 180 <= held <= 199


def test_better_and_worse_are_said_only_beyond_the_interval() -> None:
    truth, good = units(600, right=0.9, seed=6)
    _, poor = units(600, right=0.4, seed=6)
    options = {"families": np.arange(600), "sizes": np.ones(600)}
    assert gaps(truth, poor, good, rng=np.random.default_rng(7), **options)["macro_f1"].verdict is Verdict.better
    assert gaps(truth, good, poor, rng=np.random.default_rng(7), **options)["macro_f1"].verdict is Verdict.worse
    almost = good.copy()
    almost[:3] = (almost[:3] + 1) % 3
    assert gaps(truth, good, almost, rng=np.random.default_rng(7), **options)["macro_f1"].verdict is Verdict.cannot_tell


def test_same_version_beside_itself_differs_in_nothing() -> None:
    truth, said = units(50, right=0.6, seed=8)
    found = gaps(truth, said, said, families=np.arange(50), sizes=np.ones(50), rng=np.random.default_rng(9))
    assert {gap.value for gap in found.values()} == {0.0}
    assert {gap.verdict for gap in found.values()} == {Verdict.cannot_tell}


def test_of_one_family_nothing_can_be_told() -> None:
    truth, said = np.array([0, 1, 2]), np.array([2, 2, 2])
    found = gaps(
        truth, said, truth, families=np.zeros(3, dtype=np.int64), sizes=np.ones(3), rng=np.random.default_rng(1)
    )
    assert (found["accuracy"].interval, found["accuracy"].verdict) == (None, Verdict.cannot_tell)


def test_label_that_does_not_occur_has_no_recall_and_drags_no_mean_down() -> None:
    truth, said = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    found = estimates(truth, said, families=np.arange(4), sizes=np.ones(4), rng=np.random.default_rng(1))
    assert np.isnan(found["violation recall"].value)
    assert found["macro_f1"].value == 1
