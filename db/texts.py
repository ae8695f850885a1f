"""Distinct texts: what the model reads, stored and scored once, however many posts share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from sqlalchemy import Connection, delete, exists, func, or_, select

from core.drafts import DraftText
from core.families import Mark
from db import search
from db.engine import each_of, insert_rows, plain_rows
from db.tables import (
    check_post,
    decision,
    distinct_text,
    doubt,
    exploration,
    family_place,
    post,
    prediction,
    staged_change,
    staged_decision,
)

REFERS_TO_TEXT = (post, decision, staged_change, staged_decision, check_post)  # as long as one does, a text stays


def ids_of_texts(conn: Connection, hashes: Sequence[str]) -> dict[str, int]:
    """Ids of the texts that are known already, by hash."""
    known = select(distinct_text.c.hash, distinct_text.c.id).where(distinct_text.c.hash.in_(each_of(hashes)))
    return dict(plain_rows(conn, known))


def add_texts(conn: Connection, texts: Iterable[DraftText], marks: Mapping[str, Mark]) -> dict[str, int]:
    """Store texts that are not known yet, each in a family of its own; returns their ids by hash.

    marks: by hash.
    """
    new = {text.hash: text for text in texts}
    ids = dict(zip(new, count(newest_id(conn) + 1), strict=False))  # SQLite's own, given: spares asking for them
    columns = ("id", "hash", "normal_hash", "body", "side")
    rows = [(ids[t.hash], t.hash, t.normal_hash, t.body, t.side) for t in new.values()]
    insert_rows(conn, distinct_text, columns, rows)
    places = [(text_id, text_id, *marks[text_hash]) for text_hash, text_id in ids.items()]
    insert_rows(conn, family_place, ("text_id", "representative_id", "form_hash", "bands"), places)
    return ids


def texts_by_id(conn: Connection, text_ids: Sequence[int]) -> list[tuple[int, str, str]]:
    """(id, hash, body) of those that are there, by id."""
    t = distinct_text.c
    found = select(t.id, t.hash, t.body).where(t.id.in_(each_of(text_ids))).order_by(t.id)
    return [(text_id, text_hash, body) for text_id, text_hash, body in plain_rows(conn, found)]


def newest_id(conn: Connection) -> int:
    return conn.execute(select(func.max(distinct_text.c.id))).scalar() or 0


def find_unused(conn: Connection, *, after: int, limit: int) -> tuple[list[int], int | None]:
    """Texts among the next so many beyond that id which nothing refers to, and the last id looked at, None at the end.

    One that leads a family with others in it is in use.
    """
    seen = select(distinct_text.c.id).where(distinct_text.c.id > after).order_by(distinct_text.c.id).limit(limit)
    ids = list(conn.execute(seen).scalars())
    if not ids:
        return [], None
    span = distinct_text.c.id.between(ids[0], ids[-1])
    used = [select(t.c.text_id).where(t.c.text_id == distinct_text.c.id).exists() for t in REFERS_TO_TEXT]
    leads_others = exists().where(
        family_place.c.representative_id == distinct_text.c.id, family_place.c.text_id != distinct_text.c.id
    )
    unused = conn.execute(select(distinct_text.c.id).where(span, ~or_(*used, leads_others))).scalars()
    return list(unused), ids[-1]


def remove(conn: Connection, text_ids: Sequence[int]) -> None:
    """Remove texts with their family places, and from predictions, doubts, exploration and the search."""
    search.forget_texts(conn, text_ids)
    gone = each_of(text_ids)
    conn.execute(delete(family_place).where(family_place.c.text_id.in_(gone)))
    conn.execute(delete(prediction).where(prediction.c.text_id.in_(gone)))
    conn.execute(delete(doubt).where(doubt.c.text_id.in_(gone)))
    conn.execute(delete(exploration).where(exploration.c.text_id.in_(gone)))
    conn.execute(delete(distinct_text).where(distinct_text.c.id.in_(gone)))
