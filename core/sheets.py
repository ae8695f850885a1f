"""Tables that leave the program: rows as a stream, in each format that others read, in memory that does not grow.

TSV is written as MySQL writes it, and core.tsv reads it again as it was. JSON lines have an empty text where
none is, because `datasets.load_dataset` takes a column's type from the first megabytes, and would refuse one later.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.tsv import join_fields

Cell = str | int | float | bool | datetime | None
Row = tuple[Cell, ...]
Batch = Sequence[Row]

BOM = "\ufeff"  # by which spreadsheets tell that a CSV file is UTF-8
_FORMULA = re.compile(r"[\t\r\n]|[\s\ufeff\u200b]*[=+\-@＝＋－＠]")


class SheetForm(StrEnum):
    """How a table is written."""

    csv = "csv"
    tsv = "tsv"
    jsonl = "jsonl"
    parquet = "parquet"
    label_studio = "label-studio"
    doccano = "doccano"

    @property
    def ending(self) -> str:
        """Of a file's name."""
        return {SheetForm.label_studio: "label-studio.json", SheetForm.doccano: "doccano.jsonl"}.get(self, self.value)

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    SheetForm.csv: "text/csv; charset=utf-8",
    SheetForm.tsv: "text/tab-separated-values; charset=utf-8",
    SheetForm.jsonl: "application/jsonl; charset=utf-8",
    SheetForm.parquet: "application/vnd.apache.parquet",
    SheetForm.label_studio: "application/json; charset=utf-8",
    SheetForm.doccano: "application/jsonl; charset=utf-8",
}
TABULAR = (SheetForm.csv, SheetForm.tsv, SheetForm.jsonl, SheetForm.parquet)


class CellKind(StrEnum):
    """What a column holds."""

    text = "text"
    whole = "whole"
    number = "number"
    yes_no = "yes_no"
    time = "time"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: CellKind = CellKind.text


@dataclass(frozen=True, slots=True)
class Sheet:
    """columns: in the order of each row's cells. batches: rows that are written together; read once."""

    columns: tuple[Column, ...]
    batches: Iterator[Batch]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def write_sheet(sheet: Sheet, form: SheetForm, *, is_spreadsheet_safe: bool = False) -> Iterator[bytes]:
    """The table in that format, piece by piece.

    is_spreadsheet_safe: no cell of a TSV is read as a formula; in CSV none ever is, for spreadsheets open it.
    Label Studio and doccano take a sheet with the columns text and label, and each row as a task with its annotation.
    """
    sheet = replace(sheet, batches=filter(len, sheet.batches))
    if form is SheetForm.parquet:
        return _parquet(sheet)
    if form is SheetForm.csv:
        return _csv(sheet)
    if form is SheetForm.tsv:
        return _tsv(sheet, _harmless if is_spreadsheet_safe else _as_it_is)
    if form is SheetForm.jsonl:
        return _json_lines(sheet, lambda record: record)
    if form is SheetForm.doccano:
        return _json_lines(sheet, _doccano_record)
    return _label_studio(sheet)


# --- cells ------------------------------------------------------------------------------------------------------------


def _text_of(cell: Cell) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return cell.isoformat()
    return None if cell is None else str(cell)


def _as_it_is(cell: Cell) -> str | None:
    return _text_of(cell)


def _harmless(cell: Cell) -> str | None:
    """A text that a spreadsheet would take for a formula begins with an apostrophe; numbers stay numbers.

    OWASP, CSV Injection: =, +, - and @, their full-width forms, and what is read as the beginning of a cell.
    """
    found = _text_of(cell)
    return f"'{found}" if isinstance(cell, str) and found is not None and _FORMULA.match(found) else found


# --- formats ----------------------------------------------------------------------------------------------------------


def _tsv(sheet: Sheet, said: Callable[[Cell], str | None]) -> Iterator[bytes]:
    yield join_fields(map(said, sheet.names)).encode()
    for batch in sheet.batches:
        yield "".join(join_fields(map(said, row)) for row in batch).encode()


def _csv(sheet: Sheet) -> Iterator[bytes]:
    """RFC 4180, texts always in quotation marks: a semicolon in one begins no cell where spreadsheets want those."""
    yield (BOM + _csv_lines([sheet.names])).encode()
    for batch in sheet.batches:
        yield _csv_lines(batch).encode()


def _csv_lines(rows: Sequence[Sequence[Cell]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([_csv_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _csv_cell(cell: Cell) -> str | int | float | None:
    return cell if isinstance(cell, int | float) and not isinstance(cell, bool) else _harmless(cell)


def _json_lines(sheet: Sheet, made: Callable[[dict[str, Cell]], dict[str, Any]]) -> Iterator[bytes]:
    for batch in sheet.batches:
        yield "".join(_json(made(record)) + "\n" for record in _records(sheet, batch)).encode()


def _records(sheet: Sheet, batch: Batch) -> Iterator[dict[str, Cell]]:
    for row in batch:
        yield {column.name: _json_cell(cell, column.kind) for column, cell in zip(sheet.columns, row, strict=True)}


def _json_cell(cell: Cell, kind: CellKind) -> Cell:
    if cell is None and kind is CellKind.text:
        return ""
    return cell.isoformat() if isinstance(cell, datetime) else cell


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _doccano_record(record: dict[str, Cell]) -> dict[str, Any]:
    """{"id", "text", "label": [name]}; the other columns are doccano's metadata."""
    others = {name: cell for name, cell in record.items() if name not in ("post", "text", "label") and cell != ""}
    return {"id": record["post"], "text": record["text"], "label": [record["label"]], **others}


def _label_studio(sheet: Sheet) -> Iterator[bytes]:
    """An array of tasks, each with one annotation: a choice of the control `label` on the object `text`."""
    is_first = True
    for batch in sheet.batches:
        tasks = ",\n".join(_json(_task(record)) for record in _records(sheet, batch))
        yield (("[\n" if is_first else ",\n") + tasks).encode()
        is_first = False
    yield b"[]\n" if is_first else b"\n]\n"


def _task(record: dict[str, Cell]) -> dict[str, Any]:
    held = {name: cell for name, cell in record.items() if name != "label" and cell != ""}
    choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [record["label"]]}}
    return {"data": held, "annotations": [{"result": [choice]}]}


class _Pieces(io.RawIOBase):
    """What was written and not taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self._written += len(self._pieces[-1])
        return len(self._pieces[-1])

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _parquet(sheet: Sheet) -> Iterator[bytes]:
    """A row group for each batch."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        CellKind.text: pa.string(),
        CellKind.whole: pa.int64(),
        CellKind.number: pa.float64(),
        CellKind.yes_no: pa.bool_(),
        CellKind.time: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([pa.field(column.name, types[column.kind]) for column in sheet.columns])
    pieces = _Pieces()
    with parquet.ParquetWriter(pieces, schema) as writer:
        for batch in sheet.batches:
            columns = zip(*batch, strict=True)
            arrays = [pa.array(cells, type=each.type) for cells, each in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield pieces.take()
    yield pieces.take()
