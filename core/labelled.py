"""Labelled files (JSONL, CSV, TSV): the same rows as an export, with a label."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Literal

from core.domain import Label
from core.errors import BadInput
from core.text import clean_unicode
from core.tsv import (
    Columns,
    ExportRow,
    RejectedRow,
    find_columns,
    find_encoding,
    make_row,
    open_export,
    read_header_names,
    reject,
    split_fields,
)

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

FileKind = Literal["export", "tsv", "csv", "jsonl"]
_NAMES = {label.name: label.name for label in Label} | {label.chinese: label.name for label in Label}
_NAMES |= {"正常": "normal", "可疑": "suspicious", "疑似违规": "suspicious"}


def parse_label(value: object) -> str:
    """Return the label's English name. Raises BadInput for anything unknown; integers are never guessed."""
    text = str(value).strip()
    name = _NAMES.get(text.lower())
    if name is None:
        known = ", ".join(f"{label.name} ({label.chinese})" for label in Label)
        hint = " Integers mean different things in different files; replace them by names." if text.isdigit() else ""
        raise BadInput(f"unknown label {text[:40]!r}; known are {known}.{hint}")
    return name


def sniff_kind(name: str, head: bytes, *, found: str = "utf-8", columns: Mapping[str, str] | None = None) -> FileKind:
    """Tell an export from a labelled file by its ending and its first line. found: the encoding."""
    ending = name.lower().rpartition(".")[2]
    if ending == "csv":
        return "csv"
    if ending in ("jsonl", "json", "ndjson") or head.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"{"):
        return "jsonl"
    lines = head.decode(found, "replace").removeprefix("\ufeff").split("\n")
    first = next((line for line in lines if line.strip()), "")
    names = [clean_unicode(name or "").strip().lower() for name in split_fields(first)]
    return "tsv" if "label" in names or "label" in (columns or {}) else "export"


def header_of(stream: BinaryIO, *, name: str, encoding: str = "auto") -> tuple[str, tuple[str, ...]]:
    """Return (encoding found, names of columns or fields)."""
    head, found = find_encoding(stream, encoding)
    kind = sniff_kind(name, head, found=found)
    if kind in ("export", "tsv"):
        return read_header_names(stream, encoding=encoding)
    lines = _text_lines(stream, found)
    if kind == "csv":
        return found, tuple(map(clean_unicode, _csv_header(_csv_reader(lines))))
    first = next((line for line in lines if line.strip()), "{}")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        value = {}
    return found, tuple(map(clean_unicode, value)) if isinstance(value, dict) else ()


def read_file(
    stream: BinaryIO, *, name: str, encoding: str = "auto", columns: Mapping[str, str] | None = None
) -> Iterator[ExportRow | RejectedRow]:
    """Read any file that can be imported; rows of labelled files carry the English name of their label."""
    head, found = find_encoding(stream, encoding)
    kind = sniff_kind(name, head, found=found, columns=columns)
    if kind == "export":
        return open_export(stream, encoding=encoding, columns=columns)
    if kind == "tsv":
        rows = open_export(stream, encoding=encoding, columns=columns, needs_pid=False)
    elif kind == "csv":
        rows = _csv_rows(stream, found, columns)
    else:
        rows = _jsonl_rows(stream, found, columns)
    return map(_labelled, rows)


def _labelled(row: ExportRow | RejectedRow) -> ExportRow | RejectedRow:
    if isinstance(row, RejectedRow):
        return row
    if row.label is None or not row.label.strip():
        return reject(row.line, "no label", row.raw)
    try:
        return replace(row, label=parse_label(row.label))
    except BadInput as err:
        return reject(row.line, str(err), row.raw)


def _text_lines(stream: BinaryIO, encoding: str) -> Iterator[str]:
    """Decoded lines; what does not decode is marked (see _spoiled_in) and rejected where it stands."""
    errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
    lines = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")
    try:
        for number, line in enumerate(lines):
            yield line.removeprefix("\ufeff") if number == 0 else line
    finally:
        if not stream.closed:
            lines.detach()


def _spoiled_in(encoding: str) -> re.Pattern[str]:
    """What stands in a decoded line for bytes that do not decode. UTF-16 has no other way than U+FFFD."""
    return re.compile("\ufffd" if encoding.startswith("utf-16") else "[\udc80-\udcff]")


def _csv_rows(stream: BinaryIO, encoding: str, chosen: Mapping[str, str] | None) -> Iterator[ExportRow | RejectedRow]:
    reader = _csv_reader(_text_lines(stream, encoding))
    header = _csv_header(reader)
    columns = find_columns(header, chosen, needs_pid=False)
    if "label" not in columns.roles:
        raise BadInput("A CSV file is read as a labelled one and needs a column `label`; exports are tab-separated.")
    return _csv_body(reader, columns, spoiled=_spoiled_in(encoding))


def _csv_reader(lines: Iterator[str]) -> CsvReader:
    csv.field_size_limit(16_000_000)
    return csv.reader(lines)


def _csv_header(reader: CsvReader) -> list[str]:
    try:
        header = next(filter(None, reader), None)
    except csv.Error as err:
        raise BadInput(f"Line 1, the header, is not CSV: {err}.") from err
    if header is None:
        raise BadInput("The file is empty.")
    return header


def _csv_body(reader: CsvReader, columns: Columns, *, spoiled: re.Pattern[str]) -> Iterator[ExportRow | RejectedRow]:
    last = reader.line_num
    while True:
        number = last + 1
        try:
            fields = next(reader, None)
        except csv.Error as err:
            yield reject(number, f"not CSV: {err}", "")
            last = reader.line_num
            continue
        if fields is None:
            return
        last = reader.line_num
        if not fields:
            continue
        raw = ",".join(fields)
        if len(fields) != columns.count:
            yield reject(number, f"{len(fields)} fields where the header has {columns.count}", raw)
        elif spoiled.search(raw):
            yield reject(number, "bytes that do not decode", raw)
        else:
            yield make_row(number, raw, fields, columns, needs_pid=False)


def _jsonl_rows(stream: BinaryIO, encoding: str, chosen: Mapping[str, str] | None) -> Iterator[ExportRow | RejectedRow]:
    spoiled = _spoiled_in(encoding)
    for number, line in enumerate(_text_lines(stream, encoding), 1):
        if line.strip():
            yield _jsonl_row(number, line, chosen, spoiled=spoiled)


def _jsonl_row(
    number: int, line: str, chosen: Mapping[str, str] | None, *, spoiled: re.Pattern[str]
) -> ExportRow | RejectedRow:
    if spoiled.search(line):
        return reject(number, "bytes that do not decode", line)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return reject(number, "not JSON", line)
    if not isinstance(value, dict):
        return reject(number, "not a JSON object", line)
    try:
        columns = find_columns(list(value), chosen, needs_pid=False, where="This line")
    except BadInput as err:
        return reject(number, str(err), line)
    fields = [
        None if v is None else v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in value.values()
    ]
    return make_row(number, line, fields, columns, needs_pid=False)
