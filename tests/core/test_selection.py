"""Order and reason: every ranking keeps one contract, and the mix keeps its shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Reason, Strategy
from core.selection import (
    IntArray,
    Pick,
    Pool,
    Rules,
    Stream,
    WordHits,
    clipped,
    entropies,
    interleave,
    margins,
    order_pool,
    rank_by_entropy,
    rank_by_hit_words,
    rank_by_margin,
    rank_by_violation,
    trust_in,
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
    "entropy": lambda n, rng: rank_by_entropy(proba(n), rng=rng),
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


MIX = {"uncertain": 0.6, "likely_violation": 0.2, "exploration": 0.1, "audit": 0.1}
NO_AUDIT = {"uncertain": 2 / 3, "likely_violation": 2 / 9, "exploration": 1 / 9}


def pool(n: int = 300, *, scored: float = 1.0, audit: float = 0.02, short: float = 0.0, words: bool = True) -> Pool:
    """Shares of the posts, spread evenly."""
    rng = RNG(9)
    is_scored = rng.random(n) < scored
    return Pool(
        np.where(is_scored[:, None], proba(n), 0.0),
        is_scored,
        rng.random(n) < audit,
        rng.random(n) < short,
        five_words(n) if words else hits(),
        rng.permutation(n)[: n // 5],
    )


def first(
    count: int, of: Pool, strategy: Strategy = Strategy.mix, *, shares: dict[str, float] = MIX, **rules: float
) -> list[Pick]:
    return list(islice(order_pool(of, Rules(strategy, shares, **rules), rng=RNG(5)), count))  # type: ignore[arg-type]


def reasons(picks: list[Pick]) -> Counter[Reason]:
    return Counter(pick.reason for pick in picks)


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("trust", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("scored", [0.0, 0.3, 1.0])
def test_every_strategy_orders_the_whole_pool_keeps_audit_apart_and_short_posts_last(
    strategy: Strategy, trust: float, scored: float
) -> None:
    posts = pool(2_000, scored=scored, audit=0.05, short=0.1)
    picks = first(10_000, posts, strategy, trust=trust)
    assert sorted(pick.position for pick in picks) == list(range(2_000))
    assert reasons(picks[:100])[Reason.audit] in (9, 10, 11)
    short = int(posts.is_short.sum())
    assert {pick.position for pick in picks[-short:]} == set(np.flatnonzero(posts.is_short))
    drawn = [pick.position for pick in picks if pick.reason is Reason.audit]
    assert all(pick.reason is Reason.audit for pick in picks[:-short] if posts.is_audit[pick.position])
    assert posts.is_audit[drawn].tolist() == sorted(posts.is_audit[drawn], reverse=True), "first the slice, then others"
    assert [pick.position for pick in picks] == [pick.position for pick in first(10_000, posts, strategy, trust=trust)]


def test_audit_goes_on_by_chance_over_the_pool_once_its_slice_is_judged_and_says_how_likely_each_draw_was() -> None:
    posts = pool(2_000, audit=0.005)
    drawn = [pick for pick in first(600, posts) if pick.reason is Reason.audit]
    assert len(drawn) == pytest.approx(60, abs=1)
    slice_size, others = int(posts.is_audit.sum()), int((~posts.is_audit).sum())
    assert [posts.is_audit[pick.position] for pick in drawn] == [n < slice_size for n in range(len(drawn))]
    expected = [0.1 / (slice_size if n < slice_size else others) for n in range(len(drawn))]
    assert [pick.selection_probability for pick in drawn] == pytest.approx(expected)
    judged = replace(posts, is_audit=np.zeros(2_000, dtype=bool))
    assert reasons(first(100, judged))[Reason.audit] in (9, 10)


def test_no_audit_is_drawn_where_it_has_no_share() -> None:
    posts = pool(300, audit=0.0)
    picks = list(order_pool(posts, Rules(Strategy.margin, {}), rng=RNG(5)))
    assert set(reasons(picks)) == {Reason.uncertain}


def test_what_is_drawn_for_audit_from_the_pool_does_not_depend_on_what_the_model_says() -> None:
    posts = pool(2_000, audit=0.0)
    likely = posts.proba[:, 2] > np.quantile(posts.proba[:, 2], 0.9)
    drawn = []
    for seed in range(60):
        picks = islice(order_pool(posts, Rules(Strategy.violations, MIX), rng=RNG(seed)), 30)
        drawn += [pick.position for pick in picks if pick.reason is Reason.audit]
    assert likely[drawn].mean() == pytest.approx(0.1, abs=0.1)


def test_the_mix_keeps_its_shares() -> None:
    found = reasons(first(100, pool(5_000)))
    for reason, share in MIX.items():
        assert abs(found[Reason(reason)] - 100 * share) <= 1, reason


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        (Strategy.margin, Reason.uncertain),
        (Strategy.entropy, Reason.uncertain),
        (Strategy.band, Reason.uncertain),
        (Strategy.violations, Reason.likely_violation),
        (Strategy.random, Reason.random),
    ],
)
def test_a_single_strategy_has_all_that_is_not_audit(strategy: Strategy, reason: Reason) -> None:
    found = reasons(first(100, pool(5_000), strategy))
    assert found == {reason: 90, Reason.audit: 10}


def test_each_strategy_shows_what_it_ranks_by() -> None:
    posts = pool(2_000, audit=0.0)
    top = posts.proba.max(axis=1)
    in_band = first(50, posts, Strategy.band, shares=NO_AUDIT)
    assert all(0.4 <= pick.score <= 0.6 and pick.score == pytest.approx(top[pick.position]) for pick in in_band)  # type: ignore[operator]
    by_entropy = [pick.score for pick in first(50, posts, Strategy.entropy, shares=NO_AUDIT)]
    assert by_entropy == sorted(by_entropy, reverse=True)  # type: ignore[type-var]
    assert by_entropy[0] == pytest.approx(np.log(3), abs=0.02)
    by_margin = [pick.score for pick in first(50, posts, Strategy.margin, shares=NO_AUDIT)]
    assert by_margin == sorted(by_margin)  # type: ignore[type-var]


def test_entropy_is_none_for_a_sure_label_and_most_for_three_equal_ones() -> None:
    found = entropies(np.array([[1.0, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]))
    assert found.tolist() == pytest.approx([0, np.log(2), np.log(3)])


def test_a_band_that_runs_out_leaves_its_place_to_chance() -> None:
    posts = pool(400, audit=0.0)
    few = replace(posts, proba=np.where(np.arange(400)[:, None] < 7, [[0.5, 0.3, 0.2]], [[0.9, 0.05, 0.05]]))
    assert reasons(first(100, few, Strategy.band, shares=NO_AUDIT)) == {Reason.uncertain: 7, Reason.random: 93}


def test_the_model_is_followed_as_far_as_it_has_seen_labels_and_words_have_the_rest() -> None:
    assert [trust_in(n) for n in (0, 2, 8, 50)] == [0, 0.25, 1, 1]
    posts = pool(5_000, audit=0.0)
    half = reasons(first(100, posts, shares=NO_AUDIT, trust=0.5))
    assert abs(half[Reason.uncertain] - 33) <= 1
    assert abs(half[Reason.hit] - 50) <= 1
    assert set(reasons(first(100, posts, shares=NO_AUDIT, trust=0.0))) == {Reason.hit}


def test_without_a_model_words_take_turns_the_rare_ones_first_and_posts_without_any_have_theirs() -> None:
    rare, common, other = 2, 0, 1
    of_posts = [[common]] * 100 + [[other]] * 50 + [[rare]] * 3 + [[]] * 40
    nothing = np.zeros(193, dtype=bool)
    posts = Pool(np.zeros((193, 3)), nothing, nothing, nothing, hits(*of_posts), np.empty(0, dtype=np.intp))
    picks = first(16, posts)
    shown = [of_posts[pick.position] for pick in picks]
    assert [rare] in shown[:2]
    assert shown.count([]) == 4
    assert all((pick.reason is Reason.random) == (words == []) for pick, words in zip(picks, shown, strict=True))


def test_the_most_uncertain_come_last_where_nobody_can_judge_them() -> None:
    posts = pool(1_000, audit=0.0)
    plain = [pick.position for pick in first(1_000, posts, Strategy.margin, shares=NO_AUDIT)]
    later = [pick.position for pick in first(1_000, posts, Strategy.margin, shares=NO_AUDIT, clip=0.01)]
    assert later[:900] == plain[10:910]
    assert clipped(np.arange(5), 0.4).tolist() == [2, 3, 4, 0, 1]


def test_posts_that_are_not_scored_yet_still_come() -> None:
    assert sorted(pick.position for pick in first(500, pool(40, scored=0.2))) == list(range(40))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_pools_are_ordered_too(n: int) -> None:
    for strategy in Strategy:
        assert sorted(pick.position for pick in first(10, pool(n), strategy)) == list(range(n))


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Any: posts that are scored or not, of the audit slice or not, short or not, with several hit words or none."""
    n = draw(st.integers(0, 60))
    flags = [draw(st.lists(st.booleans(), min_size=n, max_size=n)) for _ in range(3)]
    is_scored, is_audit, is_short = (np.array(each, dtype=bool) for each in flags)
    words = draw(st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=n, max_size=n))
    explored = draw(st.lists(st.integers(0, n - 1), unique=True)) if n else []
    said = np.where(is_scored[:, None], proba(n, seed=draw(st.integers(0, 9))), 0.0)
    return Pool(said, is_scored, is_audit, is_short, hits(*words), np.array(explored, dtype=np.intp))


