"""Exploration: each kind of post is represented once, whatever its size."""

from __future__ import annotations

import numpy as np
import pytest

from core.exploration import TEXTS_A_KIND, representatives

RNG = np.random.default_rng


def kinds(*sizes: int, dimensions: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of well separated kinds, and the kind of each."""
    rng, of_each = RNG(1), np.repeat(np.arange(len(sizes)), sizes)
    centres = 10 * np.eye(dimensions)[: len(sizes)]
    scale = rng.uniform(0.5, 2, size=(len(of_each), 1))
    return (scale * (centres[of_each] + rng.normal(size=(len(of_each), dimensions)) / 3)).astype(np.float32), of_each


def test_rare_kinds_are_represented_as_much_as_frequent_ones() -> None:
    embeddings, of_each = kinds(400, 300, 200, 60, 40)
    found = representatives(embeddings, rng=RNG(2))
    assert len(found) == len(set(found.tolist())) == 1_000 // TEXTS_A_KIND
    assert set(of_each[found]) == {0, 1, 2, 3, 4}


def test_the_same_seed_finds_the_same_and_few_texts_have_no_kinds() -> None:
    embeddings, _ = kinds(60, 60)
    assert representatives(embeddings, rng=RNG(5)).tolist() == representatives(embeddings, rng=RNG(5)).tolist()
    assert representatives(embeddings[: 2 * TEXTS_A_KIND - 1], rng=RNG(5)).tolist() == []


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_texts_that_are_all_the_same_to_the_model_are_one_kind(value: float) -> None:
    found = representatives(np.full((200, 8), value, dtype=np.float32), rng=RNG(1))
    assert 1 <= len(found) <= 200 // TEXTS_A_KIND
