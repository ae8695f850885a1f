"""Files of texts to judge: read row by row, and written again with what a model says of each.

Memory depends neither on how many rows a file has nor on how long it is. A file is looked through before a model is
loaded, so that what cannot be used is said before anything is written.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.text import has_text
from core.tsv import (
    MAX_LINE_BYTES,
    TEXT_COLUMNS,
    find_encoding,
    join_fields,
    logical_lines,
    other_count,
    read_header,
    refuse_other_separators,
    split_fields,
)
from core.wording import _, ngettext

LINES_COLUMN = "text"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SAID = ("predicted_label", "confidence", *(f"p_{name}" for name in LABEL_NAMES))  # columns that are added
DIGITS = 6


class Kind(StrEnum):
    """How a file is written. lines: one text a line, without a header."""

    tsv = "tsv"
    csv = "csv"
    jsonl = "jsonl"
    lines = "lines"


class Form(StrEnum):
    """How results are written."""

    tsv = "tsv"
    jsonl = "jsonl"


_KINDS = {".tsv": Kind.tsv, ".csv": Kind.csv, ".jsonl": Kind.jsonl, ".ndjson": Kind.jsonl}
_FORMS = {".tsv": Form.tsv, ".jsonl": Form.jsonl, ".ndjson": Form.jsonl}


@dataclass(frozen=True, slots=True)
class TextRow:
    """A row that can be judged. line: its first, from 1. fields: all of them by name, in the order of the file."""

    line: int
    fields: Mapping[str, object]
    text: str


@dataclass(frozen=True, slots=True)
class BadRow:
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A file that was looked through. rows: how many. names: of every field that occurs, in order of appearance.

    text_column: chosen by name; None takes the first of TEXT_COLUMNS that is there.
    """

    path: Path
    kind: Kind
    text_column: str | None
    rows: int
    names: tuple[str, ...]


def look_through(path: Path, *, text_column: str | None = None) -> Batch:
    """Read the file once, and say what is in it.

    Its ending tells what it is: .tsv, .csv, .jsonl; anything else is one text a line. Raises BadInput with file and
    line for the first row that cannot be judged, and for a file without rows.
    """
    if not path.is_file():
        raise BadInput(_("{path!r} is not a file; name text files to read.").format(path=str(path)))
    kind = _KINDS.get(path.suffix.lower(), Kind.lines)
    names: dict[str, None] = {}
    count, bad, first = 0, 0, None
    for row in _rows(path, kind, text_column):
        if isinstance(row, BadRow):
            bad, first = bad + 1, first or row
        else:
            count += 1
            names.update(dict.fromkeys(row.fields))
    if first is not None:
        said = _place(path, first.line, first.reason)
        more = ngettext("{count} more line cannot be used.", "{count} more lines cannot be used.", bad - 1)
        raise BadInput(f"{said} {more.format(count=f'{bad - 1:,}')}" if bad > 1 else said)
    if not count:
        raise BadInput(_("{path} holds no text.").format(path=path))
    taken = [name for name in SAID if name in names]
    if taken:
        raise BadInput(
            _("{path} has a column {name!r} already, where the result would stand; rename it.").format(
                path=path, name=taken[0]
            )
        )
    return Batch(path, kind, text_column, count, tuple(names))


def rows_of(batch: Batch) -> Iterator[TextRow]:
    """The rows, in the order of the file. Raises BadInput when it has changed since it was looked through."""
    for row in _rows(batch.path, batch.kind, batch.text_column):
        if isinstance(row, BadRow):
            raise BadInput(_place(batch.path, row.line, row.reason))
        yield row


def form_for(path: Path | None, *, asked: Form | None, batch: Batch) -> Form:
    """How the results are written: as asked, else as the ending says, else as the texts came.

    Raises BadInput for an ending that says nothing.
    """
    if asked is not None:
        return asked
    if path is None:
        return Form.jsonl if batch.kind is Kind.jsonl else Form.tsv
    found = _FORMS.get(path.suffix.lower())
    if found is None:
        raise BadInput(_("{path} ends neither in .tsv nor in .jsonl; say which with --format.").format(path=path))
    return found


def results_as(form: Form, batch: Batch, judged: Iterable[tuple[TextRow, tuple[float, ...]]]) -> Iterator[str]:
    """Lines to be written, in order; for TSV with a header. judged: rows, each with probabilities in Label order."""
    if form is Form.jsonl:
        return (json.dumps(result_of(row, proba), ensure_ascii=False) + "\n" for row, proba in judged)
    return _tsv_lines(batch, judged)


def result_of(row: TextRow, proba: tuple[float, ...]) -> dict[str, object]:
    """The row's own fields, and what the model says."""
    top = max(range(len(proba)), key=proba.__getitem__)
    rounded = [round(value, DIGITS) for value in proba]
    return {**row.fields, **dict(zip(SAID, (LABEL_NAMES[top], rounded[top], *rounded), strict=True))}


