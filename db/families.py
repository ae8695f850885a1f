"""Families: the place of each distinct text, and the posts of a family.

A family is known by the text id of its representative. A place without a key takes nobody in: that text was split off,
or comes from before there were families.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select, update

from core.buckets import Ids
from core.domain import Label, RunKind, Side
from core.families import Mark, NewTexts, Placed, Representatives
from core.minhash import Bands
from db.engine import each_of, plain_rows
from db.posts import decides, is_decided, is_visible, stands
from db.tables import decision, distinct_text, family_place, lease, post, run, source

PIECE = 50_000
VARIABLES = 500


@dataclass(frozen=True, slots=True)
class FamilyMember:
    """A post of a family, as it is shown beside the card or listed."""

    post_id: int
    pid: str | None
    text_id: int
    text: str
    original: str
    label: Label | None
    decided_by: str | None
    by_family: bool  # the decision was made on a near-copy and applied to the family
    holder_id: int | None  # the user who has it on a card


@dataclass(frozen=True, slots=True)
class Family:
    """id: of its representative text. size: visible posts. seen: when the first and the last of them came in."""

    id: int
    size: int
    text: str
    first_seen_at: datetime
    last_seen_at: datetime


# --- placing --------------------------------------------------------------------------------------------------------


def newer_texts(conn: Connection, *, after: int, limit: int) -> tuple[NewTexts, list[Side]]:
    """Texts beyond that id which are in a family of their own that others may join, in order of id, and their sides."""
    columns = (family_place.c.text_id, family_place.c.form_hash, family_place.c.bands, distinct_text.c.side)
    query = (
        select(*columns)
        .join_from(family_place, distinct_text, distinct_text.c.id == family_place.c.text_id)
        .where(
            family_place.c.text_id > after,
            family_place.c.representative_id == family_place.c.text_id,
            family_place.c.form_hash.is_not(None),
        )
        .order_by(family_place.c.text_id)
        .limit(limit)
    )
    by_name = {side.value: side for side in Side}
    sides: list[Side] = []

    def texts() -> Iterator[tuple[int, Mark]]:
        for text_id, key, bands, side in plain_rows(conn, query):
            sides.append(by_name[side])
            yield text_id, Mark(key, bands)

    return NewTexts.of(texts()), sides


def placed_by_key(conn: Connection, keys: Ids, *, before: int) -> tuple[Ids, Placed]:
    """The places of texts with smaller ids whose form has one of these keys, and those ids."""
    columns = (family_place.c.text_id, family_place.c.form_hash, family_place.c.representative_id)
    has_key = family_place.c.form_hash.in_(each_of(keys.tolist()))
    found = plain_rows(conn, select(*columns).where(has_key, family_place.c.text_id < before))
    rows = np.array(sorted(found), dtype=np.int64).reshape(-1, 3)
    return rows[:, 0], Placed(rows[:, 1], rows[:, 2])


def representatives(conn: Connection, *, before: int) -> Iterator[Representatives]:
    """Every representative with a smaller id that near-copies may join, in order of id, in pieces."""
    last = 0
    columns = (family_place.c.text_id, family_place.c.bands)
    while True:
        is_within = (family_place.c.text_id > last) & (family_place.c.text_id < before)
        query = select(*columns).where(family_place.c.bands.is_not(None), is_within)
        ids, bands = array("q"), bytearray()
        for text_id, of_text in plain_rows(conn, query.order_by(family_place.c.text_id).limit(PIECE)):
            ids.append(text_id)
            bands += of_text
        if not ids:
            return
        last = ids[-1]
        found = np.frombuffer(bands, dtype="<u4").astype(np.uint32, copy=False)
        yield Representatives(np.array(ids, dtype=np.int64), found.reshape(len(ids), -1))


def bodies_of(conn: Connection, text_ids: Sequence[int]) -> dict[int, str]:
    return {row.id: row.body for row in _texts(conn, text_ids)}


def sides_of(conn: Connection, text_ids: Sequence[int]) -> dict[int, Side]:
    return {row.id: Side(row.side) for row in _texts(conn, text_ids)}


def _texts(conn: Connection, text_ids: Sequence[int]) -> Iterator[Row[Any]]:
    for start in range(0, len(text_ids), VARIABLES):
        part = text_ids[start : start + VARIABLES]
        yield from conn.execute(select(distinct_text).where(distinct_text.c.id.in_(part)))


def move(conn: Connection, moves: Sequence[tuple[int, int, int]]) -> None:
    """Put texts into other families. moves: (text_id, representative_id, key)."""
    if moves:
        place = update(family_place).where(family_place.c.text_id == bindparam("of_text"))
        conn.execute(
            place.values(representative_id=bindparam("family"), form_hash=bindparam("key"), bands=None),
            [{"of_text": text_id, "family": family, "key": key} for text_id, family, key in moves],
        )


def closed_ones(conn: Connection, family_ids: Sequence[int]) -> set[int]:
    """Those of these families that take nobody in (any more): their representative was split off."""
    query = select(family_place.c.text_id).where(family_place.c.form_hash.is_(None))
    return {
        text_id
        for start in range(0, len(family_ids), VARIABLES)
        for text_id in conn.execute(
            query.where(family_place.c.text_id.in_(family_ids[start : start + VARIABLES]))
        ).scalars()
    }


def set_sides(conn: Connection, sides: Sequence[tuple[int, Side]]) -> None:
    """sides: (text_id, the side of its family)."""
    if sides:
        changed = update(distinct_text).where(distinct_text.c.id == bindparam("of_text"))
        values = [{"of_text": text_id, "now": side} for text_id, side in sides]
        conn.execute(changed.values(side=bindparam("now")), values)


# --- looking --------------------------------------------------------------------------------------------------------


def families_of_texts(conn: Connection, text_ids: Sequence[int]) -> dict[int, int]:
    """Family by text id."""
    found: dict[int, int] = {}
    for start in range(0, len(text_ids), VARIABLES):
        columns = (family_place.c.text_id, family_place.c.representative_id)
        query = select(*columns).where(family_place.c.text_id.in_(text_ids[start : start + VARIABLES]))
        found |= {row.text_id: row.representative_id for row in conn.execute(query)}
    return found


def family_of_text(conn: Connection, text_id: int) -> int:
    return families_of_texts(conn, [text_id])[text_id]


def families_of_posts(conn: Connection, post_ids: Sequence[int]) -> dict[int, int]:
    """Family by post id: that of the text which the post has now."""
    query = select(post.c.id, family_place.c.representative_id)
    query = query.join_from(post, family_place, family_place.c.text_id == post.c.text_id)
    return {row.id: row.representative_id for row in conn.execute(query.where(post.c.id.in_(post_ids)))}


def sizes_of(conn: Connection, family_ids: Sequence[int], *, undecided: bool = False) -> dict[int, int]:
    """Number of visible posts by family; undecided: only those that nobody has decided."""
    sizes: dict[int, int] = {}
    for start in range(0, len(family_ids), VARIABLES):
        some = {"of_families": family_ids[start : start + VARIABLES]}
        sizes |= {row.representative_id: row.posts for row in conn.execute(_sizes(undecided), some)}
    return sizes


@cache
def _sizes(undecided: bool) -> Select[int, int]:
    """Put together once: that takes longer than the query."""
    return (
        select(family_place.c.representative_id, func.count().label("posts"))
        .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
        .where(family_place.c.representative_id.in_(bindparam("of_families", expanding=True)))
        .where(is_visible() & ~is_decided() if undecided else is_visible())
        .group_by(family_place.c.representative_id)
    )


def decided_families(conn: Connection) -> set[int]:
    """Families in which somebody has decided a post."""
    query = (
        select(family_place.c.representative_id)
        .distinct()
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .where(decides(), is_visible())
    )
    return set(conn.execute(query).scalars())


def members(
    conn: Connection, family: int, *, limit: int | None = None, offset: int = 0, open_to: int | None = None
) -> list[FamilyMember]:
    """Visible posts of a family, in order of id.

    open_to: only those that this user may decide now, because nobody has decided them and nobody else holds them.
    """
    made = decision.alias("made")
    newest = (
        select(func.max(decision.c.id)).where(decision.c.post_id == post.c.id, decides()).correlate(post)
    ).scalar_subquery()
    query = (
        select(
            post.c.id,
            post.c.pid,
            post.c.text_id,
            distinct_text.c.body,
            post.c.original,
            made.c.label,
            made.c.via_id,
            source.c.name,
            lease.c.user_id,
        )
        .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .outerjoin(made, made.c.id == newest)
        .outerjoin(source, source.c.id == made.c.source_id)
        .outerjoin(lease, (lease.c.post_id == post.c.id) & lease.c.ended_at.is_(None))
        .where(family_place.c.representative_id == family, is_visible())
        .order_by(post.c.id)
        .limit(limit)
        .offset(offset)
    )
    if open_to is not None:
        query = query.where(_is_open_to(open_to))
    return [
        FamilyMember(
            post_id=r.id,
            pid=r.pid,
            text_id=r.text_id,
            text=r.body,
            original=r.original,
            label=None if r.label is None else Label(r.label),
            decided_by=r.name,
            by_family=r.via_id is not None,
            holder_id=r.user_id,
        )
        for r in conn.execute(query)
    ]


def _is_open_to(user_id: int) -> ColumnElement[bool]:
    other = lease.alias("other")
    held = select(other.c.id).where(
        other.c.post_id == post.c.id, other.c.ended_at.is_(None), other.c.user_id != user_id
    )
    return ~is_decided() & ~held.correlate(post).exists()


def open_posts(conn: Connection, family: int, *, user_id: int, until: int) -> list[tuple[int, int]]:
    """(post_id, text_id) of those members up to a post id that this user may decide now."""
    query = (
        select(post.c.id, post.c.text_id)
        .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
        .where(family_place.c.representative_id == family, post.c.id <= until, is_visible(), _is_open_to(user_id))
        .order_by(post.c.id)
    )
    return [(row.id, row.text_id) for row in conn.execute(query)]


def is_in_hands_of(conn: Connection, family: int, *, user_id: int) -> bool:
    """Whether the user holds a post of the family on a card, or a decision of the user's own stands on one."""
    held = select(lease.c.id).where(
        lease.c.post_id == post.c.id, lease.c.user_id == user_id, lease.c.ended_at.is_(None)
    )
    decided = (
        select(decision.c.id)
        .join_from(decision, source, source.c.id == decision.c.source_id)
        .where(decision.c.post_id == post.c.id, source.c.user_id == user_id, stands())
    )
    query = (
        select(post.c.id)
        .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
        .where(family_place.c.representative_id == family, held.exists() | decided.exists())
        .limit(1)
    )
    return conn.execute(query).scalar() is not None


