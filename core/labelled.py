"""Labelled files: the same rows as an export, with a label. JSONL, CSV, TSV, and what annotation tools export."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, NamedTuple

from core.blocks import can_be_cut
from core.errors import BadInput
from core.exchange import DISAGREE, Shape, field_names, plain_record, shape_of
from core.json_arrays import split_array
from core.labels import majority, parse_order, read_label
from core.text import clean_unicode
from core.tsv import (
    Columns,
    ExportRow,
    RejectedRow,
    find_columns,
    find_encoding,
    make_row,
    open_export,
    other_count,
    read_header_names,
    reject,
    split_fields,
)
from core.wording import N_, _, ngettext

CHUNK_CHARACTERS = 65_536
MAX_LINES_OF_A_ROW = 500  # of a CSV row
MAX_ANNOTATORS = 200  # records of one task that JSON-MIN brings one after the other
Rows = Iterator[ExportRow | RejectedRow]


class FileKind(StrEnum):
    """What a file was recognised as."""

    export = "export"
    tsv = "tsv"
    csv = "csv"
    jsonl = "jsonl"
    json = "json"
    label_studio = "label_studio"
    label_studio_min = "label_studio_min"
    doccano = "doccano"

    @property
    def words(self) -> str:
        return _(_WORDS[self])


_WORDS = {
    FileKind.export: N_("Forum export"),
    FileKind.tsv: N_("Labelled TSV"),
    FileKind.csv: N_("Labelled CSV"),
    FileKind.jsonl: N_("Labelled JSONL"),
    FileKind.json: N_("Labelled JSON array"),
    FileKind.label_studio: N_("Label Studio export"),
    FileKind.label_studio_min: N_("Label Studio export (JSON-MIN)"),
    FileKind.doccano: N_("doccano export"),
}


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands at the beginning of a file. names: of columns or fields."""

    kind: FileKind
    encoding: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the records of a JSON file are read."""

    chosen: Mapping[str, str]
    order: tuple[str, ...]


# --- what a file is -------------------------------------------------------------------------------------------------


def sniff_kind(name: str, head: bytes, *, found: str = "utf-8", columns: Mapping[str, str] | None = None) -> FileKind:
    """Tell an export from a labelled file, and whose, by the file's ending and its first line or record.

    found: the encoding.
    """
    ending = name.lower().rpartition(".")[2]
    if ending == "csv":
        return FileKind.csv
    text = _decoded(head, found)
    if _is_json(ending, text):
        return _kind_of_json(text, is_array=_is_array(ending, text))
    first = next((line for line in text.split("\n") if line.strip()), "")
    names = [clean_unicode(name or "").strip().lower() for name in split_fields(first)]
    return FileKind.tsv if "label" in names or "label" in (columns or {}) else FileKind.export


def _decoded(head: bytes, encoding: str) -> str:
    return head.decode(encoding, "replace").removeprefix("\ufeff")


def _is_json(ending: str, text: str) -> bool:
    return ending in ("jsonl", "json", "ndjson") or text.lstrip(" \r\n").startswith("{") or _is_array(ending, text)


def _is_array(ending: str, text: str) -> bool:
    """A bracket alone may be anything, and a line of JSONL may be a list; `[{` is an array of records."""
    begins = text.lstrip()
    return begins.startswith("[") and (ending == "json" or begins[1:].lstrip().startswith("{"))


def _kind_of_json(text: str, *, is_array: bool) -> FileKind:
    shape = _shape_of_first(text, is_array=is_array)
    plain = FileKind.json if is_array else FileKind.jsonl
    return plain if shape is Shape.plain else FileKind(shape)


def _shape_of_first(text: str, *, is_array: bool) -> Shape:
    begins = text.find("{")
    try:
        first, _end = json.JSONDecoder().raw_decode(text, max(begins, 0))
    except (ValueError, RecursionError):
        # Longer than what was read of the file, or broken: by the words that only Label Studio puts there.
        is_task = is_array and '"annotations"' in text and '"data"' in text
        return Shape.label_studio if is_task else Shape.plain
    return shape_of(first) if isinstance(first, dict) else Shape.plain


def header_of(
    stream: BinaryIO, *, name: str, encoding: str = "auto", columns: Mapping[str, str] | None = None
) -> Heading:
    """Return what was recognised, and the names that columns can be chosen from."""
    head, found = find_encoding(stream, encoding)
    kind = sniff_kind(name, head, found=found, columns=columns)
    if kind in (FileKind.export, FileKind.tsv):
        return Heading(kind, *read_header_names(stream, encoding=encoding))
    if kind is FileKind.csv:
        return Heading(kind, found, tuple(map(clean_unicode, _csv_header(_CsvLines(_text_lines(stream, found))))))
    _number, raw, _problem = next(_records(stream, name, head, found), (0, "", None))
    try:
        first = json.loads(raw)
        names = tuple(map(clean_unicode, field_names(first))) if isinstance(first, dict) else ()
    except (ValueError, RecursionError):
        names = ()
    return Heading(kind, found, names)


# --- reading --------------------------------------------------------------------------------------------------------


def is_in_blocks(
    stream: BinaryIO, *, name: str, encoding: str = "auto", columns: Mapping[str, str] | None = None
) -> bool:
    """Whether the file is an export that core.blocks can cut; leaves the stream at its beginning."""
    head, found = find_encoding(stream, encoding)
    return can_be_cut(found) and sniff_kind(name, head, found=found, columns=columns) is FileKind.export


def read_file(
    stream: BinaryIO,
    *,
    name: str,
    encoding: str = "auto",
    columns: Mapping[str, str] | None = None,
    label_order: Sequence[str] = (),
) -> Rows:
    """Read any file that can be imported; rows of labelled files carry the English name of their label.

    label_order: the labels that integers from 0 on mean in this file; without it they are rejected.
    """
    order = parse_order(label_order)
    head, found = find_encoding(stream, encoding)
    kind = sniff_kind(name, head, found=found, columns=columns)
    if kind is FileKind.export:
        return open_export(stream, encoding=encoding, columns=columns)
    if kind is FileKind.tsv:
        rows = open_export(stream, encoding=encoding, columns=columns, needs_pid=False)
    elif kind is FileKind.csv:
        rows = _csv_rows(stream, found, columns)
    else:
        reading = _Reading(columns or {}, order)
        rows = _json_rows(_records(stream, name, head, found), reading)
    labelled = (_labelled(row, order) for row in rows)
    return _agree_on_tasks(labelled) if kind is FileKind.label_studio_min else labelled


def _labelled(row: ExportRow | RejectedRow, order: Sequence[str]) -> ExportRow | RejectedRow:
    if isinstance(row, RejectedRow):
        return row
    if row.label is None or not row.label.strip():
        return reject(row.line, _("no label"), row.raw)
    try:
        return row._replace(label=read_label(row.label, order))
    except BadInput as err:
        return reject(row.line, str(err), row.raw)


def _text_lines(stream: BinaryIO, encoding: str) -> Iterator[str]:
    """Decoded lines; what does not decode is marked (see _SPOILED) and rejected where it stands."""
    return _text_parts(stream, encoding, lambda text: text.readline())


def _text_chunks(stream: BinaryIO, encoding: str) -> Iterator[str]:
    return _text_parts(stream, encoding, lambda text: text.read(CHUNK_CHARACTERS))


def _text_parts(stream: BinaryIO, encoding: str, read: Callable[[io.TextIOWrapper], str]) -> Iterator[str]:
    text = io.TextIOWrapper(stream, encoding=encoding, errors="mark-spoiled", newline="")
    try:
        is_first = True
        while part := read(text):
            yield part.removeprefix("\ufeff") if is_first else part
            is_first = False
    finally:
        if not stream.closed:
            text.detach()


def _mark_spoiled(err: UnicodeError) -> tuple[str, int]:
    """Half a surrogate pair for bytes that do not decode: no text that decodes holds one, as it may hold U+FFFD."""
    if not isinstance(err, UnicodeDecodeError):
        raise err
    return "\udc80", err.end


codecs.register_error("mark-spoiled", _mark_spoiled)
_SPOILED = re.compile("[\ud800-\udfff]")


# --- CSV ------------------------------------------------------------------------------------------------------------


class _CsvLines:
    """The lines of a CSV file, for the csv module: remembers those of one row, and takes them back.

    A quotation mark that is not closed would make one row of all that follows. Where the file ends in such a row, it
    has more lines than a post, or it closes where no field can end, only its first line is lost: the others are read
    again. (RFC 4180: a quotation mark inside a quoted field is doubled.)
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._returned: deque[str] = deque()
        self._row: list[str] = []
        self._number = 0  # of the line given last
        self._is_open = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next() if len(self._row) < MAX_LINES_OF_A_ROW else None
        if line is None:
            self._is_open = bool(self._row)
            raise StopIteration
        self._row.append(line)
        self._number += 1
        return line

    def _next(self) -> str | None:
        return self._returned.popleft() if self._returned else next(self._lines, None)

    def read_row(self) -> _CsvRow | None:
        """The next row; None at the end of the file."""
        self._row, self._is_open, first = [], False, self._number + 1
        fields, problem = None, None
        try:
            fields = next(csv.reader(self, strict=True), None)
        except csv.Error as err:
            problem = _("not CSV: {problem}").format(problem=err)
        if fields is None and problem is None:
            return None
        if self._is_open or (problem and len(self._row) > 1):
            problem = _("a quotation mark that begins a field is not closed")
            self._give_back()
        return _CsvRow(first, self._number, fields or [], "".join(self._row).rstrip("\r\n"), problem)

    def _give_back(self) -> None:
        rest = self._row[1:]
        del self._row[1:]
        self._returned.extendleft(reversed(rest))
        self._number -= len(rest)


