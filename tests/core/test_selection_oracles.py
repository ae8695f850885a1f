"""Margin and entropy as two libraries of active learning have them: the same scores, and the same posts first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.selection import entropies, margins, rank_by_entropy, rank_by_margin

pytestmark = pytest.mark.slow  # one of them loads torch

Scores = Callable[[np.ndarray], np.ndarray]  # high is uncertain


class Ours(NamedTuple):
    scores: Scores
    rank: Callable[..., np.ndarray]


OURS = {
    "margin": Ours(lambda proba: -margins(proba), rank_by_margin),
    "entropy": Ours(entropies, rank_by_entropy),
}


class Known:
    """A classifier that says what it is told, of a pool of positions."""

    def __init__(self, proba: np.ndarray) -> None:
        self.proba = proba

    def predict_proba(self, pool: np.ndarray) -> np.ndarray:
        return self.proba[pool]


def small_text_picks(proba: np.ndarray, name: str, count: int) -> tuple[np.ndarray, set[int]]:
    """Uncertainty of each post, and the posts that it would ask for."""
    from small_text import BreakingTies, PredictionEntropy

    strategy = BreakingTies() if name == "margin" else PredictionEntropy()
    pool = np.arange(len(proba))
    nothing = np.empty(0, dtype=int)
    found = strategy.query(Known(proba), pool, pool, nothing, nothing, n=count)
    return (-strategy.scores_ if name == "margin" else strategy.scores_), set(found.tolist())


def activeml_picks(proba: np.ndarray, name: str, count: int) -> tuple[np.ndarray, set[int]]:
    from skactiveml.pool import uncertainty_scores

    scores = uncertainty_scores(proba, method="margin_sampling" if name == "margin" else name)
    return (scores - 1 if name == "margin" else scores), set(np.argsort(-scores, kind="stable")[:count].tolist())


ORACLES = {"small-text": small_text_picks, "scikit-activeml": activeml_picks}


@st.composite
def probabilities(draw: st.DrawFn) -> np.ndarray:
    """Of small arrays: also sure ones, ties, and labels that cannot be."""
    parts = draw(st.lists(st.tuples(*[st.integers(0, 20)] * 3).filter(any), min_size=1, max_size=12))
    counts = np.array(parts, dtype=np.float64)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("library", ORACLES)
@pytest.mark.parametrize("name", OURS)
@hypothesis_settings(max_examples=60)
@given(proba=probabilities())
def test_scores_are_those_of_the_library(library: str, name: str, proba: np.ndarray) -> None:
    theirs, _ = ORACLES[library](proba, name, 1)
    np.testing.assert_allclose(OURS[name].scores(proba), theirs, atol=1e-9)


@pytest.mark.parametrize("library", ORACLES)
@pytest.mark.parametrize("name", OURS)
def test_first_posts_are_those_that_the_library_asks_for(library: str, name: str) -> None:
    proba = np.random.default_rng(4).dirichlet((3, 1, 0.5), 200)
    order = OURS[name].rank(proba, rng=np.random.default_rng(1))
    for count in (1, 10, 50):
        _, theirs = ORACLES[library](proba, name, count)
        assert set(order[:count].tolist()) == theirs
