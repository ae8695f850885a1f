"""Taking an import back: what goes with it, what stays, and its removal, some posts at a time.

A post of the import goes unless a later import found it too, or a decision refers to it. One that only the import's own
decisions refer to cannot go, because decisions are never deleted: it stays unseen, without hits, until a later import
brings it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from core.domain import OPEN_STATUSES, LeaseOutcome
from db.posts import is_decided_beside_taken_back, is_visible, living_imports, stands
from db.tables import (
    decision,
    flag,
    guidelines_example,
    hit,
    lease,
    post,
    queue_entry,
    run,
    second_opinion,
    sighting,
    skip,
)

PART = 500  # ids in one statement


@dataclass(frozen=True, slots=True)
class TakebackCounts:
    """posts = those that the import brought = posts_gone + posts_decided + posts_elsewhere.

    posts_gone are not seen any more, posts_decided stay because of a decision, posts_elsewhere because other imports
    found them too. posts_changed: seen by other imports, their text becomes what it was without this one.
    """

    posts_gone: int
    posts_decided: int
    posts_elsewhere: int
    posts_changed: int
    hits_gone: int
    decisions_taken_back: int


@dataclass(frozen=True, slots=True)
class StayingPost:
    """A post that stays because of a decision."""

    post_id: int
    pid: str | None
    decisions: int


def _others(import_id: int) -> Select[int]:
    return living_imports().where(run.c.id != import_id)


def _is_elsewhere(import_id: int) -> ColumnElement[bool]:
    """Another import that counts has found the post too."""
    return or_(
        *(exists().where(t.c.post_id == post.c.id, t.c.import_id.in_(_others(import_id))) for t in (hit, sighting))
    )


def _is_referred_to() -> ColumnElement[bool]:
    return exists().where(decision.c.post_id == post.c.id)


def _is_decided_beside(import_id: int) -> ColumnElement[bool]:
    """A decision refers to the post that neither this import nor one that was taken back has brought."""
    counts = decision.c.import_id.is_(None) | decision.c.import_id.in_(_others(import_id))
    return exists().where(decision.c.post_id == post.c.id, counts)


def _is_found_again(import_id: int) -> ColumnElement[bool]:
    return exists().where(_is_of_hit(), sighting.c.import_id.in_(_others(import_id)))


# --- before: what would go ------------------------------------------------------------------------------------------


def count_takeback(conn: Connection, import_id: int) -> TakebackCounts:
    """What taking the import back would do now."""
    fate = case((_is_elsewhere(import_id), "elsewhere"), (_is_decided_beside(import_id), "decided"), else_="gone")
    fates = select(post.c.id, fate.label("fate")).where(post.c.import_id == import_id).subquery()
    counted = conn.execute(select(fates.c.fate, func.count().label("posts")).group_by(fates.c.fate))
    posts = {row.fate: row.posts for row in counted}
    goes = hit.c.import_id == import_id, ~_is_found_again(import_id)
    brought = select(func.count(), func.count(hit.c.post_id.distinct())).where(*goes)
    hits, posts_of_hits = conn.execute(brought).one()
    decided = select(fates.c.id).where(fates.c.fate == "decided")
    kept = conn.execute(select(func.count()).where(*goes, hit.c.post_id.in_(decided))).scalar_one()
    # Every hit of a post that goes or is decided is one that nobody else found.
    with_hits = exists().where(hit.c.post_id == fates.c.id, hit.c.import_id == import_id)
    alone = select(func.count()).where(fates.c.fate != "elsewhere", with_hits)
    made = select(func.count()).where(decision.c.import_id == import_id, stands())
    return TakebackCounts(
        posts_gone=posts.get("gone", 0),
        posts_decided=posts.get("decided", 0),
        posts_elsewhere=posts.get("elsewhere", 0),
        posts_changed=posts_of_hits - conn.execute(alone).scalar_one(),
        hits_gone=hits - kept,
        decisions_taken_back=conn.execute(made).scalar_one(),
    )


def staying_posts(conn: Connection, import_id: int, *, keeper_id: int, limit: int, after: int) -> list[StayingPost]:
    """Posts that stay because of a decision, in order of id, beyond `after`.

    keeper_id: the run that took the import back and owns them since; 0 before.
    """
    alone = and_(post.c.import_id == import_id, ~_is_elsewhere(import_id), _is_decided_beside(import_id))
    made = select(func.count()).where(decision.c.post_id == post.c.id).correlate(post).scalar_subquery()
    query = (
        select(post.c.id, post.c.pid, made.label("made"))
        .where(or_(alone, post.c.import_id == keeper_id), post.c.id > after)
        .order_by(post.c.id)
        .limit(limit)
    )
    return [StayingPost(row.id, row.pid, row.made) for row in conn.execute(query)]


# --- the one transaction that counts --------------------------------------------------------------------------------


def pass_on(conn: Connection, import_id: int, *, after: int, limit: int) -> int | None:
    """Give posts that others found too to the earliest of them, looking at so many; returns the last id looked at.

    Nobody sees a difference: both imports count. None when there was nothing left to look at.
    """
    seen = select(post.c.id).where(post.c.import_id == import_id, post.c.id > after).order_by(post.c.id).limit(limit)
    ids = list(conn.execute(seen).scalars())
    if not ids:
        return None
    found = [
        select(func.min(t.c.import_id).label("id"))
        .where(t.c.post_id == post.c.id, t.c.import_id.in_(_others(import_id)))
        .correlate(post)
        .scalar_subquery()
        for t in (hit, sighting)
    ]
    by_hit, by_sighting = found
    first = case((by_hit.is_(None), by_sighting), (by_sighting < by_hit, by_sighting), else_=by_hit)
    span = post.c.id.between(ids[0], ids[-1]) & (post.c.import_id == import_id)
    conn.execute(update(post).where(span, _is_elsewhere(import_id)).values(import_id=first))
    return ids[-1]


def mark_taken_back(conn: Connection, import_id: int, *, now: datetime) -> None:
    """From here on what only the import brought is not seen, its decisions do not stand, and cards in hand are lost."""
    conn.execute(update(run).where(run.c.id == import_id).values(taken_back_at=now))
    _supersede_decisions(conn, import_id, now=now)
    held = select(lease.c.id).join_from(lease, post, lease.c.post_id == post.c.id)
    lost = list(conn.execute(held.where(lease.c.ended_at.is_(None), ~is_visible())).scalars())
    for start in range(0, len(lost), PART):
        some = update(lease).where(lease.c.id.in_(lost[start : start + PART]))
        conn.execute(some.values(ended_at=now, outcome=LeaseOutcome.returned))


def _supersede_decisions(conn: Connection, import_id: int, *, now: datetime) -> None:
    """Take back what the import decided; where the same source had said something before, that stands again."""
    before = decision.alias("before")
    counts = before.c.import_id.is_(None) | before.c.import_id.in_(living_imports())
    again = and_(
        before.c.id == decision.c.supersedes,
        before.c.source_id == decision.c.source_id,
        before.c.label.is_not(None),
        counts,
    )
    said = (
        select(
            decision.c.post_id,
            func.coalesce(before.c.text_id, decision.c.text_id),
            decision.c.source_id,
            before.c.label,
            decision.c.id,
            case((before.c.id.is_(None), literal(import_id)), else_=before.c.import_id),
            literal(now, decision.c.decided_at.type),
        )
        .join_from(decision, before, again, isouter=True)
        .where(decision.c.import_id == import_id, stands())
    )
    columns = ["post_id", "text_id", "source_id", "label", "supersedes", "import_id", "decided_at"]
    conn.execute(insert(decision).from_select(columns, said))


# --- after: the removal ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unswept:
    """An import that is taken back while something of it may be left.

    keeper_id: the run that took it back. newest_text: the newest one from before that run wrote any.
    """

    import_id: int
    keeper_id: int
    newest_text: int


def unswept(conn: Connection) -> list[Unswept]:
    """Those whose taking back has ended."""
    taker = run.alias("taker")
    is_taker = (taker.c.config["take_back"].as_integer() == run.c.id) & taker.c.published_at.is_not(None)
    query = (
        select(run.c.id, taker.c.id.label("keeper_id"), taker.c.config["newest_text"].as_integer().label("newest_text"))
        .join_from(run, taker, is_taker)
        .where(run.c.taken_back_at.is_not(None), run.c.swept_at.is_(None), taker.c.status.not_in(OPEN_STATUSES))
    )
    return [Unswept(row.id, row.keeper_id, row.newest_text) for row in conn.execute(query)]


def taker_of(conn: Connection, import_id: int) -> int | None:
    """The run that took the import back."""
    taker = run.c.config["take_back"].as_integer() == import_id
    return conn.execute(select(func.max(run.c.id)).where(taker, run.c.published_at.is_not(None))).scalar()


def mark_swept(conn: Connection, import_id: int, *, now: datetime) -> None:
    conn.execute(update(run).where(run.c.id == import_id).values(swept_at=now))


def posts_with_hits(conn: Connection, import_id: int, *, after: int, limit: int) -> list[int]:
    """Ids of posts that have hits of the import, in order."""
    query = select(hit.c.post_id).distinct().where(hit.c.import_id == import_id, hit.c.post_id > after)
    return list(conn.execute(query.order_by(hit.c.post_id).limit(limit)).scalars())


def remove_alone(conn: Connection, import_id: int, *, keeper_id: int, first: int, last: int) -> None:
    """Of posts that only the import brought, in that span of ids: remove them, or give decided ones to the keeper."""
    own = post.c.id.between(first, last) & (post.c.import_id == import_id)
    kept = list(conn.execute(select(post.c.id).where(own, is_decided_beside_taken_back())).scalars())
    for start in range(0, len(kept), PART):
        part = kept[start : start + PART]
        conn.execute(update(post).where(post.c.id.in_(part)).values(import_id=keeper_id))
        own_hits = hit.c.post_id.in_(part) & (hit.c.import_id == import_id)
        conn.execute(update(hit).where(own_hits).values(import_id=keeper_id))
    unseen = list(conn.execute(select(post.c.id).where(own, _is_referred_to())).scalars())
    gone = list(conn.execute(select(post.c.id).where(own, ~_is_referred_to())).scalars())
    _delete(conn, (sighting, hit, queue_entry), unseen)
    _delete(conn, (sighting, hit, queue_entry, lease, skip, flag, second_opinion, guidelines_example), gone)
    for start in range(0, len(gone), PART):
        conn.execute(delete(post).where(post.c.id.in_(gone[start : start + PART])))


def _delete(conn: Connection, tables: Sequence[Table], post_ids: Sequence[int]) -> None:
    for table in tables:
        for start in range(0, len(post_ids), PART):
            conn.execute(delete(table).where(table.c.post_id.in_(post_ids[start : start + PART])))


def remove_hits(conn: Connection, import_id: int, *, first: int, last: int) -> list[int]:
    """Remove the import's hits in that span of posts, or pass those that others found to the earliest of them.

    Returns the posts, all of other imports, whose hits are others now.
    """
    span = hit.c.post_id.between(first, last) & (hit.c.import_id == import_id)
    touched = list(conn.execute(select(hit.c.post_id).distinct().where(span)).scalars())
    if not touched:
        return []
    earliest = (
        select(sighting.c.import_id)
        .where(_is_of_hit(), sighting.c.import_id.in_(_others(import_id)))
        .order_by(sighting.c.import_id)
        .limit(1)
        .correlate(hit)
    )
    finder, place = (earliest.with_only_columns(column) for column in (sighting.c.import_id, sighting.c.place))
    found_again = update(hit).where(span, _is_found_again(import_id))
    conn.execute(found_again.values(import_id=finder.scalar_subquery(), place=place.scalar_subquery()))
    # Whoever brings the hit now has not found it again.
    brings = exists().where(_is_of_hit(), hit.c.import_id == sighting.c.import_id)
    conn.execute(delete(sighting).where(sighting.c.post_id.between(first, last), brings))
    conn.execute(delete(hit).where(span))
    return touched


def _is_of_hit() -> ColumnElement[bool]:
    return and_(
        sighting.c.post_id == hit.c.post_id,
        sighting.c.fingerprint == hit.c.fingerprint,
        sighting.c.word == hit.c.word,
    )


def excerpts_of(conn: Connection, post_ids: Sequence[int]) -> dict[int, tuple[str, list[str]]]:
    """By post: its original as it stands, and its excerpts in the order in which they came."""
    found: dict[int, tuple[str, list[str]]] = {}
    for start in range(0, len(post_ids), PART):
        part = post_ids[start : start + PART]
        query = select(post.c.id, post.c.original).where(post.c.id.in_(part))
        found |= {row.id: (row.original, []) for row in conn.execute(query)}
        left = select(hit.c.post_id, hit.c.excerpt).where(hit.c.post_id.in_(part))
        for row in conn.execute(left.order_by(hit.c.import_id, hit.c.place)):
            found[row.post_id][1].append(row.excerpt)
    return found


def drop_sightings(conn: Connection, import_id: int, *, limit: int) -> int:
    """Forget some of what the import found again; returns how many went."""
    key = (sighting.c.post_id, sighting.c.fingerprint, sighting.c.word, sighting.c.import_id)
    some = select(*key).where(sighting.c.import_id == import_id).limit(limit)
    return conn.execute(delete(sighting).where(tuple_(*key).in_(some))).rowcount
