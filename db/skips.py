"""Skips: posts that a moderator passed on, to others, to later, or to the lead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select

from core.domain import SkipKind
from db.posts import is_decided, is_settled_since, is_visible
from db.seconds import is_wanted
from db.tables import distinct_text, post, skip, user


@dataclass(frozen=True, slots=True)
class SkippedPost:
    post_id: int
    pid: str | None
    text_id: int
    text: str
    kind: SkipKind
    skipped_by: str
    skipped_at: datetime


def add_skip(conn: Connection, *, post_id: int, user_id: int, kind: SkipKind, now: datetime) -> None:
    """A person's last word on a post counts."""
    remove_skip(conn, post_id=post_id, user_id=user_id)
    conn.execute(insert(skip).values(post_id=post_id, user_id=user_id, kind=kind, skipped_at=now))


def remove_skip(conn: Connection, *, post_id: int, user_id: int) -> None:
    conn.execute(delete(skip).where(skip.c.post_id == post_id, skip.c.user_id == user_id))


def remove_from_lead(conn: Connection, post_id: int) -> int:
    """Nobody says any longer that the post cannot be judged; returns how many did."""
    return conn.execute(delete(skip).where(skip.c.post_id == post_id, skip.c.kind == SkipKind.cannot_judge)).rowcount


def count_skipped(conn: Connection, *, kind: SkipKind) -> int:
    """Posts that somebody has skipped so and that still wait."""
    counted = _skipped().with_only_columns(func.count(post.c.id.distinct()))
    return conn.execute(counted.where(_waits(), skip.c.kind == kind)).scalar_one()


def posts_for_lead(conn: Connection, *, limit: int, offset: int = 0) -> list[tuple[int, list[str]]]:
    """(post, who could not judge it), the longest waiting first."""
    waits = _skipped().with_only_columns(skip.c.post_id).where(_waits(), skip.c.kind == SkipKind.cannot_judge)
    waits = waits.group_by(skip.c.post_id).order_by(func.min(skip.c.skipped_at), skip.c.post_id)
    found = []
    for post_id in conn.execute(waits.limit(limit).offset(offset)).scalars():
        who = select(user.c.name).join_from(skip, user, user.c.id == skip.c.user_id)
        who = who.where(skip.c.post_id == post_id, skip.c.kind == SkipKind.cannot_judge).order_by(skip.c.skipped_at)
        found.append((post_id, list(conn.execute(who).scalars())))
    return found


def skipped_posts(conn: Connection, *, user_id: int | None = None, limit: int | None = None) -> Iterator[SkippedPost]:
    """Posts that somebody has skipped and that still wait, newest first; of a user, until a lead has settled them.

    To a person it must not tell that another has judged the post, or that it was settled all along.
    """
    query = _skipped().order_by(skip.c.skipped_at.desc(), skip.c.post_id).limit(limit)
    query = query.where(
        _waits() if user_id is None else (skip.c.user_id == user_id) & ~is_settled_since(skip.c.skipped_at)
    )
    for row in conn.execute(query):
        yield SkippedPost(row.id, row.pid, row.text_id, row.body, SkipKind(row.kind), row.name, row.skipped_at)


def _waits() -> ColumnElement[bool]:
    """Nobody has decided the post, or another person is to judge it too."""
    return ~is_decided() | is_wanted(post.c.id)


def _skipped() -> Select[tuple[int, str, int, str, str, str, datetime]]:
    columns = (post.c.id, post.c.pid, post.c.text_id, distinct_text.c.body, skip.c.kind, user.c.name, skip.c.skipped_at)
    return (
        select(*columns)
        .join_from(skip, post, post.c.id == skip.c.post_id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .join(user, user.c.id == skip.c.user_id)
        .where(is_visible())
    )
