"""Distinct texts: what the model reads, stored and scored once, however many posts share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from core.domain import Side
from db.tables import distinct_text


@dataclass(frozen=True, slots=True)
class NewText:
    """hash: of the body; normal_hash: of its normalised form, which also draws the side."""

    hash: str
    normal_hash: str
    body: str
    side: Side


def ensure_texts(conn: Connection, texts: Sequence[NewText]) -> dict[str, int]:
    """Store the texts not yet known; returns text ids by hash."""
    found = _ids_by_hash(conn, [text.hash for text in texts])
    missing = {text.hash: text for text in texts if text.hash not in found}
    if missing:
        conn.execute(
            insert(distinct_text),
            [
                {"hash": text.hash, "normal_hash": text.normal_hash, "body": text.body, "side": text.side}
                for text in missing.values()
            ],
        )
        found |= _ids_by_hash(conn, list(missing))
    return found


def _ids_by_hash(conn: Connection, hashes: Sequence[str]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for start in range(0, len(hashes), 500):  # SQLite takes at most 32,766 variables, older ones 999
        part = hashes[start : start + 500]
        query = select(distinct_text.c.hash, distinct_text.c.id).where(distinct_text.c.hash.in_(part))
        ids.update({row.hash: row.id for row in conn.execute(query)})
    return ids
