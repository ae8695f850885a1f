"""How common labels are in a forum whose queue takes the violations away, and what is not claimed from little."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Label
from core.prevalence import ENOUGH_DRAWN, Judged, Share, prevalence, share_of, surplus

RNG = np.random.default_rng
POSTS, VIOLATIONS, FORUMS = 1_000, 100, 60


@cache
def moderated(seed: int, *, decisions: int = 400, slice_posts: int = 20) -> Judged:
    """A forum of single posts, a tenth of them violations, after a queue that mostly finds those.

    Of ten decisions one is drawn by chance, from the slice and then from what is left, and nine are violations in two
    of three cases as long as there are any.
    """
    rng = RNG(seed)
    truth = rng.permutation(np.repeat([2, 0], [VIOLATIONS, POSTS - VIOLATIONS]))
    in_slice = np.arange(POSTS) < slice_posts
    left, order, drawn = set(range(POSTS)), [], []
    for n in range(decisions):
        of_slice = [post for post in left if in_slice[post]]
        others = [post for post in left if not in_slice[post]]
        if n % 10 == 0:
            chosen = rng.choice(of_slice or others)
        else:
            found = [post for post in others if truth[post] == 2]
            chosen = rng.choice(found if found and rng.random() < 2 / 3 else others)
        left.remove(int(chosen))
        order.append(int(chosen))
        drawn.append(n % 10 == 0)
    return Judged(truth[order], np.ones(len(order)), np.array(drawn), in_slice[order])


def test_forum_is_estimated_right_although_the_queue_has_taken_violations_away() -> None:
    found, by_count = [], []
    for seed in range(FORUMS):
        judged = moderated(seed)
        found.append(prevalence(judged, posts=POSTS, slice_posts=20, rng=RNG(1))[Label.violation].value)
        by_count.append((judged.labels[judged.is_drawn] == 2).mean())
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(0.1, abs=3 * error)
    assert np.mean(by_count) < 0.075, "counting the draws alone would find a forum that was never so clean"


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    holds = 0
    for seed in range(FORUMS):
        share = prevalence(moderated(seed), posts=POSTS, slice_posts=20, rng=RNG(1))[Label.violation]
        assert share.interval
        holds += share.interval[0] <= 0.1 <= share.interval[1]
    assert holds >= 53


def test_templates_count_as_often_as_they_were_posted() -> None:
    labels, sizes = np.array([0] * 90 + [2] * 10), np.array([1.0] * 90 + [11.0] * 10)
    judged = Judged(labels, sizes, np.ones(100, dtype=bool), np.ones(100, dtype=bool))
    found = prevalence(judged, posts=20_000, slice_posts=400, rng=RNG(1))
    assert found[Label.violation].value == pytest.approx(110 / 200)
    assert found[Label.normal].value == pytest.approx(90 / 200)
    assert found[Label.suspicious].value == 0


def test_what_a_file_said_of_the_slice_counts_as_said_and_draws_speak_for_the_rest() -> None:
    """Of 200 posts of the slice a file had 100, all violations; chance drew 60 of the others, none of them one."""
    labels, drawn = np.array([2] * 100 + [0] * 60), np.array([False] * 100 + [True] * 60)
    judged = Judged(labels, np.ones(160), drawn, np.ones(160, dtype=bool))
    assert prevalence(judged, posts=10_000, slice_posts=200, rng=RNG(1))[Label.violation].value == pytest.approx(0.5)


def test_what_no_draw_shows_may_still_be_there() -> None:
    share = share_of(np.zeros(60, dtype=bool), np.arange(60), rng=RNG(1))
    assert share.interval == pytest.approx((0, 1 - 0.025 ** (1 / 60)))
    whole = share_of(np.ones(60, dtype=bool), np.arange(60), rng=RNG(1))
    assert whole.interval == pytest.approx((0.025 ** (1 / 60), 1))


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_claimed_from_nothing(count: int) -> None:
    share = share_of(np.zeros(count, dtype=bool), np.arange(count), rng=RNG(1))
    assert (share.interval, share.is_enough) == (None, False)
    empty = Judged(np.zeros(count, dtype=np.int64), np.ones(count), np.zeros(count, bool), np.zeros(count, bool))
    assert not prevalence(empty, posts=10, slice_posts=0, rng=RNG(1))[Label.normal].is_enough


def test_surplus_is_that_of_the_textbook() -> None:
    """Newcombe 1998, table II, example (a): 56 of 70 against 48 of 80, by Wilson's intervals."""
    one, other = Share(56 / 70, (0.6918, 0.8767), 70), Share(48 / 80, (0.4904, 0.7006), 80)
    found = surplus(one, other)
    assert found
    assert (found.value, *found.interval) == pytest.approx((0.2, 0.0524, 0.3339), abs=2e-3)
    assert surplus(one, Share(0.5, (0.1, 0.9), ENOUGH_DRAWN - 1)) is None


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50), st.booleans(), st.booleans()), min_size=2, max_size=40),
    st.integers(0, 3_000),
)
def test_shares_are_shares_whatever_was_judged(rows: list[tuple[int, int, bool, bool]], more: int) -> None:
    labels, sizes, drawn, in_slice = (np.array(column) for column in zip(*rows, strict=True))
    judged = Judged(labels, sizes.astype(float), drawn, in_slice)
    in_all, of_slice = int(sizes.sum()) + more, int(sizes[in_slice].sum())
    found = prevalence(judged, posts=in_all, slice_posts=of_slice, rng=RNG(1))
    if drawn.any():
        assert sum(share.value for share in found.values()) == pytest.approx(1)
        for share in found.values():
            assert share.interval is None or 0 <= share.interval[0] <= share.interval[1] <= 1 + 1e-9
