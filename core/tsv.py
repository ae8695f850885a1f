"""Forum exports as MySQL writes them: a stream of rows and rejects, in memory that does not depend on the file.

Tab-separated, no quoting, backslash escapes (also before a real newline or tab), \\N for NULL; UTF-8, UTF-16 or
GB18030. https://dev.mysql.com/doc/refman/8.4/en/load-data.html, "Field and Line Handling".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from core.errors import BadInput
from core.text import clean_unicode, has_text

HEAD_BYTES = 65_536
MAX_LINE_BYTES = 16_000_000
MAX_RAW_CHARACTERS = 2_000
ENCODINGS = ("auto", "utf-8", "utf-16", "gb18030")
TEXT_COLUMNS = ("context", "text", "content", "message")
_ROLES = {
    "pid": ("pid",),
    "text": TEXT_COLUMNS,
    "hit_word": ("hit_word",),
    "author": ("author",),
    "author_id": ("authorid", "author_id"),
    "ip": ("useip", "ip"),
    "label": ("label",),
}
ROLES = tuple(_ROLES)
_TOO_LONG = "the line is longer than 16 MB"
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FIELD = re.compile(r"(?:[^\t\\]|\\.|\\$)*", re.DOTALL)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")  # a text holds a stray one at most
_NOT_PLAIN = re.compile("[\\\\\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # what clean_unicode or an escape would change


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One row that was read well. line: its first physical line, from 1. extra: columns without a role.

    raw: as it stood in the file.
    """

    line: int
    pid: str | None
    text: str
    hit_word: str | None = None
    author: str | None = None
    author_id: str | None = None
    ip: str | None = None
    label: str | None = None
    extra: dict[str, str] = field(default_factory=dict)
    raw: str = ""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be used, and why. raw: as it stood in the file, at most 2,000 characters."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of the columns with a role, and of the others by name."""

    count: int
    roles: dict[str, int]
    extra: dict[str, int]


def find_columns(
    header: Sequence[str], chosen: Mapping[str, str] | None = None, *, needs_pid: bool = True, where: str = "Line 1"
) -> Columns:
    """Match header names to roles without regard to case, order or blanks; `chosen` (role to name) goes first.

    Raises BadInput when pid or text has no column, naming what was found and how to choose.
    """
    names = [name.strip().lower() for name in header]
    roles: dict[str, int] = {}
    for role, wanted in (chosen or {}).items():
        if role not in _ROLES or wanted.strip().lower() not in names:
            raise BadInput(f"There is no column {wanted!r} to use as {role!r}; the columns are {_listed(header)}.")
        roles[role] = names.index(wanted.strip().lower())
    for role, usual in _ROLES.items():
        found = next((names.index(name) for name in usual if name in names), None)
        if role not in roles and found is not None and found not in roles.values():
            roles[role] = found
    missing = [role for role in (("pid", "text") if needs_pid else ("text",)) if role not in roles]
    if missing:
        wanted = " and none for ".join(f"{role} (usually {', '.join(_ROLES[role])})" for role in missing)
        options = " ".join(f"--column {role}=NAME" for role in missing)
        raise BadInput(
            f"{where} names no column for {wanted}; the columns are {_listed(header)}. "
            f"Choose {'it' if len(missing) == 1 else 'them'} on the import page, or with {options}."
        )
    extra = {name: place for place, name in enumerate(header) if place not in roles.values()}
    return Columns(len(header), roles, extra)


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in header[:20])
    return shown + (f" and {len(header) - 20} more" if len(header) > 20 else "")


def detect_encoding(head: bytes) -> str:
    """Return utf-8-sig, utf-8, utf-16-le, utf-16-be or gb18030 for the first bytes of a file."""
    boms = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
    for bom, encoding in boms.items():
        if head.startswith(bom):
            return encoding
    half = max(1, len(head) // 2)
    if head[1::2].count(0) > half * 0.2 and head[1::2].count(0) > 4 * head[::2].count(0):
        return "utf-16-le"
    if head[::2].count(0) > half * 0.2 and head[::2].count(0) > 4 * head[1::2].count(0):
        return "utf-16-be"
    # GB18030 finds a character for almost any bytes, UTF-8 for almost none but its own: what is mostly UTF-8 is UTF-8
    # with a few bad places, even where GB18030 would have fewer complaints.
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # a character that the head cuts in two is no error
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)
    bad = text.count("\ufffd")
    good = sum(not character.isascii() for character in text) - bad
    return "utf-8" if good > bad else "gb18030"


