"""Texts on both sides of a file's own split, counted once each, with the lines where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.overlaps import EXAMPLES, SplitOverlaps
from core.tsv import ExportRow


@pytest.mark.parametrize(
    ("extra", "side"),
    [
        ({"split": "train"}, "train"),
        ({" Set ": "TEST "}, "evaluation"),
        ({"SPLIT": "validation"}, "evaluation"),
        ({"split": "训练集"}, "train"),
        ({"set": "dev"}, "evaluation"),
        ({"split": "unlabelled"}, None),
        ({"subset": "train"}, "train"),
        ({"dataset": "cold", "split": "test"}, "evaluation"),
        ({"topic": "train"}, None),
        ({}, None),
    ],
)
def test_split_of_a_row_is_read_from_its_column(extra: dict[str, str], side: str | None) -> None:
    assert SplitOverlaps.split_of(ExportRow(2, None, "x", extra=extra)) == side


@given(st.lists(st.tuples(st.sampled_from(["train", "evaluation"]), st.sampled_from("abcdefghijklmn")), max_size=60))
def test_as_many_texts_are_found_as_stand_on_both_sides(rows: list[tuple[str, str]]) -> None:
    overlaps = SplitOverlaps()
    for line, (side, text) in enumerate(rows, 2):
        overlaps.add(side, line, ord(text))
    both = {text for side, text in rows if side == "train"} & {text for side, text in rows if side != "train"}
    count, lines = overlaps.found()
    assert (count, len(lines)) == (len(both), min(len(both), EXAMPLES))
    for train, evaluation in lines:
        assert rows[train - 2][1] == rows[evaluation - 2][1]
        assert (rows[train - 2][0], rows[evaluation - 2][0]) == ("train", "evaluation")
