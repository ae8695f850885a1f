"""Labelled files: names are the truth, an unknown label is an error with its line, never `normal`."""

from __future__ import annotations

import io
import json

import pytest

from core.errors import BadInput
from core.labelled import read_file, sniff_kind
from core.labels import parse_label
from core.tsv import ExportRow, RejectedRow


def read(name: str, body: str | bytes, **columns: str) -> list[ExportRow | RejectedRow]:
    raw = body if isinstance(body, bytes) else body.encode()
    return list(read_file(io.BytesIO(raw), name=name, columns=columns))


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("normal", "normal"),
        (" Violation ", "violation"),
        ("合规", "normal"),
        ("疑似", "suspicious"),
        ("违规", "violation"),
    ],
)
def test_labels_are_read_by_name(written: str, label: str) -> None:
    assert parse_label(written) == label


@pytest.mark.parametrize("written", ["0", "1", 2, "spam", "", None, "violations"])
def test_anything_else_is_an_unknown_label(written: object) -> None:
    with pytest.raises(BadInput, match="unknown label"):
        parse_label(written)


def test_jsonl_csv_and_tsv_say_the_same() -> None:
    rows = {"pid": "3", "text": '他说，"好"', "label": "violation"}
    files = {
        "a.jsonl": json.dumps(rows, ensure_ascii=False),
        "a.csv": 'pid,text,label\n3,"他说，""好""",violation\n',
        "a.tsv": 'pid\ttext\tlabel\n3\t他说，"好"\tviolation\n',
    }
    for name, body in files.items():
        (row,) = read(name, body)
        assert isinstance(row, ExportRow)
        assert (row.pid, row.text, row.label) == ("3", '他说，"好"', "violation"), name


def test_pid_may_be_missing_from_a_labelled_file() -> None:
    (row,) = read("a.jsonl", '{"text": "x", "label": "normal"}')
    assert isinstance(row, ExportRow)
    assert row.pid is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "x", "label": 2}', "unknown label '2'"),
        ('{"text": "x", "label": "bad"}', "unknown label 'bad'"),
        ('{"text": "x"}', "no label"),
        ('{"text": "", "label": "normal"}', "no text"),
        ('{"label": "normal"}', "names no column for text"),
        ("[1, 2]", "not a JSON object"),
        ("{broken", "not JSON"),
    ],
)
def test_bad_line_of_jsonl_is_rejected_with_its_number_and_as_it_stood(line: str, reason: str) -> None:
    good = '{"text": "good", "label": "normal"}'
    rows = read("a.jsonl", f"{good}\n{line}\n{good}\n")
    assert isinstance(rows[1], RejectedRow)
    assert (rows[1].line, rows[1].raw.strip()) == (2, line)
    assert reason in rows[1].reason
    assert isinstance(rows[2], ExportRow)


def test_csv_keeps_counting_lines_over_quoted_line_breaks() -> None:
    rows = read("a.csv", 'text,label\n"two\nlines",normal\nx,nonsense\n')
    assert isinstance(rows[0], ExportRow)
    assert rows[0].text == "two\nlines"
    assert isinstance(rows[1], RejectedRow)
    assert rows[1].line == 4


def lines_of(rows: list[ExportRow | RejectedRow]) -> list[tuple[int, str]]:
    return [(row.line, row.reason if isinstance(row, RejectedRow) else row.text) for row in rows]


UNCLOSED = "a quotation mark that begins a field is not closed"


@pytest.mark.parametrize(
    "first",
    ['normal,"he began to say', '"normal,he began to say'],
)
def test_quotation_mark_that_is_not_closed_costs_its_own_line_and_none_of_those_that_follow(first: str) -> None:
    body = f"label,text\n{first}\n" + "".join(f"normal,row {n}\n" for n in range(3, 700))
    assert lines_of(read("a.csv", body)) == [(2, UNCLOSED), *((n, f"row {n}") for n in range(3, 700))]


def test_quotation_mark_left_open_in_the_last_line_is_no_end_of_a_text() -> None:
    assert lines_of(read("a.csv", 'label,text\nnormal,one\nnormal,"two')) == [(2, "one"), (3, UNCLOSED)]


def test_quotation_mark_that_the_next_row_closes_costs_no_second_row() -> None:
    body = 'label,text\nnormal,"one\nnormal,"two"\nnormal,three\n'
    assert lines_of(read("a.csv", body)) == [(2, UNCLOSED), (3, "two"), (4, "three")]


def test_row_of_several_lines_that_does_not_fit_says_which_it_has() -> None:
    body = 'label,text\nnormal,"one\ntwo",x\nnormal,three\n'
    assert lines_of(read("a.csv", body)) == [(2, "3 fields in lines 2 to 3 where the header has 2"), (4, "three")]


def test_quotation_mark_inside_a_quoted_field_has_to_be_doubled() -> None:
    rows = read("a.csv", 'label,text\nnormal,"he said "hi""\nnormal,"he said ""hi"""\n')
    assert lines_of(rows) == [(2, "not CSV: ',' expected after '\"'"), (3, 'he said "hi"')]


def test_header_with_an_open_quotation_mark_is_refused() -> None:
    with pytest.raises(BadInput, match="Line 1, the header, cannot be read: a quotation mark"):
        read("a.csv", '"label,text\nnormal,one\n')


def test_replacement_character_that_an_author_wrote_is_text_in_any_encoding() -> None:
    for encoding in ("utf-8", "utf-16", "gb18030"):
        assert lines_of(read("a.csv", "label,text\nnormal,a\ufffdb\n".encode(encoding))) == [(2, "a\ufffdb")]


def test_half_a_character_of_utf_16_spoils_its_own_row() -> None:
    body = (
        "label,text\nnormal,one\nnormal,a".encode("utf-16-le") + b"\x00\xd8" + "b\nnormal,three\n".encode("utf-16-le")
    )
    assert lines_of(read("a.csv", body)) == [(2, "one"), (3, "bytes that do not decode"), (4, "three")]


def test_undecodable_row_of_a_labelled_file_is_rejected() -> None:
    rows = read("a.csv", b"text,label\nfine,normal\nb\xff\xfed,normal\n")
    assert [type(row) for row in rows] == [ExportRow, RejectedRow]


def test_tab_separated_file_is_labelled_when_it_has_the_column() -> None:
    assert sniff_kind("x.tsv", b"pid\ttext\tLabel\n") == "tsv"
    assert sniff_kind("x.tsv", b"pid\ttext\n") == "export"
    assert sniff_kind("x", b'{"text": 1}') == "jsonl"
    assert sniff_kind("x.tsv", b"pid\ttext\tverdict\n", columns={"label": "verdict"}) == "tsv"


def test_csv_without_labels_says_that_exports_are_tab_separated() -> None:
    with pytest.raises(BadInput, match="tab-separated"):
        read("a.csv", "pid,text\n1,x\n")
