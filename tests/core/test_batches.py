"""Files of texts to judge: what is read of each kind, what is refused, and what is written again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.batches import Batch, Form, Kind, TextRow, form_for, look_through, results_as, rows_of
from core.errors import BadInput
from core.tsv import split_fields

PROBA = (0.25, 0.05, 0.7)


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(path: Path, **options: str) -> list[str]:
    return [row.text for row in rows_of(look_through(path, **options))]


def written(path: Path, form: Form) -> list[str]:
    batch = look_through(path)
    return list(results_as(form, batch, ((row, PROBA) for row in rows_of(batch))))


def test_tsv_is_read_as_mysql_writes_it_and_keeps_every_column(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", 'pid\thit_word\tcontext\n7\t\\N\tone "two\\\nthree\n8\tx\t四\n')
    batch = look_through(path)
    assert (batch.kind, batch.rows, batch.names) == (Kind.tsv, 2, ("pid", "hit_word", "context"))
    first, second = rows_of(batch)
    assert first == TextRow(2, {"pid": "7", "hit_word": None, "context": 'one "two\nthree'}, 'one "two\nthree')
    assert (second.line, second.text) == (4, "四")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_exports_in_any_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    path = put(tmp_path / "a.tsv", "pid\tcontext\n1\t今天的天气真好，我们去公园\n".encode(encoding))
    assert texts(path) == ["今天的天气真好，我们去公园"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"text": "one", "n": 1}\n\n{"context": "two"}\n', ["one", "two"]),
        ("a.csv", 'pid,text\n1,"one\nmore"\n2,two\n', ["one\nmore", "two"]),
        ("a.txt", "one\r\n\n  two  \n", ["one", "two"]),
        ("a.tsv", "PID\tText\n1\tone\n", ["one"]),
    ],
)
def test_each_kind_of_file_is_known_by_its_ending(tmp_path: Path, name: str, content: str, expected: list[str]) -> None:
    assert texts(put(tmp_path / name, content)) == expected


def test_column_with_another_name_is_chosen(tmp_path: Path) -> None:
    assert texts(put(tmp_path / "a.tsv", "内容\ttext\nyes\tno\n"), text_column="内容") == ["yes"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tsv", "pid\tcontext\n1\tgood\n2\n3\t\n", r"a\.tsv, line 3: 1 field where.*1 more line"),
        ("a.tsv", "pid\tcontext\n1\t[b][/b]\n", "line 2: no text"),
        ("a.tsv", "pid\tbody\n1\tx\n", "line 1 names no column for the text"),
        ("a.tsv", "text\ttext\n1\tx\n", "two columns 'text'"),
        ("a.tsv", "pid,context\n1,x\n", "looks like CSV"),
        ("a.tsv", "text\tconfidence\nx\t1\n", "column 'confidence' already"),
        ("a.csv", "pid,text\n1,x,y\n", "line 2: 3 fields"),
        ("a.csv", 'pid,text\n1,"x\n', "line 2: not CSV"),
        ("a.jsonl", '{"text": "x"}\n{"text": 5}\n', "line 2: 'text' is not a string"),
        ("a.jsonl", '{"text": "x"}\n{"txt": "x"}\n', "line 2: no field 'text'"),
        ("a.jsonl", '{"text": "x"\n', "line 1: not JSON"),
        ("a.jsonl", "[]\n", "line 1: not a JSON object"),
        ("a.jsonl", '{"text": "x", "n": "\\ud800"}\n', "line 1: half a character"),
        ("a.jsonl", '{"text": null}\n', "line 1: no text"),
        ("a.txt", b"one\n\xff\xfe\n", "line 2 is not UTF-8"),
        ("a.txt", "\n\n", "holds no text"),
        ("a.tsv", "pid\tcontext\n", "holds no text"),
    ],
)
def test_file_with_a_row_that_cannot_be_judged_is_refused_by_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        look_through(put(tmp_path / name, content))


def test_results_in_tsv_can_be_read_back_with_all_that_came(tmp_path: Path) -> None:
    value = 'back\\slash, "quote"\ttab\nend'
    path = put(tmp_path / "a.jsonl", json.dumps({"text": value, "tags": ["a"]}) + '\n{"id": 3, "text": "two"}\n')
    header, *lines = (split_fields(line.rstrip("\n")) for line in written(path, Form.tsv))
    assert header == ["text", "tags", "id", "predicted_label", "confidence", "p_normal", "p_suspicious", "p_violation"]
    said = ["violation", "0.700000", "0.250000", "0.050000", "0.700000"]
    assert lines == [[value, '["a"]', None, *said], ["two", None, "3", *said]]


def test_results_in_jsonl_keep_the_fields_of_each_row(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", "pid\tcontext\n7\t一\n8\t\\N二\n")
    found = [json.loads(line) for line in written(path, Form.jsonl)]
    assert [(row["pid"], row["context"]) for row in found] == [("7", "一"), ("8", "N二")]
    assert found[0] == {
        "pid": "7", "context": "一", "predicted_label": "violation", "confidence": 0.7,
        "p_normal": 0.25, "p_suspicious": 0.05, "p_violation": 0.7,
    }  # fmt: skip


def test_form_follows_the_ending_or_the_file_that_came(tmp_path: Path) -> None:
    tsv = look_through(put(tmp_path / "a.tsv", "text\nx\n"))
    jsonl = look_through(put(tmp_path / "a.jsonl", '{"text": "x"}\n'))
    assert form_for(Path("o.jsonl"), asked=None, batch=tsv) is Form.jsonl
    assert form_for(Path("o.txt"), asked=Form.tsv, batch=jsonl) is Form.tsv
    assert [form_for(None, asked=None, batch=batch) for batch in (tsv, jsonl)] == [Form.tsv, Form.jsonl]
    with pytest.raises(BadInput, match="--format"):
        form_for(Path("o.txt"), asked=None, batch=tsv)


def test_rows_come_one_by_one_however_long_the_file_is(tmp_path: Path) -> None:
    """A file that goes on after the part that was read costs nothing: no row is asked for before its turn."""
    path = put(tmp_path / "a.tsv", "pid\tcontext\n" + "1\tone\n" * 5 + "broken\n")
    batch = Batch(path, Kind.tsv, None, 6, ("pid", "context"))
    rows = rows_of(batch)
    assert [next(rows).line for _ in range(5)] == [2, 3, 4, 5, 6]
    with pytest.raises(BadInput, match="line 7"):
        next(rows)
