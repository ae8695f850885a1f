"""Whether the model's view leads people: told where it shows, and left untold where it could be chance."""

from __future__ import annotations

import numpy as np
import pytest

from core.anchoring import ENOUGH_FAMILIES, Answer, compare_sides, measure_side


def drawn(share: float, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random(count) < share


@pytest.mark.parametrize(
    ("with_view", "without", "answer"),
    [(0.95, 0.80, Answer.follow), (0.80, 0.95, Answer.oppose), (0.85, 0.85, Answer.cannot_tell)],
)
def test_difference_is_told_where_its_interval_lies_on_one_side(
    with_view: float, without: float, answer: Answer
) -> None:
    rng = np.random.default_rng(7)
    one, other = drawn(with_view, 2_000, rng), drawn(without, 400, rng)
    found = compare_sides(one, np.arange(2_000), other, np.arange(400), rng=rng)
    assert found.answer is answer
    assert found.value == pytest.approx(one.mean() - other.mean())
    assert found.interval
    assert found.interval[0] < found.value < found.interval[1]


def test_interval_is_as_wide_as_the_two_samples_make_it() -> None:
    """Against the textbook's interval for the difference of two shares."""
    rng = np.random.default_rng(3)
    one, other = drawn(0.9, 3_000, rng), drawn(0.8, 500, rng)
    found = compare_sides(one, np.arange(3_000), other, np.arange(500), rng=rng)
    error = np.sqrt(one.var() / 3_000 + other.var() / 500)
    assert found.interval
    assert found.interval[1] - found.interval[0] == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_template_that_was_posted_a_thousand_times_is_one_draw() -> None:
    rng = np.random.default_rng(5)
    families = np.r_[np.zeros(1_000, dtype=np.int64), np.arange(1, 60)]
    same = np.r_[np.ones(1_000, dtype=bool), drawn(0.5, 59, rng)]
    found = compare_sides(same, families, drawn(0.7, 300, rng), np.arange(300), rng=rng)
    assert found.answer is Answer.cannot_tell
    assert found.interval
    assert found.interval[1] - found.interval[0] > 0.3


@pytest.mark.parametrize("count", [0, 1, 10, ENOUGH_FAMILIES - 1])
def test_too_little_on_one_side_is_said_plainly(count: int) -> None:
    rng = np.random.default_rng(1)
    found = compare_sides(
        np.ones(500, dtype=bool), np.arange(500), np.zeros(count, dtype=bool), np.arange(count), rng=rng
    )
    assert found.answer is Answer.too_little


def test_agreement_of_a_side_is_its_share_and_its_alpha() -> None:
    said, model = np.array([0, 0, 2, 2, 1, 0]), np.array([0, 0, 2, 0, 1, 0])
    found = measure_side(said, model, np.arange(6), rng=np.random.default_rng(1))
    assert (found.posts, found.families, found.share) == (6, 6, pytest.approx(5 / 6))
    # By hand: 12 judgements, of normal 7, suspicious 2, violation 3; one pair apart. Observed 2/12, expected
    # 1 - (7·6 + 2·1 + 3·2) / (12·11).
    assert found.alpha == pytest.approx(1 - (2 / 12) / (1 - 50 / 132))
    assert found.share_interval
    assert found.share_interval[0] < 5 / 6 < found.share_interval[1] + 1e-9


def test_side_without_posts_has_no_figures() -> None:
    nothing = np.array([], dtype=np.int64)
    found = measure_side(nothing, nothing, nothing, rng=np.random.default_rng(1))
    assert (found.posts, found.share, found.alpha) == (0, None, None)
