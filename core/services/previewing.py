"""A look into a file before it is imported: what was recognised, and how many rows look wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from core.domain import Actor, Run
from core.drafts import original_of, text_of
from core.errors import BadInput
from core.labelled import header_of
from core.markup import Segment, read_markup
from core.permissions import Permission, require
from core.services.building import ImportRequest, rows_of
from core.tsv import ExportRow, RejectedRow, find_columns
from core.wording import _
from db import runs
from db.engine import read

ROWS_SHOWN = 20
ROWS_LOOKED_AT = 1_000
HASHED_UP_TO = 256_000_000  # bytes: half a second, once


@dataclass(frozen=True, slots=True)
class PreviewCard:
    """The first rows of one post as a moderator will see them. lines: in the file, of its rows."""

    pid: str | None
    lines: tuple[int, ...]
    hit_words: tuple[str, ...]
    segments: tuple[Segment, ...]
    author: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """recognised: what the file is, in words. columns: role to the header's name.

    problem: why the file cannot be read like this (then there are no cards).
    """

    recognised: str
    encoding: str
    header: tuple[str, ...]
    columns: dict[str, str]
    cards: tuple[PreviewCard, ...]
    rejects: tuple[RejectedRow, ...]
    looked_at: int
    is_whole: bool = False  # the file has no more rows than these
    problem: str | None = None


def preview(actor: Actor, request: ImportRequest) -> Preview:
    """Read the first thousand rows the way the import would."""
    require(actor, Permission.manage_imports)
    if not Path(request.path).is_file():
        raise BadInput(_("{name!r} is not here any more; choose the file again.").format(name=request.name))
    recognised, encoding = "", ""
    header: tuple[str, ...] = ()
    try:
        with Path(request.path).open("rb") as stream:
            found = header_of(stream, name=request.name, encoding=request.encoding, columns=request.columns)
            recognised, encoding, header = found.kind.words, found.encoding, found.names
        with Path(request.path).open("rb") as stream:
            looked_at = list(islice(rows_of(stream, request), ROWS_LOOKED_AT + 1))
    except BadInput as err:
        return Preview(recognised, encoding, header, _columns(header, {}), (), (), 0, problem=str(err))
    is_whole = len(looked_at) <= ROWS_LOOKED_AT
    looked_at = looked_at[:ROWS_LOOKED_AT]
    rows = [row for row in looked_at if isinstance(row, ExportRow)]
    rejects = tuple(row for row in looked_at if isinstance(row, RejectedRow))
    cards = tuple(_cards(rows[:ROWS_SHOWN]))
    columns = _columns(header, request.columns)
    return Preview(recognised, encoding, header, columns, cards, rejects, len(looked_at), is_whole=is_whole)


def _columns(header: tuple[str, ...], chosen: dict[str, str]) -> dict[str, str]:
    try:
        return {role: header[place] for role, place in find_columns(header, chosen, needs_pid=False).roles.items()}
    except BadInput:
        return {}


def _cards(rows: list[ExportRow]) -> Iterator[PreviewCard]:
    """Rows of a post together, as the import will put them."""
    grouped: dict[str, list[ExportRow]] = {}
    for row in rows:
        key = row.pid or text_of(row.text, quotes=False).normal_hash
        grouped.setdefault(key, []).append(row)
    for group in grouped.values():
        excerpts = list(dict.fromkeys(row.text for row in group))
        yield PreviewCard(
            pid=group[0].pid,
            lines=tuple(row.line for row in group),
            hit_words=tuple(dict.fromkeys(row.hit_word for row in group if row.hit_word)),
            segments=read_markup(original_of(excerpts)),
            author=next((row.author for row in group if row.author), None),
            label=group[-1].label,
        )


def earlier_imports(engine: Engine, actor: Actor, request: ImportRequest) -> list[Run]:
    """Imports of this very file, newest first.

    Known by its hash where that is at hand or quickly made; a big file that lies where it lay, by size and date.
    """
    require(actor, Permission.manage_imports)
    path = Path(request.path)
    if not path.is_file():
        return []
    stat = path.stat()
    sha256 = request.sha256
    if sha256 is None and stat.st_size <= HASHED_UP_TO:
        sha256 = _hash(request.path, stat.st_size, stat.st_mtime_ns)
    with read(engine) as conn:
        if sha256 is not None:
            return runs.imports_of_file(conn, sha256=sha256)
        last = runs.import_of_unchanged(conn, path=request.path, size=stat.st_size, modified_ns=stat.st_mtime_ns)
    return [] if last is None else [last]


@lru_cache(maxsize=64)
def _hash(path: str, size: int, modified_ns: int) -> str:
    """Once for a file as it is: the page asks at each redrawing."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
