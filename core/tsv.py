"""Forum exports as MySQL writes them: a stream of rows and rejects, in memory that does not depend on the file.

Tab-separated, no quoting, backslash escapes (also before a real newline or tab), \\N for NULL; UTF-8, UTF-16 or
GB18030. https://dev.mysql.com/doc/refman/8.4/en/load-data.html, "Field and Line Handling".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO, NamedTuple

from core.errors import BadInput
from core.text import clean_unicode, has_text
from core.wording import N_, _, ngettext

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
ENOUGH_CHARACTERS = 2_000  # beyond ASCII, to tell UTF-8 from GB18030
ROLES = tuple(_ROLES)
LINE_1 = N_("Line 1")
_TOO_LONG = N_("the line is longer than 16 MB")
_INVISIBLE = "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
_TO_ESCAPE = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
NULL = "\\N"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LIKE_A_VALUE = re.compile(r"\d+|\\N|(?:\d{1,3}\.){3}\d{1,3}|.{60,}", re.DOTALL)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")  # a text holds a stray one at most
_NOT_PLAIN = re.compile("[\\\\\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # what clean_unicode or an escape would change


class ExportRow(NamedTuple):
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
    extra: dict[str, str] = {}  # noqa: RUF012 - rows are not changed
    raw: str = ""


class RejectedRow(NamedTuple):
    """A row that cannot be used, and why. raw: as it stood in the file, at most 2,000 characters."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of the columns with a role, and of the others by name. places: of the roles in order, or None."""

    count: int
    roles: dict[str, int]
    extra: dict[str, int]
    places: tuple[int | None, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", tuple(self.roles.get(role) for role in ROLES))


def find_columns(
    header: Sequence[str], chosen: Mapping[str, str] | None = None, *, needs_pid: bool = True, where: str = LINE_1
) -> Columns:
    """Match header names to roles without regard to case, order or blanks; `chosen` (role to name) goes first.

    Raises BadInput when pid or text has no column, naming what was found and how to choose.
    """
    names = [clean_unicode(name).strip().lower() for name in header]
    roles: dict[str, int] = {}
    for role, wanted in (chosen or {}).items():
        if role not in _ROLES or wanted.strip().lower() not in names:
            raise BadInput(
                _("There is no column {wanted!r} to use as {role!r}; the columns are {header}.").format(
                    wanted=wanted, role=role, header=_listed(header)
                )
            )
        roles[role] = names.index(wanted.strip().lower())
    for role, usual in _ROLES.items():
        found = next((names.index(name) for name in usual if name in names), None)
        if role not in roles and found is not None and found not in roles.values():
            roles[role] = found
    missing = [role for role in (("pid", "text") if needs_pid else ("text",)) if role not in roles]
    if missing and not roles and where == LINE_1 and any(_LIKE_A_VALUE.fullmatch(name) for name in header):
        raise BadInput(
            _(
                "{where} looks like a row, not like a header. Put a line with the names of the {count} "
                "columns in front, separated by tabs: pid, context and what else there is."
            ).format(where=_(where), count=len(header))
        )
    if missing:
        names_of = [_("{role} (usually {names})").format(role=role, names=", ".join(_ROLES[role])) for role in missing]
        wanted = (
            names_of[0]
            if len(missing) == 1
            else _("{first} and none for {second}").format(first=names_of[0], second=names_of[1])
        )
        options = " ".join(f"--column {role}=NAME" for role in missing)
        raise BadInput(
            ngettext(
                "{where} names no column for {wanted}; the columns are {header}. Choose it on the import page, or with "
                "{options}.",
                "{where} names no column for {wanted}; the columns are {header}. Choose them on the import page, or "
                "with {options}.",
                len(missing),
            ).format(where=_(where), wanted=wanted, header=_listed(header), options=options)
        )
    return Columns(len(header), roles, _name_others(header, set(roles.values())))


def _name_others(header: Sequence[str], taken: set[int]) -> dict[str, int]:
    """Name the columns without a role; one without a name, or with that of another, by its number too."""
    extra: dict[str, int] = {}
    for place, written in enumerate(header):
        name = clean_unicode(written).strip()
        if place not in taken:
            extra[name if name and name not in extra else f"{name} column {place + 1}".strip()] = place
    return extra


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in header[:20])
    return shown + (f" and {len(header) - 20} more" if len(header) > 20 else "")