@given(
    pools(),
    st.sampled_from(list(Strategy)),
    st.sampled_from([MIX, NO_AUDIT, {}, {"audit": 1.0}, {"uncertain": 0.2, "audit": 0.3}]),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from([0.0, 0.01, 0.5]),
)
def test_any_order_is_a_permutation_of_the_pool_and_draws_alone_say_how_likely_they_were(
    posts: Pool, strategy: Strategy, shares: dict[str, float], trust: float, clip: float
) -> None:
    picks = list(order_pool(posts, Rules(strategy, shares, trust=trust, clip=clip), rng=RNG(1)))
    assert sorted(pick.position for pick in picks) == list(range(len(posts.proba)))
    for pick in picks:
        if pick.selection_probability is not None:
            assert pick.reason in (Reason.audit, Reason.random)
            assert 0 < pick.selection_probability <= 1
        if pick.reason in (Reason.uncertain, Reason.likely_violation):
            assert posts.is_scored[pick.position]
    slice_later = [pick.reason for pick in picks if posts.is_audit[pick.position] and not posts.is_short[pick.position]]
    assert set(slice_later) <= {Reason.audit}, "nothing but chance picks of the slice"


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.lists(st.integers(0, 40), min_size=5, max_size=5),
    st.integers(0, 99),
)
def test_any_shares_hold_within_one_as_long_as_every_stream_lasts(
    weights: list[int], lengths: list[int], seed: int
) -> None:
    share_of = [weight / sum(weights) for weight in weights]
    streams, begin = [], 0
    for reason, share, length in zip(list(Reason), share_of, lengths, strict=False):
        streams.append(Stream(reason, RNG(seed).permutation(length) + begin, share=share))
        begin += length
    left = {stream.reason: len(stream.order) for stream in streams}
    counted: Counter[Reason] = Counter()
    for n, pick in enumerate(interleave(streams), 1):
        counted[pick.reason] += 1
        left[pick.reason] -= 1
        for stream in streams:
            assert abs(counted[stream.reason] - stream.share * n) < 1 + 1e-9
        if min(left.values()) == 0:
            break
