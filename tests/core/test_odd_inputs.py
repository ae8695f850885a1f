"""Odd inputs of the readers and the mix: files that begin oddly, long lines, shares at every point."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import tsv
from core.domain import Policy, Reason, Strategy
from core.labelled import read_file
from core.markup import read_markup
from core.selection import Pool, Rules, Stream, interleave, order_pool, rank_by_margin, rank_by_violation
from core.text import join_excerpts, model_text, reading_text
from core.tsv import ExportRow, RejectedRow, detect_encoding, open_export
from tests.core.test_selection import hits


def read(name: str, body: str | bytes) -> list[ExportRow | RejectedRow]:
    return list(read_file(io.BytesIO(body if isinstance(body, bytes) else body.encode()), name=name))


# --- readers ----------------------------------------------------------------------------------------------------------


def test_blank_lines_before_the_header_of_a_csv_are_no_header() -> None:
    (row,) = read("a.csv", "\nlabel,text\nnormal,x\n")
    assert (row.line, getattr(row, "text", None)) == (3, "x")


def test_line_is_right_below_a_header_that_spans_lines() -> None:
    rows = read("a.csv", '"two\nlines",label,text\n1,bad,x\n2,bad,y\n')
    assert [row.line for row in rows] == [3, 4]


def test_reason_for_a_line_of_jsonl_does_not_name_another_line() -> None:
    rows = read("a.jsonl", '{"text": "x", "label": "normal"}\n\n{"label": "normal"}\n')
    assert isinstance(rows[1], RejectedRow)
    assert rows[1].line == 3
    assert "Line 1" not in rows[1].reason


def test_too_long_line_that_ends_its_shown_part_in_a_backslash_takes_no_other_row_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tsv, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(tsv, "MAX_RAW_CHARACTERS", 20)
    body = "pid\tcontext\n1\t" + "a" * 17 + "\\" + "a" * 200 + "\n2\tgood\n"
    rows = list(open_export(io.BytesIO(body.encode())))
    assert [(type(row), row.line) for row in rows] == [(RejectedRow, 2), (ExportRow, 3)]


def test_valid_utf8_is_utf8_whatever_characters_it_holds() -> None:
    assert detect_encoding("pid\tcontext\n1\tonly \ufffd here\n".encode()) == "utf-8"


@given(st.lists(st.text(alphabet="ab\\\t\n0N", max_size=12), min_size=2, max_size=2))
def test_any_field_that_mysql_escaped_is_read_back_through_the_whole_reader(values: list[str]) -> None:
    """Written as SELECT … INTO OUTFILE does: backslash before backslash, tab and newline."""
    written = []
    for value in values:
        for character in "\\\t\n":
            value = value.replace(character, "\\" + character)
        written.append(value)
    body = "pid\tcontext\tnote\tlast\n1\ttext\t" + "\t".join(written) + "\n2\tafter\tx\ty\n"
    rows = list(open_export(io.BytesIO(body.encode())))
    assert isinstance(rows[0], ExportRow)
    assert [rows[0].extra["note"], rows[0].extra["last"]] == values
    assert rows[1].line == 3 + "".join(values).count("\n")


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", ["9" * 5_000, "1" * 4_301])
def test_huge_character_reference_is_no_error(digits: str) -> None:
    assert model_text(read_markup(f"a&#{digits};b"))


@pytest.mark.parametrize("original", ["this & that", "AT&T", "Q&A"])
def test_ampersand_that_begins_no_entity_stays(original: str) -> None:
    assert reading_text(read_markup(original)) == original


@pytest.mark.parametrize("half", ["quot;半个引号", "uot;半个引号", "nbsp;半个引号"])
def test_rest_of_an_entity_vanishes_though_nothing_else_in_the_excerpt_is_markup(half: str) -> None:
    assert model_text(read_markup(half)) == "半个引号"


def test_excerpts_without_anything_in_common_keep_their_order() -> None:
    assert join_excerpts(["c" * 12, "a" * 12, "b" * 12]) == ["c" * 12, "a" * 12, "b" * 12]


# --- selection --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [rank_by_margin, rank_by_violation])
@pytest.mark.parametrize("bad", [[math.nan] * 3, [0.5, math.nan, 0.5], [-0.5, 0.5, 1.0]])
def test_row_that_is_no_probability_is_refused(rank: object, bad: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        rank(np.array([bad]), rng=np.random.default_rng(0))  # type: ignore[operator]


@pytest.mark.parametrize(
    "shares", [tuple(Policy().shares.values()), (0.6, 0.1, 0.1, 0.1, 0.1), (0.5, 0.5), (0.34, 0.33, 0.33)]
)
def test_every_stream_is_within_one_of_its_share_after_any_number_of_picks(shares: tuple[float, ...]) -> None:
    reasons = list(Reason)[: len(shares)]
    places = [np.arange(place * 1_000, (place + 1) * 1_000) for place in range(len(shares))]
    streams = [Stream(*each) for each in zip(reasons, places, [None] * len(shares), shares, strict=True)]
    counted: Counter[Reason] = Counter()
    for n, pick in zip(range(1, 1_001), interleave(streams), strict=False):
        counted[pick.reason] += 1
        assert all(abs(counted[reason] - share * n) < 1 + 1e-6 for reason, share in zip(reasons, shares, strict=True))


def test_random_draw_is_never_said_to_be_impossible() -> None:
    n = 60
    none, no_positions = np.zeros(n, dtype=bool), np.empty(0, dtype=np.intp)
    posts = Pool(np.full((n, 3), 1 / 3), np.arange(n) < 30, np.arange(n) < 6, none, hits(), no_positions)
    rules = Rules(Strategy.mix, {"uncertain": 0.75, "likely_violation": 0.25})
    picks = order_pool(posts, rules, rng=np.random.default_rng(0))
    assert all(pick.selection_probability is None or pick.selection_probability > 0 for pick in picks)