def detect_encoding(head: bytes) -> str:
    """Return utf-8-sig, utf-8, utf-16-le, utf-16-be or gb18030 for the first bytes of a file."""
    return _marked_encoding(head) or _utf8_or_gb18030([head])


def _marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte order mark or the zeros of UTF-16 give away."""
    boms = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
    for bom, encoding in boms.items():
        if head.startswith(bom):
            return encoding
    even, odd, half = head[::2].count(0), head[1::2].count(0), max(1, len(head) // 2)
    # The names in the header are mostly ASCII, and long Chinese posts hold few zeros.
    begins = [byte == 0 for byte in head[:4]]
    if begins == [False, True, False, True] or (odd > half * 0.2 and odd > 4 * even):
        return "utf-16-le"
    if begins == [True, False, True, False] or (even > half * 0.2 and even > 4 * odd):
        return "utf-16-be"
    return None


def _utf8_or_gb18030(chunks: Iterable[bytes]) -> str:
    """Decide by the first characters beyond ASCII, wherever they stand.

    GB18030 finds a character for almost any bytes, UTF-8 for almost none but its own: what is mostly UTF-8 is UTF-8
    with a few bad places, even where GB18030 would have fewer complaints. A character that the end cuts is no error.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = bad = 0
    for chunk in chunks:
        if chunk.isascii() and not decoder.getstate()[0]:
            continue
        text = decoder.decode(chunk)
        replaced = text.count("\ufffd") - chunk.count("\ufffd".encode())
        bad += max(0, replaced)
        good += len(text) - len(text.encode("ascii", "ignore")) - max(0, replaced)
        if good + bad >= ENOUGH_CHARACTERS:
            break
    return "utf-8" if good > bad or not bad else "gb18030"


