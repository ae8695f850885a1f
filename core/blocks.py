"""Blocks: an export cut between rows into pieces that can be read apart from each other."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import islice, pairwise
from typing import BinaryIO, NamedTuple

from core.tsv import (
    MAX_LINE_BYTES,
    Columns,
    ExportRow,
    RejectedRow,
    find_columns,
    find_encoding,
    logical_lines,
    read_header,
    refuse_other_separators,
    to_row,
)

BLOCK_BYTES = 500_000  # some 3,000 rows
LONGEST_BLOCK = 4 * MAX_LINE_BYTES
ROWS_OF_ONE_POST = 50  # looked at for a place between two posts: a post that is cut in two costs a second look
MAX_FIELD = 4_000  # bytes of a row in which its pid is looked for


class Block(NamedTuple):
    """Whole rows as they stand in the file. line: the first one's, from 1. end: the place in the file behind it."""

    content: bytes
    line: int
    end: int
    encoding: str
    columns: Columns


def can_be_cut(encoding: str) -> bool:
    """Whether a newline byte is always a newline, so that a file in this encoding can be cut at one."""
    return not encoding.startswith("utf-16")


def blocks_of(stream: BinaryIO, *, encoding: str = "auto", columns: Mapping[str, str] | None = None) -> Iterator[Block]:
    """Read the header and cut what follows; what open_export reads, in pieces.

    Raises BadInput at once for a file that is no export, ValueError for an encoding that cannot be cut.
    """
    _, found = find_encoding(stream, encoding)
    if not can_be_cut(found):
        raise ValueError(f"a file in {found} cannot be cut at newline bytes")
    header = read_header(logical_lines(stream, found))
    refuse_other_separators(header)
    start = stream.tell()
    stream.seek(0)
    line = 1 + stream.read(start).count(b"\n")
    return _cut(stream, found.removesuffix("-sig"), find_columns(header, columns), line=line)


def _cut(stream: BinaryIO, encoding: str, columns: Columns, *, line: int) -> Iterator[Block]:
    rest = b""
    while True:
        chunk = stream.read(BLOCK_BYTES)
        rest += chunk
        end = _place_to_cut(rest, pid_place=columns.roles["pid"]) if chunk else len(rest)
        if end:
            yield Block(rest[:end], line, stream.tell() - len(rest) + end, encoding, columns)
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
        elif not chunk:
            return


def _place_to_cut(content: bytes, *, pid_place: int) -> int:
    """The last place between two rows, of different posts where there is one near; 0 where there is none at all.

    What has none for four times the longest line is cut at any newline, and then anywhere: it holds no row to spoil.
    """
    ends = list(islice(_ends_of_rows(content), ROWS_OF_ONE_POST))
    for end, before in pairwise(ends):
        if _field(content[before:end], pid_place) != _field(content[end:], pid_place):
            return end
    if ends:
        return ends[-1]
    return 0 if len(content) < LONGEST_BLOCK else content.rfind(b"\n") + 1 or len(content)


def _ends_of_rows(content: bytes) -> Iterator[int]:
    """Behind each newline that surely ends a row, for no backslash stands before it; the last first."""
    end = len(content)
    while (end := content.rfind(b"\n", 0, end)) != -1:
        if not content[max(0, end - 2) : end].removesuffix(b"\r").endswith(b"\\"):
            yield end + 1


def _field(row: bytes, place: int) -> bytes:
    return b"".join(row[:MAX_FIELD].split(b"\t", place + 1)[place : place + 1])


def rows_of_block(block: Block) -> Iterator[ExportRow | RejectedRow]:
    lines = logical_lines(io.BytesIO(block.content), block.encoding, first=block.line)
    return (to_row(line, block.columns, needs_pid=True) for line in lines)