def _tsv_lines(batch: Batch, judged: Iterable[tuple[TextRow, tuple[float, ...]]]) -> Iterator[str]:
    names = (*batch.names, *SAID)
    yield join_fields(names)
    for row, proba in judged:
        found = result_of(row, proba)
        yield join_fields(_cell(found.get(name)) for name in names)


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _place(path: Path, line: int, reason: str) -> str:
    return _("{path}, line {line}: {reason}.").format(path=path, line=line, reason=reason)


# --- reading --------------------------------------------------------------------------------------------------------


def _rows(path: Path, kind: Kind, text_column: str | None) -> Iterator[TextRow | BadRow]:
    readers = {Kind.tsv: _tsv_rows, Kind.csv: _csv_rows, Kind.jsonl: _jsonl_rows, Kind.lines: _line_rows}
    with path.open("rb") as stream:
        try:
            yield from readers[kind](stream, text_column)
        except BadInput as err:
            raise BadInput(f"{path}: {err}") from err


def _tsv_rows(stream: BinaryIO, text_column: str | None) -> Iterator[TextRow | BadRow]:
    """As MySQL writes them: tabs, backslash escapes, quotes that mean nothing; \\N is None."""
    _head, encoding = find_encoding(stream, "auto")
    lines = logical_lines(stream, encoding)
    names = read_header(lines)
    refuse_other_separators(names)
    wanted = _text_column(names, text_column)
    for line in lines:
        values = split_fields(line.text)
        yield BadRow(line.number, line.problem) if line.problem else _row(line.number, names, values, wanted)


def _csv_rows(stream: BinaryIO, text_column: str | None) -> Iterator[TextRow | BadRow]:
    csv.field_size_limit(MAX_LINE_BYTES)
    rows = csv.reader(_utf8_lines(stream), strict=True)
    try:
        names = next(rows, [])
        wanted = _text_column(names, text_column)
        begun = rows.line_num + 1
        for values in rows:
            if values:
                yield _row(begun, names, values, wanted)
            begun = rows.line_num + 1
    except csv.Error as err:
        yield BadRow(rows.line_num, _("not CSV: {problem}").format(problem=err))


def _row(line: int, names: list[str], values: list[str] | list[str | None], wanted: str) -> TextRow | BadRow:
    if len(values) != len(names):
        return BadRow(line, other_count(len(values), len(names)))
    return _judged(line, dict(zip(names, values, strict=True)), wanted)


def _judged(line: int, fields: Mapping[str, object], wanted: str) -> TextRow | BadRow:
    text = fields.get(wanted)
    if text is not None and not isinstance(text, str):
        return BadRow(line, _("{column!r} is not a string").format(column=wanted))
    return TextRow(line, fields, text) if text and has_text(text) else BadRow(line, _("no text"))


def _text_column(names: Iterable[str], chosen: str | None) -> str:
    """The name of the column with the text. Raises BadInput where there is none, or two have one name."""
    listed = list(names)
    twice = next((name for name in listed if listed.count(name) > 1), None)
    if twice is not None:
        raise BadInput(_("line 1 names two columns {name!r}; give them different names").format(name=twice))
    found = _find_text(listed, chosen)
    if found is None:
        raise BadInput(
            _("line 1 names no column for the text ({usual}) but {names}; choose it with --column").format(
                usual=chosen or ", ".join(TEXT_COLUMNS), names=", ".join(map(repr, listed[:20]))
            )
        )
    return found


def _find_text(names: Iterable[str], chosen: str | None) -> str | None:
    by_name = {name.strip().lower(): name for name in names}
    wanted = TEXT_COLUMNS if chosen is None else (chosen.strip().lower(),)
    return next((by_name[name] for name in wanted if name in by_name), None)


def _jsonl_rows(stream: BinaryIO, text_column: str | None) -> Iterator[TextRow | BadRow]:
    for number, line in enumerate(_utf8_lines(stream), 1):
        if line.strip():
            yield _jsonl_row(number, line, text_column)


def _jsonl_row(number: int, line: str, text_column: str | None) -> TextRow | BadRow:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return BadRow(number, _("not JSON"))
    if not isinstance(record, dict):
        return BadRow(number, _("not a JSON object"))
    if "\\u" in line and _LONE_SURROGATE.search(json.dumps(record, ensure_ascii=False)):
        return BadRow(number, _("half a character (a lone surrogate)"))
    wanted = _find_text(record, text_column)
    if wanted is None:
        return BadRow(number, _("no field {column!r}").format(column=text_column or LINES_COLUMN))
    return _judged(number, record, wanted)


def _line_rows(stream: BinaryIO, _text_column: str | None) -> Iterator[TextRow | BadRow]:
    """Blank lines are no rows."""
    for number, line in enumerate(_utf8_lines(stream), 1):
        text = line.strip()
        if text:
            yield _judged(number, {LINES_COLUMN: text}, LINES_COLUMN)


def _utf8_lines(stream: BinaryIO) -> Iterator[str]:
    """Raises BadInput, naming the line, for one that is not UTF-8 or too long."""
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(raw) == MAX_LINE_BYTES:
            raise BadInput(_("line {line} is longer than 16 MB").format(line=number))
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as err:
            raise BadInput(_("line {line} is not UTF-8; convert the file first").format(line=number)) from err
        yield text.removeprefix("\ufeff") if number == 1 else text
