"""Distributions of probabilities: each quantity and each bin, against the plain way of doing it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from core import distributions
from core.distributions import ACROSS, BINS, UNSCORED, UP, BinPart, CellPart, Floats32, Quantity, WholePart


@st.composite
def probabilities(draw: st.DrawFn) -> Floats32:
    """(3, n), sums to 1, some of it 0, 1, or NaN throughout."""
    rows = draw(
        st.lists(
            st.tuples(*[st.sampled_from([0.0, 1e-30, 0.2, 1.0]) | st.floats(0, 1)] * 3).filter(
                lambda row: sum(row) > 0.01
            )
            | st.just((math.nan,) * 3),
            min_size=1,
            max_size=60,
        )
    )
    found = np.array(rows, dtype=np.float64)
    return np.ascontiguousarray((found / found.sum(axis=1, keepdims=True)).T.astype(np.float32))


@given(probabilities())
def test_quantities_are_those_of_the_book(proba: Floats32) -> None:
    scored = proba[:, ~np.isnan(proba[0])].astype(np.float64)
    ranked = np.sort(scored, axis=0)
    said = {quantity: distributions.values(scored.astype(np.float32), quantity) for quantity in Quantity}
    np.testing.assert_allclose(said[Quantity.confidence], ranked[-1], atol=1e-6)
    np.testing.assert_allclose(said[Quantity.margin], ranked[-1] - ranked[-2], atol=1e-6)
    np.testing.assert_allclose(said[Quantity.entropy], entropy(scored, base=2, axis=0), atol=2e-6)
    np.testing.assert_allclose(said[Quantity.violation], scored[2], atol=1e-6)


@given(probabilities())
def test_predicted_label_is_the_most_likely_and_of_equals_the_less_severe(proba: Floats32) -> None:
    expected = [UNSCORED if math.isnan(row[0]) else row.tolist().index(max(row.tolist())) for row in proba.T]
    assert distributions.predicted_labels(proba).tolist() == expected
    assert distributions.labels_in_blocks(proba).tolist() == expected


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "BLOCK", 7)


@pytest.mark.parametrize("quantity", list(Quantity))
def test_bars_count_each_chosen_post_once_and_open_those_very_posts(quantity: Quantity) -> None:
    rng = np.random.default_rng(3)
    proba = rng.dirichlet((0.5, 0.3, 0.2), size=100).T.astype(np.float32)
    proba[:, ::9] = np.nan
    chosen, portions = rng.random(100) < 0.7, rng.integers(0, 3, size=100).astype(np.int8)
    counts = distributions.histogram(proba, quantity=quantity, chosen=chosen, portions=portions, n_portions=3)
    labels, scored = distributions.predicted_labels(proba), ~np.isnan(proba[0])
    found, _edges = np.histogram(distributions.values(proba[:, chosen & scored], quantity), bins=quantity.edges())
    assert counts.sum(axis=(1, 2)).tolist() == found.tolist()
    for label in range(3):
        for portion in range(3):
            here = chosen & (labels == label) & (portions == portion)
            assert counts[:, label, portion].sum() == here.sum()
    opened = [distributions.positions_in(proba, BinPart(quantity, bin_, bin_), chosen=chosen) for bin_ in range(BINS)]
    assert [len(each) for each in opened] == found.tolist()
    assert np.sort(np.concatenate(opened)).tolist() == np.flatnonzero(chosen & scored).tolist()


def test_cells_of_the_triangle_count_and_open_the_same_posts() -> None:
    rng = np.random.default_rng(4)
    proba = rng.dirichlet((1, 1, 1), size=200).T.astype(np.float32)
    proba[:, 3] = np.nan
    proba[:, :3] = np.eye(3)
    chosen = rng.random(200) < 0.8
    counts = distributions.ternary(proba, chosen=chosen)
    scored = chosen & ~np.isnan(proba[0])
    across, up = proba[1] + proba[2] / 2, proba[2]
    expected, _x, _y = np.histogram2d(across[scored], up[scored], bins=(ACROSS, UP), range=((0, 1), (0, 1)))
    assert counts.tolist() == expected.tolist()
    everything = CellPart(0, ACROSS - 1, 0, UP - 1)
    assert distributions.positions_in(proba, everything, chosen=chosen).tolist() == np.flatnonzero(scored).tolist()
    corner = CellPart(ACROSS // 2 - 2, ACROSS // 2 + 2, UP - 1, UP - 1)
    likely = np.flatnonzero(scored & (proba[2] >= 1 - 1 / UP)).tolist()
    assert distributions.positions_in(proba, corner, chosen=chosen).tolist() == likely
    assert distributions.positions_in(proba, WholePart(), chosen=chosen).tolist() == np.flatnonzero(scored).tolist()
