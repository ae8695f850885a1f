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