def resolve_encoding(head: bytes, encoding: str) -> str:
    if encoding not in ENCODINGS:
        raise BadInput(f"Encoding {encoding!r} is not one of {', '.join(ENCODINGS)}.")
    if encoding == "utf-16":
        return (
            "utf-16-be" if head.startswith(codecs.BOM_UTF16_BE) or detect_encoding(head) == "utf-16-be" else "utf-16-le"
        )
    if encoding == "utf-8":
        return "utf-8-sig"
    found = detect_encoding(head) if encoding == "auto" else encoding
    if not found.startswith("utf-16") and len(_CONTROLS.findall(head)) > max(8, len(head) // 50):
        raise BadInput("The file is not a text file. Export the posts as tab-separated text (TSV).")
    return found


def refuse_other_formats(head: bytes) -> None:
    """Raise BadInput for what is plainly no text export."""
    if not head:
        raise BadInput("The file is empty.")
    formats = {
        b"PK\x03\x04": "an Excel workbook or ZIP archive; save it as tab-separated text",
        b"\x1f\x8b": "compressed with gzip; unpack it first",
        b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as tab-separated text",
        b"%PDF": "a PDF",
        b"SQLite format 3": "a SQLite database",
    }
    for magic, what in formats.items():
        if head.startswith(magic):
            raise BadInput(f"The file is {what}.")


def open_export(
    stream: BinaryIO, *, encoding: str = "auto", columns: Mapping[str, str] | None = None, needs_pid: bool = True
) -> Iterator[ExportRow | RejectedRow]:
    """Read the header and return an iterator over the rows; header and blank lines are no rows.

    Raises BadInput at once for a file that is no export at all.
    """
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    refuse_other_formats(head)
    lines = _logical_lines(stream, resolve_encoding(head, encoding))
    header = _read_header(lines)
    if len(header) == 1 and header[0].count(",") >= 1:
        raise BadInput("Line 1 has commas and no tab: this looks like CSV. Export as tab-separated text (TSV).")
    found = find_columns(header, columns, needs_pid=needs_pid)
    return (_to_row(line, found, needs_pid=needs_pid) for line in lines)


def read_header_names(stream: BinaryIO, *, encoding: str = "auto") -> tuple[str, tuple[str, ...]]:
    """Return (encoding found, header names as they stand) of an export."""
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    refuse_other_formats(head)
    found = resolve_encoding(head, encoding)
    return found, tuple(_read_header(_logical_lines(stream, found)))


def _read_header(lines: Iterator[_Line]) -> list[str]:
    first = next(lines, None)
    if first is None:
        raise BadInput("The file is empty.")
    if first.problem:
        raise BadInput(f"Line 1, the header, cannot be read: {first.problem}. Choose another encoding.")
    return [clean_unicode(name or "").strip() for name in split_fields(first.text.removeprefix("\ufeff"))]


@dataclass(frozen=True, slots=True)
class _Line:
    """A logical row before it is split. problem: why it cannot be used."""

    number: int
    text: str
    problem: str | None = None


def _logical_lines(stream: BinaryIO, encoding: str) -> Iterator[_Line]:
    """Join physical lines that end in an unescaped backslash with the next; skip blank ones."""
    number, begun = 0, 0
    pending = ""
    problem: str | None = None
    for text, trouble in _physical_lines(stream, encoding):
        number += 1
        begun = begun or number
        problem = problem or trouble
        body = text.rstrip("\n").removesuffix("\r")
        if trouble != _TOO_LONG and _continues(body) and len(pending) < MAX_LINE_BYTES:
            pending += body[:-1] + "\\n"  # the newline belongs to the field
            continue
        whole = pending + body
        if whole.strip(" ") or problem:  # a row of nothing but tabs is not blank
            yield _Line(begun, whole, problem)
        pending, begun, problem = "", 0, None
    if pending:
        yield _Line(begun, pending, problem or "the file ends inside this row")


def _continues(body: str) -> bool:
    if not body.endswith("\\"):
        return False
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1


def _physical_lines(stream: BinaryIO, encoding: str) -> Iterator[tuple[str, str | None]]:
    """(line with its end, problem). Bad bytes spoil only their own line: no encoding here hides a newline in one."""
    if encoding.startswith("utf-16"):
        yield from _utf16_lines(stream, encoding)
        return
    if encoding == "utf-8-sig":
        if stream.read(3) != codecs.BOM_UTF8:
            stream.seek(0)
        encoding = "utf-8"
    while raw := stream.readline(MAX_LINE_BYTES):
        if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
            _skip_rest_of_line(stream)
            yield raw[:MAX_RAW_CHARACTERS].decode(encoding, "replace"), _TOO_LONG
            continue
        try:
            yield raw.decode(encoding), None
        except UnicodeDecodeError as err:
            bad = raw[err.start : err.start + 4].hex(" ")
            problem = f"bytes that are not {encoding.upper()} at byte {err.start + 1} of the line ({bad})"
            yield raw.decode(encoding, "backslashreplace"), problem


def _skip_rest_of_line(stream: BinaryIO) -> None:
    while raw := stream.readline(MAX_LINE_BYTES):
        if raw.endswith(b"\n"):
            return


def _utf16_lines(stream: BinaryIO, encoding: str) -> Iterator[tuple[str, str | None]]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    rest, is_first = "", True
    while True:
        raw = stream.read(HEAD_BYTES)
        text = decoder.decode(raw, final=not raw)
        if is_first:
            text, is_first = text.removeprefix("\ufeff"), False
        lines = (rest + text).split("\n")
        rest = lines.pop()
        for line in lines:
            yield _utf16_line(line + "\n")
        if len(rest) > MAX_LINE_BYTES // 2:
            raise BadInput("A line is longer than 16 MB; the file is no export, or the encoding is not UTF-16.")
        if not raw:
            break
    if rest:
        yield _utf16_line(rest)


def _utf16_line(line: str) -> tuple[str, str | None]:
    return line, "bytes that are not UTF-16" if "\ufffd" in line else None


def split_fields(line: str) -> list[str | None]:
    """Split a logical row at unescaped tabs and resolve its escapes; None stands for \\N."""
    if "\\" not in line:
        return list(line.split("\t"))
    fields = _split_escaped(line) if "\\\t" in line else line.split("\t")
    return [None if value == "\\N" else _unescape(value) for value in fields]


def _split_escaped(line: str) -> list[str]:
    fields, place = [], 0
    while True:
        match = _FIELD.match(line, place)
        end = match.end() if match else len(line)
        fields.append(line[place:end])
        if end >= len(line):
            return fields
        place = end + 1


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), value)