class _CsvRow(NamedTuple):
    """first, last: its lines, from 1. raw: as it stands in the file."""

    first: int
    last: int
    fields: list[str]
    raw: str
    problem: str | None


def _csv_rows(stream: BinaryIO, encoding: str, chosen: Mapping[str, str] | None) -> Rows:
    lines = _CsvLines(_text_lines(stream, encoding))
    columns = find_columns(_csv_header(lines), chosen, needs_pid=False)
    if "label" not in columns.roles:
        raise BadInput(_("A CSV file is read as a labelled one and needs a column `label`; exports are tab-separated."))
    return _csv_body(lines, columns)


def _csv_header(lines: _CsvLines) -> list[str]:
    csv.field_size_limit(16_000_000)
    while row := lines.read_row():
        if row.problem:
            raise BadInput(
                _("Line {first}, the header, cannot be read: {reason}.").format(first=row.first, reason=row.problem)
            )
        if row.fields:
            return row.fields
    raise BadInput(_("The file is empty."))


def _other_count(row: _CsvRow, wanted: int) -> str:
    count = len(row.fields)
    if row.last == row.first:
        return other_count(count, wanted)
    said = ngettext(
        "{count} field in lines {first} to {last} where the header has {wanted}",
        "{count} fields in lines {first} to {last} where the header has {wanted}",
        count,
    )
    return said.format(count=count, first=row.first, last=row.last, wanted=wanted)