@dataclass(frozen=True, slots=True)
class DecidedPosts:
    """How many posts of a family a source has decided as a label, and how many of them by the family."""

    label: Label
    source: str
    posts: int
    by_family: int


def decided_posts(conn: Connection, family_ids: Sequence[int]) -> dict[int, list[DecidedPosts]]:
    """By family: what stands on its posts, the most frequent first."""
    found: dict[int, list[DecidedPosts]] = {}
    for start in range(0, len(family_ids), VARIABLES):
        query = (
            select(
                family_place.c.representative_id,
                decision.c.label,
                source.c.name,
                func.count().label("posts"),
                func.count(decision.c.via_id).label("by_family"),
            )
            .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
            .join(decision, decision.c.post_id == post.c.id)
            .join(source, source.c.id == decision.c.source_id)
            .where(family_place.c.representative_id.in_(family_ids[start : start + VARIABLES]), decides(), is_visible())
            .group_by(family_place.c.representative_id, decision.c.label, source.c.name)
            .order_by(func.count().desc(), decision.c.label.desc(), source.c.name)
        )
        for row in conn.execute(query):
            counted = DecidedPosts(Label(row.label), row.name, row.posts, row.by_family)
            found.setdefault(row.representative_id, []).append(counted)
    return found


def _shared() -> Select[Any]:
    """(representative_id, posts) of families of two posts or more.

    Says which posts are hidden rather than which are visible: so indexes alone answer it, and posts are not read.
    """
    unpublished = select(run.c.id).where(run.c.kind == RunKind.importing, run.c.published_at.is_(None))
    hidden = post.alias("hidden")
    return (
        select(family_place.c.representative_id, func.count().label("posts"))
        .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
        .where(post.c.id.not_in(select(hidden.c.id).where(hidden.c.import_id.in_(unpublished))))
        .group_by(family_place.c.representative_id)
        .having(func.count() > 1)
    )