def _to_row(line: _Line, columns: Columns, *, needs_pid: bool) -> ExportRow | RejectedRow:
    if line.problem:
        return reject(line.number, line.problem, line.text)
    # Most lines hold nothing to resolve or to clean; one look at the whole spares one at each field.
    is_plain = _NOT_PLAIN.search(line.text) is None
    fields = line.text.split("\t") if is_plain else split_fields(line.text)
    if len(fields) != columns.count:
        return reject(line.number, f"{len(fields)} fields where the header has {columns.count}", line.text)
    return make_row(line.number, line.text, fields, columns, needs_pid=needs_pid, is_clean=is_plain)


def make_row(
    number: int, raw: str, fields: Sequence[str | None], columns: Columns, *, needs_pid: bool, is_clean: bool = False
) -> ExportRow | RejectedRow:
    """Give the fields their roles; a row without text, or without the pid it needs, is rejected.

    is_clean: the fields hold nothing that clean_unicode would change.
    """
    if not is_clean:
        fields = [None if value is None else clean_unicode(value) for value in fields]
    values = {role: fields[place] for role, place in columns.roles.items()}
    pid, text = (values.pop("pid", None) or "").strip(), values.pop("text") or ""
    if not pid and needs_pid:
        return reject(number, "no pid", raw)
    if pid and not (pid.isascii() and pid.isdigit() and len(pid) <= 20):
        return reject(number, f"pid {pid[:40]!r} is not a number", raw)
    if not has_text(text):
        return reject(number, "no text", raw)
    extra = {name: value for name, place in columns.extra.items() if (value := fields[place]) is not None}
    return ExportRow(number, pid.lstrip("0") or pid[:1] or None, text, extra=extra, raw=raw, **values)


def reject(line: int, reason: str, raw: str) -> RejectedRow:
    """A reject whose raw line can be stored and shown whatever was in it."""
    return RejectedRow(line, reason, clean_unicode(raw[:MAX_RAW_CHARACTERS]))
