"""Sibling posts: what else the same author has written, and what else stands in the same thread."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, select

from core.domain import Label
from db.checks import is_near_measuring
from db.engine import plain_rows
from db.posts import decides, is_visible
from db.tables import decision, post


@dataclass(frozen=True, slots=True)
class Sibling:
    """label: of the newest decision that stands; None too while the post or a near-copy of it measures people."""

    post_id: int
    pid: str | None
    label: Label | None


def of_author(conn: Connection, author: str, *, limit: int) -> list[Sibling]:
    """Newest first."""
    return _siblings(conn, post.c.author == author, limit)


def in_thread(conn: Connection, thread: str, *, around: int, limit: int) -> list[Sibling]:
    """The post with the id `around`, half of the limit before it, and as many after it."""
    is_there = post.c.thread == thread
    before = _siblings(conn, is_there & (post.c.id <= around), limit // 2 + 1)
    return _siblings(conn, is_there & (post.c.id > around), limit // 2, newest_first=False) + before


def _siblings(
    conn: Connection, is_sibling: ColumnElement[bool], limit: int, *, newest_first: bool = True
) -> list[Sibling]:
    newest = (
        select(func.max(decision.c.id)).where(decision.c.post_id == post.c.id, decides()).correlate(post)
    ).scalar_subquery()
    said = select(decision.c.label).where(decision.c.id == newest).correlate(post).scalar_subquery()
    told = case((is_near_measuring(post.c.text_id), None), else_=said)
    found = (
        select(post.c.id, post.c.pid, told)
        .where(is_sibling, is_visible(in_order=True))
        .order_by(post.c.id.desc() if newest_first else post.c.id)
        .limit(limit)
    )
    return [
        Sibling(post_id, pid, None if label is None else Label(label))
        for post_id, pid, label in plain_rows(conn, found)
    ]