def largest(conn: Connection, *, limit: int | None, offset: int = 0) -> list[Family]:
    """Families of two posts or more, largest first."""
    shared = _shared().order_by(func.count().desc(), family_place.c.representative_id)
    sizes = {row.representative_id: row.posts for row in conn.execute(shared.limit(limit).offset(offset))}
    bodies, seen = bodies_of(conn, list(sizes)), _seen(conn, list(sizes))
    return [Family(family, size, bodies[family], *seen[family]) for family, size in sizes.items()]


def _seen(conn: Connection, family_ids: Sequence[int]) -> dict[int, tuple[datetime, datetime]]:
    """When the first and the last post of each family became visible."""
    # A decided post of an import that was taken back belongs to the run that took it back; it came with the import.
    brought = run.alias("brought")
    came_at = func.coalesce(brought.c.published_at, run.c.published_at)
    first, last = (
        choose(came_at, type_=run.c.published_at.type).label(name)
        for choose, name in ((func.min, "first_at"), (func.max, "last_at"))
    )
    found: dict[int, tuple[datetime, datetime]] = {}
    for start in range(0, len(family_ids), VARIABLES):
        query = (
            select(family_place.c.representative_id, first, last)
            .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
            .join(run, run.c.id == post.c.import_id)
            .outerjoin(brought, brought.c.id == run.c.config["take_back"].as_integer())
            .where(family_place.c.representative_id.in_(family_ids[start : start + VARIABLES]), is_visible())
            .group_by(family_place.c.representative_id)
        )
        found |= {row.representative_id: (row.first_at, row.last_at) for row in conn.execute(query)}
    return found


