"""Flags: posts that a moderator wants the lead to look at, and what the lead answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from db.posts import is_visible
from db.tables import distinct_text, flag, post, user


@dataclass(frozen=True, slots=True)
class Flag:
    """closed_at None: the lead has not answered yet."""

    id: int
    post_id: int
    pid: str | None
    text_id: int
    text: str
    flagged_by: str
    note: str
    flagged_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    answer: str


def raise_flag(conn: Connection, *, post_id: int, user_id: int, note: str, now: datetime) -> None:
    """Flag a post; where it is flagged by this user already, the note is what they say now."""
    known = (flag.c.post_id == post_id) & (flag.c.user_id == user_id) & flag.c.closed_at.is_(None)
    if not conn.execute(update(flag).where(known).values(note=note)).rowcount:
        conn.execute(insert(flag).values(post_id=post_id, user_id=user_id, note=note, flagged_at=now, answer=""))


def lower_flag(conn: Connection, *, post_id: int, user_id: int) -> None:
    """Take back a flag that nobody has answered yet."""
    conn.execute(delete(flag).where(flag.c.post_id == post_id, flag.c.user_id == user_id, flag.c.closed_at.is_(None)))


def close_flag(conn: Connection, flag_id: int, *, by: str, answer: str, now: datetime) -> bool:
    """Answer an open flag; returns False when it is not open any more."""
    open_one = update(flag).where(flag.c.id == flag_id, flag.c.closed_at.is_(None))
    return conn.execute(open_one.values(closed_at=now, closed_by=by, answer=answer)).rowcount == 1


def reopen(conn: Connection, post_id: int, *, closed_by: str, closed_at: datetime) -> None:
    """Let a flag on the post that was answered in that moment wait again, unless its author has raised another."""
    other = flag.alias("other")
    raised = select(other.c.id).where(
        other.c.post_id == flag.c.post_id, other.c.user_id == flag.c.user_id, other.c.closed_at.is_(None)
    )
    answered = update(flag).where(
        flag.c.post_id == post_id, flag.c.closed_by == closed_by, flag.c.closed_at == closed_at, ~raised.exists()
    )
    conn.execute(answered.values(closed_at=None, closed_by=None, answer=""))


def flagged_by(conn: Connection, post_ids: Sequence[int], *, user_id: int) -> dict[int, str]:
    """Those of the posts that this user has flagged, without an answer yet, with the note."""
    own = select(flag.c.post_id, flag.c.note).where(
        flag.c.post_id.in_(post_ids), flag.c.user_id == user_id, flag.c.closed_at.is_(None)
    )
    return {row.post_id: row.note for row in conn.execute(own)}


def count_open(conn: Connection) -> int:
    seen = (
        select(func.count()).select_from(flag).join(post, post.c.id == flag.c.post_id).where(is_visible(in_order=True))
    )
    return conn.execute(seen.where(flag.c.closed_at.is_(None))).scalar_one()


def list_flags(
    conn: Connection,
    *,
    is_open: bool | None = None,
    user_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[Flag]:
    """Open ones oldest first, for they wait; else newest first."""
    columns = (flag, post.c.pid, post.c.text_id, distinct_text.c.body, user.c.name)
    query = (
        select(*columns)
        .join_from(flag, post, post.c.id == flag.c.post_id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .join(user, user.c.id == flag.c.user_id)
        .where(is_visible(in_order=True))
        .order_by(flag.c.id if is_open else flag.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    if is_open is not None:
        query = query.where(flag.c.closed_at.is_(None) if is_open else flag.c.closed_at.is_not(None))
    if user_id is not None:
        query = query.where(flag.c.user_id == user_id)
    for r in conn.execute(query):
        yield Flag(
            r.id, r.post_id, r.pid, r.text_id, r.body, r.name, r.note, r.flagged_at, r.closed_at, r.closed_by, r.answer
        )
