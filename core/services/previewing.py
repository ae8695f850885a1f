"""A look into a file before it is imported: what was recognised, and how many rows look wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from core.domain import Actor
from core.errors import BadInput
from core.labelled import header_of
from core.permissions import Permission, require
from core.services.importing import ImportRequest, rows_of
from core.tsv import ExportRow, RejectedRow

ROWS_SHOWN = 20
ROWS_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Preview:
    """recognised: what the file is, in words. problem: why it cannot be read like this (then there are no rows)."""

    recognised: str
    encoding: str
    header: tuple[str, ...]
    rows: tuple[ExportRow, ...]
    rejects: tuple[RejectedRow, ...]
    looked_at: int
    problem: str | None = None


def preview(actor: Actor, request: ImportRequest) -> Preview:
    """Read the first thousand rows the way the import would."""
    require(actor, Permission.manage_imports)
    if not Path(request.path).is_file():
        raise BadInput(f"{request.name!r} is not here any more; choose the file again.")
    recognised = encoding = ""
    header: tuple[str, ...] = ()
    try:
        with Path(request.path).open("rb") as stream:
            found = header_of(stream, name=request.name, encoding=request.encoding, columns=request.columns)
            recognised, encoding, header = found.kind.words, found.encoding, found.names
        with Path(request.path).open("rb") as stream:
            looked_at = list(islice(rows_of(stream, request), ROWS_LOOKED_AT))
    except BadInput as err:
        return Preview(recognised, encoding, header, (), (), 0, str(err))
    rows = tuple(row for row in looked_at if isinstance(row, ExportRow))
    rejects = tuple(row for row in looked_at if isinstance(row, RejectedRow))
    return Preview(recognised, encoding, header, rows[:ROWS_SHOWN], rejects, len(looked_at))