def _csv_body(lines: _CsvLines, columns: Columns) -> Rows:
    while row := lines.read_row():
        if row.problem:
            yield reject(row.first, row.problem, row.raw)
        elif not row.fields:
            continue
        elif len(row.fields) != columns.count:
            yield reject(row.first, _other_count(row, columns.count), row.raw)
        elif _SPOILED.search(row.raw):
            yield reject(row.first, _("bytes that do not decode"), row.raw)
        else:
            yield make_row(row.first, row.raw, row.fields, columns, needs_pid=False)


# --- JSON -----------------------------------------------------------------------------------------------------------


def _records(stream: BinaryIO, name: str, head: bytes, encoding: str) -> Iterator[tuple[int, str, str | None]]:
    """(line, record as it stands, problem) of an array, or of a file with one record a line.

    Lines identify rows. Records of an array that share a line are counted on from it, so that each has its own.
    """
    if not _is_array(name.lower().rpartition(".")[2], _decoded(head, encoding)):
        lines = enumerate(_text_lines(stream, encoding), 1)
        yield from ((number, line, None) for number, line in lines if line.strip())
        return
    last = 0
    for element in split_array(_text_chunks(stream, encoding)):
        last = max(element.line, last + 1)
        yield last, element.raw, element.problem


def _json_rows(records: Iterator[tuple[int, str, str | None]], reading: _Reading) -> Rows:
    for number, raw, problem in records:
        yield reject(number, problem, raw) if problem else _json_row(number, raw, reading)


def _json_row(number: int, raw: str, reading: _Reading) -> ExportRow | RejectedRow:
    if _SPOILED.search(raw):
        return reject(number, _("bytes that do not decode"), raw)
    try:
        value = json.loads(raw)
        if not isinstance(value, dict):
            return reject(number, _("not a JSON object"), raw)
        record = plain_record(value, chosen=reading.chosen, order=reading.order)
        columns = find_columns(list(record), reading.chosen, needs_pid=False, where=N_("This record"))
        values = list(record.values())
        _require_text(values[columns.roles["text"]])
        fields = [_field(value) for value in values]
    except BadInput as err:
        return reject(number, str(err), raw)
    except ValueError:
        return reject(number, _("not JSON"), raw)
    except RecursionError:
        return reject(number, _("nested too deeply"), raw)
    return make_row(number, raw, fields, columns, needs_pid=False)


def _require_text(value: object) -> None:
    if isinstance(value, bool | list | dict):
        raise BadInput(_("the text is no string"))


def _field(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- several annotators ---------------------------------------------------------------------------------------------


def _agree_on_tasks(rows: Rows) -> Rows:
    """JSON-MIN has one record an annotation, those of a task one after the other: each gets what most of them said."""
    task: list[ExportRow] = []
    for row in rows:
        if isinstance(row, RejectedRow):
            yield row
            continue
        if task and (_task_id(row) != _task_id(task[0]) or len(task) == MAX_ANNOTATORS):
            yield from _agreed(task)
            task = []
        task.append(row)
    yield from _agreed(task)


def _task_id(row: ExportRow) -> object:
    return row.extra.get("id", row)


def _agreed(task: list[ExportRow]) -> Rows:
    label = majority(row.label for row in task if row.label is not None)
    for row in task:
        yield reject(row.line, _(DISAGREE), row.raw) if label is None else row._replace(label=label)
