"""Hit words: counted as a loop over the posts would count them; retired only where nothing speaks for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.columns import PAIR, assemble_posts
from core.domain import Label
from core.hit_words import FEWEST, Worth, word_figures
from core.proportions import wilson


@given(st.integers(0, 300), st.integers(1, 300))
def test_interval_is_that_of_scipy(found: int, more: int) -> None:
    low, high = wilson(found, found + more)
    theirs = stats.binomtest(found, found + more).proportion_ci(method="wilson")
    assert (float(low), float(high)) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_nothing_tried_says_nothing() -> None:
    low, high = wilson([0], [0])
    assert (low.tolist(), high.tolist()) == ([0.0], [1.0])


def pairs(*found: tuple[int, int]) -> np.ndarray:
    return np.array(list(found), dtype=PAIR) if found else np.empty(0, dtype=PAIR)


def forum(hits: dict[str, list[int]], families: list[int]) -> object:
    """Posts 1 to n, each with its own text; hits: posts by word."""
    ids = range(1, len(families) + 1)
    words = list(hits)
    return assemble_posts(
        pairs(*((n, n) for n in ids)),
        pairs(*((n, 1) for n in ids)),
        pairs(*zip(ids, families, strict=True)),
        pairs(*((n, 0) for n in ids)),
        pairs(*((words.index(word), n) for word, posts in hits.items() for n in posts)),
        words,
    )


@given(st.data())
def test_figures_are_those_of_a_loop_over_the_posts(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    posts = st.lists(st.integers(1, count), unique=True)
    hits = data.draw(st.dictionaries(st.sampled_from("abcd"), posts))
    families = [data.draw(st.integers(1, n)) for n in range(1, count + 1)]
    labels = data.draw(st.lists(st.integers(-1, 2), min_size=count, max_size=count))
    scored = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    proba = np.tile(np.array([[0.5], [0.25], [0.25]], dtype=np.float32), count)
    proba[:, ~np.array(scored)] = np.nan
    chosen = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    figures_of = word_figures(forum(hits, families), proba, np.array(labels, dtype=np.int8), np.array(chosen))
    hits = {word: left for word, listed in hits.items() if (left := [n for n in listed if chosen[n - 1]])}
    found = {figures.word: figures for figures in figures_of}
    assert set(found) == set(hits)
    for word, figures in found.items():
        with_it = hits[word]
        decided = [n for n in with_it if labels[n - 1] >= 0]
        by_family: dict[int, list[bool]] = {}
        for n in decided:
            by_family.setdefault(families[n - 1], []).append(labels[n - 1] == Label.violation)
        assert figures.posts == len(with_it)
        assert figures.alone == sum(sum(n in listed for listed in hits.values()) == 1 for n in with_it)
        assert (figures.decided, figures.families) == (len(decided), len(by_family))
        assert figures.violations == sum(2 * sum(bad) >= len(bad) for bad in by_family.values())
        rest = [n for n in with_it if labels[n - 1] < 0 and scored[n - 1]]
        assert figures.expected == (0.25 if rest else None)


@pytest.mark.parametrize(
    ("decided", "violations", "likely", "worth"),
    [
        (FEWEST - 1, 0, None, Worth.unknown),
        (FEWEST, 0, None, Worth.keep),  # the interval still reaches beyond 5 %
        (100, 0, None, Worth.retire),
        (100, 0, 0.01, Worth.retire),
        (100, 0, 0.2, Worth.keep),  # the version expects violations in the rest
        (100, 30, 0.01, Worth.keep),
    ],
)
def test_word_goes_only_where_neither_people_nor_the_model_find_violations_by_it(
    decided: int, violations: int, likely: float | None, worth: Worth
) -> None:
    count = decided + 1
    labels = np.zeros(count, dtype=np.int8)
    labels[:violations], labels[-1] = Label.violation, -1
    proba = np.full((3, count), np.nan, dtype=np.float32)
    if likely is not None:
        proba[:, -1] = 1 - likely, 0, likely
    (found,) = word_figures(
        forum({"w": list(range(1, count + 1))}, list(range(1, count + 1))), proba, labels, np.full(count, True)
    )
    assert found.worth is worth
