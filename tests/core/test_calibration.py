"""Probabilities that mean what they say, and figures that say how far they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.calibration import (
    Correction,
    confidence_error,
    cross_fitted,
    error_by_class,
    fit_temperature,
    folds_by_family,
    prior_offset,
    reliability,
    softmax,
)

NONE = np.zeros(3)  # no offset


def drawn(count: int, *, temperature: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from the probabilities that they have at that temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 3)) * 4
    proba = softmax(logits / temperature)
    return logits, (proba.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_that_the_labels_were_drawn_at_is_found(temperature: float) -> None:
    logits, truth = drawn(20_000, temperature=temperature)
    assert fit_temperature(logits, truth, np.ones(20_000), offset=NONE) == pytest.approx(temperature, rel=0.05)


def test_temperature_makes_overconfident_probabilities_say_what_happens() -> None:
    logits, truth = drawn(20_000, temperature=2.5)
    weights = np.ones(len(truth))
    before = confidence_error(softmax(logits), truth, weights)
    found = Correction(fit_temperature(logits, truth, weights, offset=NONE), tuple(NONE))
    after = confidence_error(found.probabilities(logits), truth, weights)
    assert (before > 0.1, after < 0.01) == (True, True)


def test_weight_of_a_unit_counts_like_as_many_units() -> None:
    logits, truth = drawn(300, temperature=1.7)
    weights = np.where(np.arange(300) < 50, 3.0, 1.0)
    times = weights.astype(int)
    repeated = fit_temperature(
        np.repeat(logits, times, axis=0), np.repeat(truth, times), np.ones(times.sum()), offset=NONE
    )
    assert fit_temperature(logits, truth, weights, offset=NONE) == pytest.approx(repeated)


def test_labels_that_were_always_right_give_the_coldest_temperature_rather_than_an_endless_search() -> None:
    assert fit_temperature(np.eye(3), np.arange(3), np.ones(3), offset=NONE) == pytest.approx(0.05)


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(ValueError, match="not none"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=np.int64), np.zeros(0), offset=NONE)


def test_prior_correction_gives_bayes_rule_for_the_pools_shares() -> None:
    trained, pool = np.array([0.5, 0.25, 0.25]), np.array([0.9, 0.05, 0.05])
    likelihood = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])

    def posterior(prior: np.ndarray) -> np.ndarray:
        joint = likelihood * prior
        return joint / joint.sum(axis=1, keepdims=True)

    offset = tuple(prior_offset(trained=trained, pool=pool))
    corrected = Correction(1.0, offset).probabilities(np.log(posterior(trained)))
    np.testing.assert_allclose(corrected, posterior(pool))


def test_label_that_training_or_the_pool_never_saw_is_left_as_it_is() -> None:
    offset = prior_offset(trained=np.array([0.8, 0.2, 0.0]), pool=np.array([0.9, 0.0, 0.1]))
    np.testing.assert_allclose(offset, [np.log(0.9 / 0.8), 0, 0])


def test_temperature_is_fitted_beside_the_offset_not_against_it() -> None:
    """Labels of a pool in which violations are rare: fitted without the offset, the temperature makes up for it."""
    rng = np.random.default_rng(5)
    trained, pool = np.array([0.4, 0.3, 0.3]), np.array([0.94, 0.03, 0.03])
    truth = rng.choice(3, size=40_000, p=pool)
    evidence = rng.normal(size=(40_000, 3)) + 2.0 * np.eye(3)[truth]  # log likelihood ratios of known strength
    logits = 2.0 * (2.0 * evidence) + np.log(trained)  # sharper by half than they should be
    offset = prior_offset(trained=trained**0.5 / (trained**0.5).sum(), pool=pool)
    assert fit_temperature(logits, truth, np.ones(40_000), offset=offset) == pytest.approx(2.0, rel=0.03)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=60))
def test_families_stay_whole_in_folds_of_about_equal_size(families: list[int]) -> None:
    given_to = folds_by_family(np.array(families), rng=np.random.default_rng(0), folds=3)
    fold_of = dict(zip(families, given_to.tolist(), strict=True))
    assert [fold_of[family] for family in families] == given_to.tolist()
    sizes = [list(fold_of.values()).count(fold) for fold in range(3)]
    assert max(sizes) - min(sizes) <= 1


def test_no_unit_is_corrected_by_what_was_fitted_on_its_own_family() -> None:
    families = np.array([1, 1, 2, 2, 3, 3, 4, 4])
    fold_of = folds_by_family(families, rng=np.random.default_rng(3), folds=3)
    fitted_on = []

    def fit(chosen: np.ndarray) -> Correction:
        fitted_on.append(chosen)
        return Correction(1.0, (float(len(fitted_on)), 0.0, 0.0))

    proba = cross_fitted(np.zeros((8, 3)), fold_of, fit=fit)
    for row, family in enumerate(families):
        by = round(float(np.log(proba[row, 0] / proba[row, 1]))) - 1  # whose correction it was
        assert family not in families[fitted_on[by]]


def test_bins_hold_equally_many_and_equal_probabilities_stay_together() -> None:
    said = np.array([0.1, 0.1, 0.1, 0.1, 0.5, 0.6, 0.7, 0.8])
    found = reliability(said, said > 0.55, np.ones(8), bins=4)
    assert [(each.units, round(each.said, 3), round(each.happened, 3)) for each in found] == [
        (4, 0.1, 0.0),
        (2, 0.55, 0.5),
        (2, 0.75, 1.0),
    ]


def test_error_of_a_class_counts_posts_rather_than_units() -> None:
    proba = np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1]])
    truth = np.array([0, 2])
    errors = error_by_class(proba, truth, np.array([9.0, 1.0]), bins=2)
    np.testing.assert_allclose(errors, [0.1, 0.1, 0.0], atol=1e-12)
