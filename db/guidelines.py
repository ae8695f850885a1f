"""Guidelines: their versions, all kept; the posts that stand as examples; and what each person has read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, Integer, Select, bindparam, delete, exists, func, insert, select, update

from db.checks import is_measuring
from db.posts import is_visible
from db.seconds import is_wanted
from db.tables import distinct_text, guidelines_example, guidelines_version, guidelines_visit, post


@dataclass(frozen=True, slots=True)
class Version:
    """id: its number, from 1. note: what changed, in its author's words."""

    id: int
    body: str
    note: str
    written_by: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class ExamplePost:
    """is_waiting: another person is still to judge it, or it is a check post, so it is shown to nobody."""

    post_id: int
    pid: str | None
    text: str
    note: str
    added_by: str
    added_at: datetime
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """version_id None: there was no text yet."""

    version_id: int | None
    seen_at: datetime


def newest_version(conn: Connection) -> Version | None:
    row = conn.execute(select(guidelines_version).order_by(guidelines_version.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Version(**row._mapping)


def get_version(conn: Connection, version_id: int) -> Version | None:
    row = conn.execute(select(guidelines_version).where(guidelines_version.c.id == version_id)).one_or_none()
    return None if row is None else Version(**row._mapping)


def list_versions(conn: Connection, *, after: int = 0) -> list[Version]:
    """Newest first."""
    newer = select(guidelines_version).where(guidelines_version.c.id > after)
    return [Version(**row._mapping) for row in conn.execute(newer.order_by(guidelines_version.c.id.desc()))]


def add_version(conn: Connection, *, body: str, note: str, written_by: str, now: datetime) -> Version:
    values = {"body": body, "note": note, "written_by": written_by, "written_at": now}
    made = insert(guidelines_version).values(values).returning(guidelines_version)
    return Version(**conn.execute(made).one()._mapping)


# --- examples -------------------------------------------------------------------------------------------------------


def add_example(conn: Connection, *, post_id: int, note: str, added_by: str, now: datetime) -> None:
    """A post that is an example already gets the new note."""
    changed = update(guidelines_example).where(guidelines_example.c.post_id == post_id)
    if not conn.execute(changed.values(note=note)).rowcount:
        values = {"post_id": post_id, "note": note, "added_by": added_by, "added_at": now}
        conn.execute(insert(guidelines_example).values(values))


def remove_example(conn: Connection, post_id: int) -> bool:
    return conn.execute(delete(guidelines_example).where(guidelines_example.c.post_id == post_id)).rowcount == 1


def is_example(conn: Connection, post_id: int) -> bool:
    listed = select(guidelines_example.c.post_id).where(guidelines_example.c.post_id == post_id)
    return conn.execute(listed).first() is not None


def is_waiting(conn: Connection, post_id: int) -> bool:
    """Another person is still to judge the post, without knowing what was said of it."""
    return bool(conn.execute(select(is_wanted(post.c.id)).where(post.c.id == post_id)).scalar())


def list_examples(conn: Connection) -> list[ExamplePost]:
    """Newest first; the words are those that the post has now."""
    example = guidelines_example
    query = (
        select(
            example.c.post_id, post.c.pid, distinct_text.c.body, example.c.note, example.c.added_by,
            example.c.added_at, is_measuring(post.c.id),
        )
        .join_from(example, post, post.c.id == example.c.post_id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .where(is_visible())
        .order_by(example.c.added_at.desc(), example.c.post_id.desc())
    )  # fmt: skip
    return [ExamplePost(*row) for row in conn.execute(query)]


# --- visits ---------------------------------------------------------------------------------------------------------


def last_visit(conn: Connection, user_id: int) -> Visit | None:
    visit = guidelines_visit
    row = conn.execute(select(visit.c.version_id, visit.c.seen_at).where(visit.c.user_id == user_id)).one_or_none()
    return None if row is None else Visit(row.version_id, row.seen_at)


def note_visit(conn: Connection, user_id: int, *, version_id: int | None, seen_at: datetime) -> None:
    """Never back to an older version: two tabs may be open."""
    known = last_visit(conn, user_id)
    values = {"version_id": version_id, "seen_at": seen_at}
    if known is None:
        conn.execute(insert(guidelines_visit).values(user_id=user_id, **values))
    elif (known.version_id or 0, known.seen_at) < (version_id or 0, seen_at):
        conn.execute(update(guidelines_visit).where(guidelines_visit.c.user_id == user_id).values(values))


def is_changed_for(conn: Connection, user_id: int) -> bool:
    """There is a version, or an example, that this person has not been shown."""
    return bool(conn.execute(_changed(), {"of_user": user_id}).scalar())


@cache
def _changed() -> Select[bool]:
    """Put together once: that takes longer than the query, and every answer to a key press asks."""
    visit, user_id = guidelines_visit.c, bindparam("of_user", type_=Integer)
    seen = select(func.coalesce(visit.version_id, 0)).where(visit.user_id == user_id).scalar_subquery()
    seen_at = select(visit.seen_at).where(visit.user_id == user_id).scalar_subquery()
    has_newer = exists().where(guidelines_version.c.id > func.coalesce(seen, 0))
    has_example = exists().where(seen_at.is_(None) | (guidelines_example.c.added_at > seen_at))
    return select(has_newer | has_example)
