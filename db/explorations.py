"""Exploration: texts that stand for the kinds of posts that a version sees in the pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, delete, exists, insert, select

from db.engine import plain_rows
from db.tables import exploration, family_place, prediction


def scored_representatives(conn: Connection, *, version_id: int) -> Iterator[int]:
    """Ids of the texts that lead a family and that the version has scored, ascending."""
    scored = exists().where(prediction.c.text_id == family_place.c.text_id, prediction.c.version_id == version_id)
    leads = family_place.c.representative_id == family_place.c.text_id
    query = select(family_place.c.text_id).where(leads, scored).order_by(family_place.c.text_id)
    return (text_id for (text_id,) in plain_rows(conn, query))


def replace_exploration(conn: Connection, version_id: int, text_ids: Sequence[int]) -> None:
    """text_ids: in the order in which they are to be shown. What older versions saw goes."""
    conn.execute(delete(exploration))
    rows = [{"version_id": version_id, "place": n, "text_id": text_id} for n, text_id in enumerate(text_ids)]
    if rows:
        conn.execute(insert(exploration), rows)


def explored_texts(conn: Connection, *, version_id: int) -> list[int]:
    """In the order in which they are to be shown."""
    query = select(exploration.c.text_id).where(exploration.c.version_id == version_id).order_by(exploration.c.place)
    return list(conn.execute(query).scalars())
