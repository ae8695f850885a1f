"""Krippendorff's alpha against published worked examples, and what must hold whatever people said."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.agreement import Scale, against_others, alpha, alpha_interval

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C: four observers, twelve units, five values; "." is
# no judgement. There, nominal alpha is 0.743 and ordinal alpha 0.815.
FOUR_OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
# The same, A and B: two observers, binary (0.095), and nominal data (0.692).
BINARY = ("0100000010", "1110010000")
NOMINAL = ("aabbdcccedda", "babbbccceddd")


def judgements(*observers: str) -> np.ndarray:
    """(n_units, n_values): how many observers gave each unit each value."""
    values = sorted({value for said in observers for value in said} - {"."})
    return np.array([[sum(o == value for o in unit) for value in values] for unit in zip(*observers, strict=True)])


@pytest.mark.parametrize(
    ("observers", "scale", "published"),
    [
        (BINARY, Scale.nominal, 0.095),
        (NOMINAL, Scale.nominal, 0.692),
        (FOUR_OBSERVERS, Scale.nominal, 0.743),
        (FOUR_OBSERVERS, Scale.ordinal, 0.815),
    ],
)
def test_alpha_is_that_of_the_published_example(observers: tuple[str, ...], scale: Scale, published: float) -> None:
    assert alpha(judgements(*observers), scale=scale) == pytest.approx(published, abs=0.0005)


def by_definition(units: np.ndarray, *, is_ordinal: bool) -> float | None:
    """Observed against expected disagreement, pair by pair, from the definition: slow and plain."""
    paired = [np.repeat(np.arange(units.shape[1]), unit) for unit in units if unit.sum() >= 2]
    everyone = np.concatenate(paired) if paired else np.empty(0, dtype=int)
    used = np.bincount(everyone, minlength=units.shape[1])

    def distance(a: int, b: int) -> float:
        if not is_ordinal:
            return float(a != b)
        low, high = sorted((a, b))
        return float(used[low : high + 1].sum() - (used[low] + used[high]) / 2) ** 2

    expected = sum(2 * distance(a, b) for a, b in combinations(everyone, 2))
    if not expected:
        return None
    observed = sum(sum(distance(a, b) for a, b in permutations(said, 2)) / (len(said) - 1) for said in paired)
    return 1 - (len(everyone) - 1) * observed / expected


ANY = arrays(np.int64, st.tuples(st.integers(1, 8), st.just(3)), elements=st.integers(0, 3))


@given(ANY, st.sampled_from(Scale))
def test_alpha_is_one_minus_observed_by_expected_disagreement(units: np.ndarray, scale: Scale) -> None:
    expected = by_definition(units, is_ordinal=scale is Scale.ordinal)
    assert alpha(units, scale=scale) == (None if expected is None else pytest.approx(expected))


@given(ANY)
def test_posts_that_one_person_judged_say_nothing(units: np.ndarray) -> None:
    alone = np.vstack((units, np.eye(3, dtype=np.int64)))
    assert alpha(alone, scale=Scale.nominal) == alpha(units, scale=Scale.nominal)


def test_alpha_of_a_label_is_that_of_the_label_against_the_rest() -> None:
    units = np.array([[2, 0, 0], [0, 2, 0], [0, 1, 1], [0, 0, 2], [2, 0, 0]])
    assert alpha(against_others(units, 0), scale=Scale.nominal) == pytest.approx(1.0)
    merged = np.array([[0, 2], [2, 0], [1, 1], [0, 2], [0, 2]])
    assert against_others(units, 1)[:, ::-1].tolist() == merged[:, ::-1].tolist()


def test_nothing_is_said_where_nobody_could_disagree() -> None:
    rng = np.random.default_rng(1)
    for units in (np.array([[2, 0, 0], [3, 0, 0]]), np.array([[1, 0, 0], [0, 1, 0]]), np.empty((0, 3), dtype=np.int64)):
        assert alpha(units, scale=Scale.ordinal) is None
        assert alpha_interval(units, np.arange(len(units)), scale=Scale.ordinal, rng=rng) is None


def test_interval_holds_the_alpha_and_is_wider_where_near_copies_were_judged() -> None:
    rng = np.random.default_rng(7)
    units = np.array([[2, 0, 0], [1, 0, 1], [0, 2, 0], [0, 0, 2], [0, 1, 1]] * 40)
    value = alpha(units, scale=Scale.nominal)
    assert value is not None
    widths = []
    for families in (np.arange(200), np.arange(200) % 5 * 4 + np.arange(200) // 50):  # 200 of one post, 20 of ten
        interval = alpha_interval(units, families, scale=Scale.nominal, rng=rng)
        assert interval is not None
        assert interval[0] < value < interval[1]
        widths.append(interval[1] - interval[0])
    assert widths[1] > 2 * widths[0]


def test_interval_is_missed_about_as_often_as_it_promises() -> None:
    """Two people who agree on four posts of five, and else say anything: the alpha of very many is known."""
    rng = np.random.default_rng(3)

    def draw(count: int) -> np.ndarray:
        first = rng.integers(0, 3, count)
        second = np.where(rng.random(count) < 0.8, first, rng.integers(0, 3, count))
        return np.eye(3, dtype=np.int64)[first] + np.eye(3, dtype=np.int64)[second]

    truth = alpha(draw(400_000), scale=Scale.nominal)
    assert truth is not None
    hits = 0
    for _ in range(100):
        interval = alpha_interval(draw(150), np.arange(150), scale=Scale.nominal, rng=rng, resamples=200)
        assert interval is not None
        hits += interval[0] <= truth <= interval[1]
    assert 86 <= hits <= 99
