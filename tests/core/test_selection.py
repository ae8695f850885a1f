"""Order and reason: every ranking keeps one contract, and the mix keeps its shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from core.domain import Reason
from core.selection import (
    IntArray,
    Stream,
    WordHits,
    interleave,
    margins,
    order_pool,
    rank_by_hit_words,
    rank_by_margin,
    rank_by_violation,
)

RNG = np.random.default_rng
Ranking = Callable[[int, np.random.Generator], IntArray]


def proba(n: int, seed: int = 0) -> np.ndarray:
    return RNG(seed).dirichlet((2, 1, 1), n)


def hits(*words: list[int]) -> WordHits:
    """words: for each post its hit words, as numbers."""
    packed = {word << 32 | position for position, of_post in enumerate(words) for word in of_post}
    return WordHits(np.array(sorted(packed), dtype=np.int64))


def five_words(n: int) -> WordHits:
    return hits(*([i % 5] for i in range(n)))


RANKINGS: dict[str, Ranking] = {
    "margin": lambda n, rng: rank_by_margin(proba(n), rng=rng),
    "violation": lambda n, rng: rank_by_violation(proba(n), rng=rng),
    "hit words": lambda n, rng: rank_by_hit_words(five_words(n), rng=rng),
}


@pytest.mark.parametrize("name", RANKINGS)
@pytest.mark.parametrize("n", [0, 1, 2, 57])
def test_every_ranking_names_each_position_once_and_the_same_for_the_same_seed(name: str, n: int) -> None:
    order = RANKINGS[name](n, RNG(7))
    assert sorted(order.tolist()) == list(range(n))
    assert order.tolist() == RANKINGS[name](n, RNG(7)).tolist()


def test_ties_are_broken_by_chance_not_by_position() -> None:
    same = np.full((200, 3), 1 / 3)
    assert rank_by_margin(same, rng=RNG(1)).tolist() != list(range(200))


def test_the_least_sure_comes_first() -> None:
    sure, unsure = [0.98, 0.01, 0.01], [0.45, 0.1, 0.45]
    assert rank_by_margin(np.array([sure, unsure]), rng=RNG(0)).tolist() == [1, 0]
    assert margins(np.array([sure, unsure])) == pytest.approx([0.97, 0.0])


def test_the_likeliest_violation_comes_first() -> None:
    assert rank_by_violation(np.array([[0.9, 0.1, 0], [0.1, 0.1, 0.8], [0.2, 0.8, 0]]), rng=RNG(0)).tolist() == [
        1,
        2,
        0,
    ]


@pytest.mark.parametrize("bad", [np.ones((3, 2)) / 2, np.ones((3, 3)), np.ones(3)])
def test_what_is_no_probability_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        rank_by_margin(bad, rng=RNG(0))


def test_rare_hit_words_come_before_frequent_ones_in_turn() -> None:
    common, rare = 0, 1
    order = rank_by_hit_words(hits(*[[common]] * 10, [rare], []), rng=RNG(3)).tolist()
    assert order[0] == 10
    assert 11 not in order
    assert len(order) == 11


def test_streams_keep_their_shares_at_every_point() -> None:
    picks = interleave(
        [
            Stream(Reason.uncertain, np.arange(0, 600), share=0.6),
            Stream(Reason.likely_violation, np.arange(600, 1_200), share=0.3),
            Stream(Reason.random, np.arange(1_200, 1_800), share=0.1, is_uniform=True),
        ]
    )
    counted: Counter[Reason] = Counter()
    for n, pick in enumerate(list(picks)[:500], 1):
        counted[pick.reason] += 1
        for reason, share in ((Reason.uncertain, 0.6), (Reason.likely_violation, 0.3), (Reason.random, 0.1)):
            assert abs(counted[reason] - share * n) <= 1.5


def test_position_comes_once_for_the_stream_that_reaches_it_first() -> None:
    order = np.arange(50)
    picks = list(
        interleave([Stream(Reason.uncertain, order, share=0.5), Stream(Reason.random, order[::-1], share=0.5)])
    )
    assert sorted(pick.position for pick in picks) == list(range(50))


def whole_pool(*, is_scored: bool, n: int = 300) -> Counter[Reason]:
    picks = list(
        order_pool(
            proba=proba(n) if is_scored else np.zeros((n, 3)),
            is_scored=np.full(n, is_scored),
            is_audit=np.arange(n) % 50 == 0,
            hits=five_words(n),
            shares={"uncertain": 0.6, "likely_violation": 0.2, "audit": 0.1},
            rng=RNG(5),
        )
    )
    assert sorted(pick.position for pick in picks) == list(range(n))
    return Counter(pick.reason for pick in picks[:50])


def test_without_a_model_hit_words_and_chance_take_turns_and_the_audit_slice_has_its_share() -> None:
    first = whole_pool(is_scored=False)
    assert set(first) == {Reason.hit, Reason.random, Reason.audit}
    assert first[Reason.audit] in (4, 5, 6)
    assert abs(first[Reason.hit] - first[Reason.random]) <= 2


def test_with_a_model_most_are_shown_because_it_is_unsure() -> None:
    first = whole_pool(is_scored=True)
    assert first[Reason.uncertain] >= 25
    assert first[Reason.likely_violation] >= 8


def test_posts_that_are_not_scored_yet_still_come() -> None:
    n = 40
    is_scored = np.arange(n) < 10
    picks = list(
        order_pool(
            proba=np.where(is_scored[:, None], proba(n), 0.0), is_scored=is_scored, is_audit=np.zeros(n, dtype=bool),
            hits=five_words(n), shares={"uncertain": 0.7}, rng=RNG(1),
        )
    )  # fmt: skip
    assert sorted(pick.position for pick in picks) == list(range(n))


def test_posts_of_the_audit_slice_come_by_their_own_draw_alone() -> None:
    n = 2_000
    is_audit = RNG(2).random(n) < 0.02
    for is_scored in (True, False):
        picks = order_pool(
            proba=proba(n), is_scored=np.full(n, is_scored), is_audit=is_audit, hits=five_words(n),
            shares={"uncertain": 0.6, "likely_violation": 0.2, "audit": 0.1}, rng=RNG(5),
        )  # fmt: skip
        assert all((pick.reason is Reason.audit) == bool(is_audit[pick.position]) for pick in picks)
