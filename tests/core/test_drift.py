"""How far distributions lie apart: against scipy, and by what an index must say of the same and of other posts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, ks_2samp

from core.distributions import Quantity, values
from core.drift import (
    FINE,
    GROUPS,
    SMOOTHING,
    Shift,
    coarse,
    fine_counts,
    groups_of,
    kolmogorov_smirnov,
    population_stability,
    shift_of,
    stability,
)


def counted(bins: list[int]) -> np.ndarray:
    return np.bincount(bins, minlength=FINE)


SOME = st.lists(st.integers(0, FINE - 1) | st.sampled_from([0, 7, FINE - 1]), min_size=1, max_size=200)


@given(SOME, SOME)
def test_ks_is_scipys(first: list[int], second: list[int]) -> None:
    expected = ks_2samp(first, second, method="asymp").statistic
    assert kolmogorov_smirnov(counted(first), counted(second)) == pytest.approx(expected)


@given(SOME, SOME)
def test_psi_is_the_sum_of_both_divergences_over_tenths_of_the_first(first: list[int], second: list[int]) -> None:
    groups = groups_of(counted(first))
    ours, theirs = (np.bincount(groups[each], minlength=groups.max() + 1) + SMOOTHING for each in (first, second))
    found = population_stability(counted(first), counted(second))
    assert found == pytest.approx(entropy(ours, theirs) + entropy(theirs, ours))
    assert found >= 0
    assert population_stability(counted(first), counted(first)) == 0


@given(SOME)
def test_groups_are_in_order_and_hold_whole_bins(first: list[int]) -> None:
    groups = groups_of(counted(first))
    assert (np.diff(groups) >= 0).all()
    assert groups[0] == 0
    assert len(np.unique(groups)) == groups.max() + 1 <= GROUPS


def test_groups_of_many_different_values_are_tenths() -> None:
    rng = np.random.default_rng(1)
    bins = rng.integers(0, FINE, size=20_000)
    groups = groups_of(np.bincount(bins, minlength=FINE))
    np.testing.assert_allclose(np.bincount(groups[bins]) / 20_000, 1 / GROUPS, atol=0.002)
    with pytest.raises(ValueError, match="nothing"):
        groups_of(np.zeros(FINE, dtype=np.int64))


def test_the_index_speaks_by_the_customary_bounds() -> None:
    assert [shift_of(psi) for psi in (0, 0.09, 0.1, 0.24, 0.25, 3)] == [
        Shift.little, Shift.little, Shift.some, Shift.some, Shift.much, Shift.much,
    ]  # fmt: skip
    assert stability(np.array([0, 100]), np.array([100, 0])) > 5


def test_fine_counts_are_of_chosen_scored_posts_and_add_up_to_the_bins_that_are_drawn() -> None:
    rng = np.random.default_rng(2)
    proba = rng.dirichlet((1, 1, 1), size=5_000).T.astype(np.float32)
    proba[:, ::5] = np.nan
    chosen = rng.random(5_000) < 0.5
    for quantity in Quantity:
        counts = fine_counts(proba, quantity=quantity, chosen=chosen)
        scored = values(proba[:, chosen & ~np.isnan(proba[0])], quantity)
        assert counts.sum() == len(scored)
        expected, _edges = np.histogram(scored, bins=quantity.edges())
        np.testing.assert_allclose(coarse(counts), expected, atol=2)  # a value on an edge may fall to either side