def find_encoding(stream: BinaryIO, encoding: str) -> tuple[bytes, str]:
    """Return (first bytes, encoding) of a file, and leave it at its beginning. "auto" looks as far as it must.

    Raises BadInput for an encoding that is not offered, and for what is plainly no text.
    """
    if encoding not in ENCODINGS:
        raise BadInput(
            _("Encoding {encoding!r} is not one of {encodings}.").format(
                encoding=encoding, encodings=", ".join(ENCODINGS)
            )
        )
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    refuse_other_formats(head)
    marked = _marked_encoding(head)
    if encoding == "auto":
        found = marked or _utf8_or_gb18030(chain([head], iter(lambda: stream.read(HEAD_BYTES), b"")))
    elif encoding == "utf-16":
        found = "utf-16-be" if marked == "utf-16-be" else "utf-16-le"
    else:
        found = "utf-8-sig" if encoding == "utf-8" else encoding
    if not found.startswith("utf-16") and len(_CONTROLS.findall(head)) > max(8, len(head) // 50):
        raise BadInput(_("The file is not a text file. Export the posts as tab-separated text (TSV)."))
    stream.seek(0)
    return head, found


def refuse_other_formats(head: bytes) -> None:
    """Raise BadInput for what is plainly no text export."""
    if not head:
        raise BadInput(_("The file is empty."))
    formats = {
        b"PK\x03\x04": _("The file is an Excel workbook or ZIP archive; save it as tab-separated text."),
        b"\x1f\x8b": _("The file is compressed with gzip; unpack it first."),
        b"\xd0\xcf\x11\xe0": _("The file is an old Excel workbook; save it as tab-separated text."),
        b"%PDF": _("The file is a PDF."),
        b"SQLite format 3": _("The file is a SQLite database."),
    }
    for magic, said in formats.items():
        if head.startswith(magic):
            raise BadInput(said)


def open_export(
    stream: BinaryIO, *, encoding: str = "auto", columns: Mapping[str, str] | None = None, needs_pid: bool = True
) -> Iterator[ExportRow | RejectedRow]:
    """Read the header and return an iterator over the rows; header and blank lines are no rows.

    Raises BadInput at once for a file that is no export at all.
    """
    _head, found_encoding = find_encoding(stream, encoding)
    lines = logical_lines(stream, found_encoding)
    header = read_header(lines)
    refuse_other_separators(header)
    found = find_columns(header, columns, needs_pid=needs_pid)
    return (to_row(line, found, needs_pid=needs_pid) for line in lines)


def refuse_other_separators(header: Sequence[str]) -> None:
    if len(header) > 1:
        return
    for mark, name in ((",", _("commas")), (";", _("semicolons")), ("|", _("bars"))):
        if mark in header[0]:
            said = _("Line 1 has {name} and no tab: this looks like CSV. Export as tab-separated text (TSV).")
            raise BadInput(said.format(name=name))


def read_header_names(stream: BinaryIO, *, encoding: str = "auto") -> tuple[str, tuple[str, ...]]:
    """Return (encoding found, header names as they stand) of an export."""
    _head, found = find_encoding(stream, encoding)
    return found, tuple(read_header(logical_lines(stream, found)))


def read_header(lines: Iterator[Line]) -> list[str]:
    first = next(lines, None)
    if first is None:
        raise BadInput(_("The file is empty."))
    if "\r" in first.text:
        raise BadInput(_("Line 1 has carriage returns inside: the lines must end in line feeds (\\n or \\r\\n)."))
    if first.problem:
        raise BadInput(
            _("Line 1, the header, cannot be read: {reason}. Choose another encoding.").format(reason=first.problem)
        )
    fields = split_fields(first.text.removeprefix("\ufeff"))
    return ["\\N" if name is None else clean_unicode(name).strip() for name in fields]


class Line(NamedTuple):
    """A logical row before it is split. problem: why it cannot be used."""

    number: int
    text: str
    problem: str | None = None


def logical_lines(stream: BinaryIO, encoding: str, *, first: int = 1) -> Iterator[Line]:
    """Join physical lines that end in an unescaped backslash with the next; skip blank ones. first: its number."""
    number, begun, size = first - 1, 0, 0
    pending: list[str] = []
    problem: str | None = None
    for text, trouble in _physical_lines(stream, encoding):
        number += 1
        body = text.rstrip("\n").removesuffix("\r")
        if not pending and trouble is None and not body.endswith("\\"):  # most lines are a row of their own
            if body.strip(" "):
                yield Line(number, body)
            continue
        begun = begun or number
        problem = problem or trouble
        goes_on = trouble != _(_TOO_LONG) and _continues(body)
        if size <= MAX_LINE_BYTES:  # the rest of a longer row is read, and left
            pending.append(body[:-1] + "\\n" if goes_on else body)  # the newline belongs to the field
            size += len(body)
        else:
            problem = problem or _(_TOO_LONG)
        if goes_on:
            continue
        whole = "".join(pending)
        if whole.strip(" ") or problem:  # a row of nothing but tabs is not blank
            yield Line(begun, whole, problem)
        pending, size, begun, problem = [], 0, 0, None
    if pending:
        yield Line(begun, "".join(pending), problem or _("the file ends inside this row"))


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
            yield raw[:MAX_RAW_CHARACTERS].decode(encoding, "replace"), _(_TOO_LONG)
            continue
        try:
            yield raw.decode(encoding), None
        except UnicodeDecodeError as err:
            bad = raw[err.start : err.start + 4].hex(" ")
            said = _("bytes that are not {encoding} at byte {place} of the line ({bad})")
            problem = said.format(encoding=encoding.upper(), place=err.start + 1, bad=bad)
            yield raw.decode(encoding, "backslashreplace"), problem


def _skip_rest_of_line(stream: BinaryIO) -> None:
    while raw := stream.readline(MAX_LINE_BYTES):
        if raw.endswith(b"\n"):
            return


def _utf16_lines(stream: BinaryIO, encoding: str) -> Iterator[tuple[str, str | None]]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")  # which tells half a character from U+FFFD
    pieces: list[str] = []
    size, is_first = 0, True
    while raw := stream.read(HEAD_BYTES):
        text = decoder.decode(raw)
        if is_first:
            text, is_first = text.removeprefix("\ufeff"), False
        *ended, rest = text.split("\n")
        for line in ended:
            yield _utf16_line("".join([*pieces, line, "\n"]))
            pieces, size = [], 0
        pieces.append(rest)
        size += len(rest)
        if size > MAX_LINE_BYTES // 2:
            raise BadInput(_("A line is longer than 16 MB; the file is no export, or the encoding is not UTF-16."))
    is_cut = bool(decoder.getstate()[0])
    if is_cut or any(pieces):
        line, problem = _utf16_line("".join(pieces))
        yield line, problem or (_("the file ends inside a character") if is_cut else None)


def _utf16_line(line: str) -> tuple[str, str | None]:
    return line, _("half a character (a lone surrogate)") if _LONE_SURROGATE.search(line) else None


def split_fields(line: str) -> list[str | None]:
    """Split a logical row at unescaped tabs and resolve its escapes; None stands for \\N."""
    if "\\" not in line:
        return list(line.split("\t"))
    fields = _split_escaped(line) if "\\\t" in line else line.split("\t")
    return [None if value == "\\N" else _unescape(value) for value in fields]


def join_fields(values: Iterable[str | None]) -> str:
    """A line, with its end, that split_fields reads as these values."""
    return "\t".join(NULL if value is None else value.translate(_TO_ESCAPE) for value in values) + "\n"


def _split_escaped(line: str) -> list[str]:
    """Split at every tab, and join again where an unescaped backslash stood before it."""
    fields: list[str] = []
    pending: list[str] = []
    for piece in line.split("\t"):
        pending.append(piece)
        if not _continues(piece):
            fields.append("\t".join(pending))
            pending = []
    if pending:
        fields.append("\t".join(pending))
    return fields


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), value)