def count_families(conn: Connection) -> tuple[int, int]:
    """(families of two posts or more, posts in them)."""
    shared = _shared().subquery()
    counted = select(func.count().label("families"), func.coalesce(func.sum(shared.c.posts), 0).label("posts"))
    row = conn.execute(counted.select_from(shared)).one()
    return row.families, row.posts


def split_off(conn: Connection, text_id: int, *, family: int) -> int | None:
    """Give a text a family of its own that takes nobody in; returns the family that the others are in now.

    None when there are no others. Where the representative leaves, the next text takes its part.
    """
    others = select(family_place.c.text_id).where(
        family_place.c.representative_id == family, family_place.c.text_id != text_id
    )
    next_one = conn.execute(others.order_by(family_place.c.text_id).limit(1)).scalar()
    own = {"representative_id": text_id, "form_hash": None, "bands": None}
    conn.execute(update(family_place).where(family_place.c.text_id == text_id).values(own))
    if next_one is None or text_id != family:
        return None if next_one is None else family
    left = family_place.c.representative_id == family
    conn.execute(update(family_place).where(left, family_place.c.text_id != text_id).values(representative_id=next_one))
    return int(next_one)


def set_bands(conn: Connection, text_id: int, bands: Bands) -> None:
    """Let near-copies join a text that has become the representative."""
    conn.execute(
        update(family_place).where(family_place.c.text_id == text_id).values(bands=bands.astype("<u4").tobytes())
    )
