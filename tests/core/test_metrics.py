"""Figures of a classifier, worked out by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics import ClassFigures, measure

pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


def test_figures_of_a_small_case_are_what_they_are_by_hand() -> None:
    found = measure([0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2, 2, 0])
    assert (found.total, found.accuracy) == (8, 5 / 8)
    assert found.confusion == ((3, 1, 0), (0, 1, 1), (1, 0, 1))
    assert found.per_class == (
        ClassFigures(0.75, 0.75, 0.75, 4),
        ClassFigures(0.5, 0.5, 0.5, 2),
        ClassFigures(0.5, 0.5, 0.5, 2),
    )
    assert found.macro_f1 == pytest.approx((0.75 + 0.5 + 0.5) / 3)


def test_rows_of_the_confusion_are_the_truth_and_columns_what_was_said() -> None:
    found = measure([2, 2, 2], [0, 0, 2])
    assert found.confusion == ((0, 0, 0), (0, 0, 0), (2, 0, 1))
    assert found.per_class[2].recall == pytest.approx(1 / 3)
    assert found.per_class[2].precision == 1.0


def test_nothing_to_divide_by_is_zero_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    found = measure([0, 0], [1, 1])
    assert found.per_class == (ClassFigures(0, 0, 0, 2), ClassFigures(0, 0, 0, 0), ClassFigures(0, 0, 0, 0))
    assert (found.macro_f1, len(recwarn)) == (0.0, 0)


@settings(max_examples=30, deadline=None)
@given(pairs)
def test_counts_add_up_and_figures_stay_between_nothing_and_all(said: list[tuple[int, int]]) -> None:
    found = measure([truth for truth, _ in said], [predicted for _, predicted in said])
    assert sum(map(sum, found.confusion)) == found.total == len(said)
    assert [sum(row) for row in found.confusion] == [figures.support for figures in found.per_class]
    shares = [found.accuracy, found.macro_f1]
    shares += [share for figures in found.per_class for share in (figures.precision, figures.recall, figures.f1)]
    assert all(0 <= share <= 1 for share in shares)
    assert (found.accuracy == 1) == all(truth == predicted for truth, predicted in said) == (found.macro_f1 == 1)


def test_figures_can_be_stored_as_json_under_the_labels_names() -> None:
    stored = json.loads(json.dumps(measure([0, 1, 2], [0, 1, 1]).to_dict()))
    assert list(stored["per_class"]) == ["normal", "suspicious", "violation"]
    assert stored["per_class"]["suspicious"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
    }
    assert stored["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([0], []), ([], [0]), ([0, 1], [0])])
def test_unequal_or_empty_labels_are_refused_with_both_numbers(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match=f"{len(truth)} true and {len(predicted)} predicted"):
        measure(truth, predicted)