def to_row(line: Line, columns: Columns, *, needs_pid: bool) -> ExportRow | RejectedRow:
    if line.problem:
        return reject(line.number, line.problem, line.text)
    # Most lines hold nothing to resolve or to clean; one look at the whole spares one at each field.
    is_plain = _NOT_PLAIN.search(line.text) is None
    fields = line.text.split("\t") if is_plain else split_fields(line.text)
    if len(fields) != columns.count:
        return reject(line.number, other_count(len(fields), columns.count), line.text)
    return make_row(line.number, line.text, fields, columns, needs_pid=needs_pid, is_clean=is_plain)


def other_count(count: int, wanted: int) -> str:
    """Why a row with another number of fields than the header cannot be used."""
    said = ngettext(
        "{count} field where the header has {wanted}", "{count} fields where the header has {wanted}", count
    )
    return said.format(count=count, wanted=wanted)


def make_row(
    number: int, raw: str, fields: Sequence[str | None], columns: Columns, *, needs_pid: bool, is_clean: bool = False
) -> ExportRow | RejectedRow:
    """Give the fields their roles; a row without text, or without the pid it needs, is rejected.

    is_clean: the fields hold nothing that clean_unicode would change.
    """
    if not is_clean:
        fields = [None if value is None else clean_unicode(value) for value in fields]
    found_pid, found_text, hit_word, author, author_id, ip, label = [
        None if place is None else fields[place] for place in columns.places
    ]
    pid, text = (found_pid or "").strip().strip(_INVISIBLE), found_text or ""
    if not pid and needs_pid:
        return reject(number, _("no pid"), raw)
    if pid and not (pid.isascii() and pid.isdigit() and len(pid) <= 20):
        return reject(number, _("pid {pid!r} is not a number").format(pid=pid[:40]), raw)
    if not has_text(text):
        return reject(number, _("no text"), raw)
    extra = {name: value for name, place in columns.extra.items() if (value := fields[place]) is not None}
    identity = pid.lstrip("0") or pid[:1] or None
    return ExportRow(number, identity, text, hit_word, author, author_id, ip, label, extra, raw)


def reject(line: int, reason: str, raw: str) -> RejectedRow:
    """A reject whose raw line can be stored and shown whatever was in it."""
    return RejectedRow(line, reason, clean_unicode(raw[:MAX_RAW_CHARACTERS]))
