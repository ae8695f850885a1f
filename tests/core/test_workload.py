"""What thresholds would do: counted as every post would be, estimated with intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Label
from core.thresholds import Thresholds, Verdict
from core.workload import PLACES, Sample, Workload, expected, frontier, nearest, place_of

THRESHOLD = st.sampled_from([*PLACES, None])


def posts(n: int, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels drawn by them."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet((0.5, 0.06, 0.12), size=n)
    return proba, np.minimum((rng.random(n)[:, None] > proba.cumsum(axis=1)).sum(axis=1), 2)


@given(THRESHOLD, THRESHOLD)
def test_posts_are_counted_as_each_would_be_judged(passes: float | None, removes: float | None) -> None:
    proba, _truth = posts(400)
    proba[:3] = (0.97, 0.02, 0.01), (0.05, 0.05, 0.9), (0.3, 0.4, 0.3)  # that stand on a threshold
    chosen = Thresholds(removes, passes)
    counted = Workload.of(proba[:, 0], proba[:, 2]).at(chosen)
    verdicts = chosen.verdicts(proba)
    assert counted == {verdict: (verdicts == verdict).sum() for verdict in Verdict}
    assert [chosen.verdict(row) for row in proba.tolist()] == verdicts.tolist()


def test_a_family_counts_as_often_as_it_has_posts() -> None:
    proba, _truth = posts(50)
    sizes = np.random.default_rng(2).integers(1, 9, size=50)
    whole = Workload.of(np.repeat(proba[:, 0], sizes), np.repeat(proba[:, 2], sizes))
    assert (Workload.of(proba[:, 0], proba[:, 2], sizes.astype(float)).cells == whole.cells).all()


def test_expected_errors_are_the_shares_in_the_sample() -> None:
    proba, truth = posts(2_000)
    sizes = np.random.default_rng(3).integers(1, 4, size=2_000).astype(float)
    chosen = Thresholds(0.8, 0.9)
    told = expected(Sample(proba, truth, sizes), chosen, rng=np.random.default_rng(1))
    passes, removed = proba[:, 0] >= 0.9, (proba[:, 2] >= 0.8)
    is_violation = truth == Label.violation
    missed, wrong = sizes[passes & is_violation].sum(), sizes[removed & ~is_violation].sum()
    for share, value in (
        (told.missed, missed / sizes.sum()),
        (told.wrong, wrong / sizes.sum()),
        (told.missed_of_violations, missed / sizes[is_violation].sum()),
        (told.wrong_of_removed, wrong / sizes[removed].sum()),
    ):
        assert share.value == pytest.approx(value)
        assert share.interval is not None
        assert share.interval[0] < value < share.interval[1]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    chosen = Thresholds(0.8, 0.9)
    proba, truth = posts(100_000, seed=7)
    true = ((proba[:, 0] >= 0.9) & (truth == Label.violation)).mean()
    held = 0
    for start in range(0, 100_000, 1_000):
        part = slice(start, start + 1_000)
        sample = Sample(proba[part], truth[part], np.ones(1_000))
        interval = expected(sample, chosen, rng=np.random.default_rng(start)).missed.interval
        assert interval is not None
        held += interval[0] <= true <= interval[1]
    assert held >= 88


def test_sample_without_an_error_does_not_promise_that_there_is_none() -> None:
    proba = np.tile([0.98, 0.01, 0.01], (300, 1))
    sample = Sample(proba, np.zeros(300, dtype=np.int64), np.ones(300))
    told = expected(sample, Thresholds(None, 0.9), rng=np.random.default_rng(1))
    assert told.missed.value == 0
    assert told.missed.interval == (0.0, pytest.approx(1 - 0.025 ** (1 / 300)))
    assert told.wrong.interval == (0.0, 0.0)  # nothing is removed
    assert np.isnan(told.missed_of_violations.value)
    few_weigh_most = Sample(proba, sample.truth, np.r_[np.full(3, 1_000.0), np.ones(297)])
    interval = expected(few_weigh_most, Thresholds(None, 0.9), rng=np.random.default_rng(1)).missed.interval
    assert interval is not None
    assert interval[1] > 0.5


def test_no_pair_of_thresholds_beats_the_frontier() -> None:
    proba, truth = posts(1_000)
    pool, sample = Workload.of(proba[:, 0], proba[:, 2]), Sample(proba, truth, np.ones(1_000))
    points = frontier(pool, sample)
    left, errors = [p.left for p in points], [p.missed + p.wrong for p in points]
    assert left == sorted(left)
    assert errors == sorted(errors, reverse=True)
    assert points[-1].missed + points[-1].wrong == 0
    rng = np.random.default_rng(4)
    for passes, removes in zip(rng.choice(PLACES, 40), rng.choice(PLACES, 40), strict=True):
        chosen = Thresholds(float(removes), float(passes))
        told = expected(sample, chosen, rng=np.random.default_rng(1))
        at = pool.at(chosen)[Verdict.moderators] / pool.posts
        best = min(e for share, e in zip(left, errors, strict=True) if share <= at + 1e-9)
        assert told.missed.value + told.wrong.value >= best - 1e-9
    for point in points:
        assert pool.at(point.thresholds)[Verdict.moderators] / pool.posts == pytest.approx(point.left)


def test_thresholds_from_elsewhere_go_to_the_nearest_place() -> None:
    assert nearest(0.9004) == 0.9
    assert nearest(0.1) == PLACES[0]
    assert nearest(None) is None
    assert place_of(None) == len(PLACES)
    with pytest.raises(ValueError, match="not in"):
        place_of(0.123)
