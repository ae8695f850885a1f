"""Tables in each format: what others read of them is what was written, and nothing in a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from core.labelled import read_file
from core.sheets import BOM, Batch, CellKind, Column, Sheet, SheetForm, write_sheet
from core.tsv import ExportRow, split_fields

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
COLUMNS = (
    Column("post", CellKind.whole),
    Column("label"),
    Column("text"),
    Column("p", CellKind.number),
    Column("stands", CellKind.yes_no),
    Column("at", CellKind.time),
)
ROWS = [(1, "violation", "加微信\t领\n红包 \\N", 0.25, True, NOON), (2, None, '=1+1 "and" more', -0.5, False, NOON)]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def written(*batches: Batch, form: SheetForm, columns: tuple[Column, ...] = COLUMNS, **how: bool) -> bytes:
    return b"".join(write_sheet(Sheet(columns, iter(batches)), form, **how))


@given(st.lists(TEXTS, min_size=1))
def test_tsv_is_read_again_verbatim(texts: list[str]) -> None:
    found = written([(text,) for text in texts], form=SheetForm.tsv, columns=(Column("text"),)).decode()
    assert [split_fields(line) for line in found.split("\n")[1:-1]] == [[text] for text in texts]


@given(st.sampled_from(["=", "+", "-", "@", "\t=", "\r+", "\n", " =", "＝", "＠", "\ufeff="]), TEXTS)
def test_no_cell_begins_as_a_formula_in_csv_nor_in_a_tsv_that_is_to_be_safe(begins: str, rest: str) -> None:
    text = begins + rest
    rows = [(text, -1.5)]
    columns = (Column("text"), Column("p", CellKind.number))
    found = list(csv.reader(io.StringIO(written(rows, form=SheetForm.csv, columns=columns).decode(), newline="")))
    assert found[1] == [f"'{text}", "-1.5"]
    safe = written(rows, form=SheetForm.tsv, columns=columns, is_spreadsheet_safe=True).decode().split("\n")[1]
    assert split_fields(safe) == [f"'{text}", "-1.5"]
    verbatim = written(rows, form=SheetForm.tsv, columns=columns).decode().split("\n")[1]
    assert split_fields(verbatim) == [text, "-1.5"]


def test_every_format_holds_every_row_of_every_batch() -> None:
    batches = [ROWS[:1], ROWS[1:]]
    found = parquet.read_table(io.BytesIO(written(*batches, form=SheetForm.parquet)))
    assert [tuple(record.values()) for record in found.to_pylist()] == ROWS
    lines = written(*batches, form=SheetForm.jsonl).decode().splitlines()
    assert [json.loads(line)["text"] for line in lines] == [row[2] for row in ROWS]
    assert json.loads(lines[1])["label"] == ""
    missing = [(3, None, "x", None, True, NOON)]  # a number is missing as null, so that its column stays one of numbers
    assert json.loads(written(missing, form=SheetForm.jsonl))["p"] is None
    text = written(*batches, form=SheetForm.csv).decode()
    assert text.startswith(BOM)
    assert list(csv.reader(io.StringIO(text.removeprefix(BOM), newline=""))) == [
        ["post", "label", "text", "p", "stands", "at"],
        ["1", "violation", ROWS[0][2], "0.25", "true", "2026-03-02T12:00:00+00:00"],
        ["2", "", "'" + ROWS[1][2], "-0.5", "false", "2026-03-02T12:00:00+00:00"],
    ]


@pytest.mark.parametrize("batches", [(), ([],)], ids=["no batch", "an empty batch"])
@pytest.mark.parametrize("form", list(SheetForm))
def test_table_without_rows_is_a_file_that_can_be_read(form: SheetForm, batches: tuple[Batch, ...]) -> None:
    found = written(*batches, form=form)
    if form is SheetForm.parquet:
        assert parquet.read_table(io.BytesIO(found)).num_rows == 0
    elif form is SheetForm.label_studio:
        assert json.loads(found) == []
    else:
        assert len(found.decode().splitlines()) == (1 if form in (SheetForm.csv, SheetForm.tsv) else 0)


@pytest.mark.parametrize("form", [form for form in SheetForm if form is not SheetForm.parquet])
def test_import_reads_gold_labels_again(form: SheetForm) -> None:
    columns = (Column("post", CellKind.whole), Column("pid"), Column("label"), Column("text"))
    rows = [(1, "71", "violation", "加微信\t领\n红包"), (2, None, "normal", "天气 \\N 真好")]
    stream = io.BytesIO(written(rows, form=form, columns=columns))
    found = [row for row in read_file(stream, name=f"gold.{form.ending}") if isinstance(row, ExportRow)]
    assert [(row.pid, row.label, row.text) for row in found] == [(pid, label, text) for _, pid, label, text in rows]


def test_datasets_reads_json_lines_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    late = [(n, None, "x" * 400, 0.5, True, NOON) for n in range(30_000)] + [(9, "normal", "last", 0.5, True, NOON)]
    path = tmp_path / "gold.jsonl"  # longer than what the types of the columns are taken from
    path.write_bytes(written(late, form=SheetForm.jsonl))
    found = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
    assert (len(found), found[0]["label"], found[-1]["label"]) == (30_001, "", "normal")
    assert {name: found.features[name].dtype for name in ("post", "p", "stands", "text")} == {
        "post": "int64",
        "p": "float64",
        "stands": "bool",
        "text": "string",
    }


@pytest.mark.alone
@pytest.mark.parametrize("form", list(SheetForm))
def test_memory_does_not_grow_with_the_table(form: SheetForm) -> None:
    def batches(count: int) -> Iterator[Batch]:
        for first in range(0, count, 1_000):
            yield [(n, "normal", f"text {n} " * 8, 0.5, True, NOON) for n in range(first, first + 1_000)]

    peaks = []
    for count in (5_000, 50_000):
        tracemalloc.start()
        for _piece in write_sheet(Sheet(COLUMNS, batches(count)), form):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5 + 200_000
