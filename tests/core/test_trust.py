"""Whether probabilities can be believed: against scikit-learn and scipy, and by what each figure must do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_curve

from core import trust
from core.trust import UNITS_A_BIN, bands, confusion, enough_of, precision_and_recall


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(said, is_it, sizes), with equal probabilities among them, and some text that is of the label."""
    count = draw(st.integers(2, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    said = np.round(rng.random(count), draw(st.sampled_from([1, 2, 9])))
    is_it = rng.random(count) < draw(st.floats(0.1, 0.9))
    is_it[0] = True
    return said, is_it, rng.integers(1, draw(st.sampled_from([2, 30])), size=count).astype(float)


@given(judged())
def test_precision_and_recall_are_scikit_learns(found: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    said, is_it, sizes = found
    precision, recall, thresholds = precision_recall_curve(is_it, said, sample_weight=sizes)
    points = precision_and_recall(said, is_it, sizes)
    assert [point.threshold for point in points] == thresholds[::-1].tolist()
    np.testing.assert_allclose([point.precision for point in points], precision[:-1][::-1])
    np.testing.assert_allclose([point.recall for point in points], recall[:-1][::-1])
    assert [point.posts for point in points] == [sizes[said >= each].sum() for each in thresholds[::-1]]


def test_long_curves_are_thinned_between_their_ends() -> None:
    said = np.linspace(0, 1, 5_000)
    points = precision_and_recall(said, said > 0.7, np.ones(5_000))
    assert len(points) == trust.MOST_POINTS
    assert (points[0].threshold, points[-1].threshold, points[-1].recall) == (1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="no text"):
        precision_and_recall(said, said > 2, np.ones(5_000))


@given(judged())
def test_bands_hold_what_happened_and_are_the_score_interval_of_equal_sizes(
    found: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    said, happened, sizes = found
    made = bands(said, happened, sizes)
    assert sum(band.bin.units for band in made) == len(said)
    assert sum(band.bin.posts for band in made) == pytest.approx(sizes.sum())
    for band in made:
        assert 0 <= band.low <= band.bin.happened + 1e-12
        assert band.bin.happened - 1e-12 <= band.high <= 1
    for band in bands(said, happened, np.full(len(said), 3.0)):
        right = round(band.bin.happened * band.bin.units)
        expected = binomtest(right, band.bin.units).proportion_ci(method="wilson")
        assert (band.low, band.high) == pytest.approx((expected.low, expected.high))


def test_few_texts_make_few_bins_and_unequal_families_wide_bands() -> None:
    rng = np.random.default_rng(1)
    said = rng.random(95)
    happened = rng.random(95) < said
    assert len(bands(said, happened, np.ones(95))) == 95 // UNITS_A_BIN
    sizes = np.where(np.arange(95) % 10 == 0, 100.0, 1.0)
    equal, unequal = bands(said, happened, np.ones(95)), bands(said, happened, sizes)
    assert np.mean([b.high - b.low for b in unequal]) > np.mean([b.high - b.low for b in equal])


@given(judged())
def test_confusion_is_scikit_learns(found: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    said, is_it, sizes = found
    truth, called = is_it.astype(int) * 2, (said * 2.99).astype(int)
    texts, posts = confusion(truth, called, sizes)
    assert texts.tolist() == confusion_matrix(truth, called, labels=[0, 1, 2]).tolist()
    assert posts.tolist() == confusion_matrix(truth, called, labels=[0, 1, 2], sample_weight=sizes).tolist()


def test_a_curve_needs_some_of_the_label_and_some_of_others() -> None:
    truth = np.array([0] * 50 + [1] * 10 + [2] * 9)
    assert [enough_of(label, truth) for label in range(3)] == [True, True, False]
