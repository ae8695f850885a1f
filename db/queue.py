"""Rounds of the queue: the pool in one order, built aside and then published at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)

from core.domain import Lease, Place, QueueEntry, Reason, SkipKind
from db import seconds
from db.engine import each_of, insert_rows
from db.posts import count_taken_back, decides, ids_of_visible, is_visible
from db.tables import decision, family_place, lease, post, queue_entry, queue_round, run, skip

END = 2**62  # no rank is as high
QueueRow = tuple[int, int, int, str, float | None, float | None]  # (round, post, rank, reason, score, probability)


def current_round(conn: Connection) -> int | None:
    """The id of the round that moderators are served from."""
    newest = select(func.max(queue_round.c.id)).where(queue_round.c.published_at.is_not(None))
    return conn.execute(newest).scalar()


def open_round(conn: Connection, *, now: datetime) -> int:
    """Before the pool is read: of two rounds built at once, the later id then holds the later pool."""
    values = {"strategy": "", "created_at": now}
    return conn.execute(insert(queue_round).values(values).returning(queue_round.c.id)).scalar_one()


def add_entries(conn: Connection, rows: Sequence[QueueRow], *, taken_back: int) -> None:
    """Posts that were taken back since the pool was read are left out.

    taken_back: how many imports were when it was read.
    """
    if count_taken_back(conn) != taken_back:
        there = ids_of_visible(conn, [post_id for _, post_id, *_ in rows])
        rows = [row for row in rows if row[1] in there]
    columns = ("round_id", "post_id", "rank", "reason", "score", "selection_probability")
    insert_rows(conn, queue_entry, columns, rows)


def open_first_cards(
    conn: Connection, round_id: int, *, first_cards: int, version_id: int | None, strategy: str
) -> None:
    """Serve the posts of so many ranks, from 0, while the others of the round are still put in order."""
    said = {"first_cards": first_cards, "version_id": version_id, "strategy": strategy}
    conn.execute(update(queue_round).where(queue_round.c.id == round_id).values(said))


def _served(conn: Connection) -> list[tuple[int, int]]:
    """(round, rank below which it is served), one after the other: what leads have sent to the front, then the first
    cards of a round that is being built, then the one that is complete."""
    newest = select(queue_round.c.id, queue_round.c.first_cards).order_by(queue_round.c.id.desc()).limit(1)
    building, current = conn.execute(newest).one_or_none(), current_round(conn)
    whole = [] if current is None else [(current, END)]
    if building is None or building.id == current or not building.first_cards:
        return whole
    return [*((round_id, 0) for round_id, _ in whole), (building.id, building.first_cards), *whole]


def _last_served(conn: Connection) -> int | None:
    """The complete round; before there is any, the one whose first cards are served."""
    return next((round_id for round_id, _ in reversed(_served(conn))), None)


def publish_round(
    conn: Connection, round_id: int, *, version_id: int | None, strategy: str, last_decision: int, now: datetime
) -> None:
    """Serve moderators from this round; what was decided while it was built leaves it, what was undone joins it.

    last_decision: the newest id when the pool was read. Ids follow the order of commits, clocks do not.
    """
    meanwhile = select(decision.c.post_id).where(decision.c.id > last_decision, decides())
    conn.execute(delete(queue_entry).where(queue_entry.c.round_id == round_id, queue_entry.c.post_id.in_(meanwhile)))
    for post_id, reason, rank in seconds.wanted_places(conn):
        add_second(conn, round_id, post_id=post_id, reason=reason, rank=rank)
    undone = select(decision.c.post_id).where(decision.c.id > last_decision, decision.c.label.is_(None))
    back = _entries_in_order(current_round(conn) or 0).where(
        queue_entry.c.post_id.in_(undone), ~_is_in_round(round_id, queue_entry.c.post_id)
    )
    for entry in conn.execute(back).all():
        conn.execute(insert(queue_entry).values(entry._asdict() | {"round_id": round_id}))
    _keep_front(conn, current_round(conn) or 0, round_id)
    said = {"version_id": version_id, "strategy": strategy, "published_at": now}
    conn.execute(update(queue_round).where(queue_round.c.id == round_id).values(said))


def add_second(conn: Connection, round_id: int, *, post_id: int, reason: str, rank: int) -> None:
    """A post that waits for another opinion keeps its place, as if it had not been judged."""
    conn.execute(delete(queue_entry).where(queue_entry.c.round_id == round_id, queue_entry.c.post_id == post_id))
    conn.execute(insert(queue_entry).values(round_id=round_id, post_id=post_id, reason=reason, rank=rank))


def put_second(conn: Connection, post_id: int) -> None:
    """A post that waits for another opinion joins the round that is served at the place that it kept."""
    round_id = _last_served(conn)
    for waiting, reason, rank in seconds.wanted_places(conn, post_id):
        if round_id is not None:
            add_second(conn, round_id, post_id=waiting, reason=reason, rank=rank)


def _keep_front(conn: Connection, old_round: int, round_id: int) -> None:
    """What a lead has sent to the front stays there until it is decided."""
    sent = [entry._asdict() for entry in conn.execute(_entries_in_order(old_round).where(queue_entry.c.rank < 0))]
    _take_out_with_copies(conn, round_id, [entry["post_id"] for entry in sent])
    for entry in sent:
        conn.execute(insert(queue_entry).values(entry | {"round_id": round_id}))


def put_first(conn: Connection, post_ids: Sequence[int], *, reason: Reason) -> None:
    """Put the posts before all others, in their order; of a near-copy that stood in the queue each takes the place.

    Ranks below 0 stand for it: renewing the queue keeps them.
    """
    round_id = current_round(conn) or 0
    first = conn.execute(select(func.min(queue_entry.c.rank)).where(queue_entry.c.round_id == round_id)).scalar()
    begin = min(first or 0, 0) - len(post_ids)
    _take_out_with_copies(conn, round_id, post_ids)
    rows = [(round_id, post_id, begin + place, reason.value) for place, post_id in enumerate(post_ids)]
    insert_rows(conn, queue_entry, ("round_id", "post_id", "rank", "reason"), rows)


def held_among(conn: Connection, post_ids: Sequence[int]) -> set[int]:
    """Those of the posts that are on somebody's card, or left to the lead."""
    held = exists().where(lease.c.post_id == post.c.id, lease.c.ended_at.is_(None))
    query = select(post.c.id).where(post.c.id.in_(each_of(post_ids)), held | is_left_to_lead(post.c.id))
    return set(conn.execute(query).scalars())


def _take_out_with_copies(conn: Connection, round_id: int, post_ids: Sequence[int]) -> None:
    """Entries of the round for these posts and others of their families leave it."""
    of_text = family_place.c.text_id == post.c.text_id
    their = select(family_place.c.representative_id).join_from(post, family_place, of_text)
    their = their.where(post.c.id.in_(each_of(post_ids)))
    copies = select(post.c.id).join_from(family_place, post, of_text)
    copies = copies.where(family_place.c.representative_id.in_(their))
    gone = delete(queue_entry).where(queue_entry.c.round_id == round_id, queue_entry.c.post_id.in_(copies))
    conn.execute(gone)


def _is_in_round(round_id: int, post_id: ColumnElement[int]) -> ColumnElement[bool]:
    other = queue_entry.alias("other")
    return exists().where(other.c.round_id == round_id, other.c.post_id == post_id)


def is_older_than_newest_import(conn: Connection) -> bool:
    """Whether posts are visible that the current round cannot hold."""
    newest = conn.execute(select(func.max(run.c.published_at))).scalar()
    begun = select(func.max(queue_round.c.created_at)).where(queue_round.c.published_at.is_not(None))
    built = conn.execute(begun).scalar()
    return newest is not None and (built is None or newest > built)


def drop_entries_before(conn: Connection, round_id: int, *, limit: int) -> int:
    """Remove some entries of earlier rounds; returns how many went."""
    old = select(queue_entry.c.round_id, queue_entry.c.post_id).where(queue_entry.c.round_id < round_id).limit(limit)
    gone = delete(queue_entry).where(tuple_(queue_entry.c.round_id, queue_entry.c.post_id).in_(old))
    return conn.execute(gone).rowcount


def claimable(
    conn: Connection, *, user_id: int, limit: int, later: bool
) -> list[Row[int, int, str, float, int, float]]:
    """(post_id, rank, reason, score, round_id, selection_probability) of posts nobody holds or has decided.

    later: those that this user has left for later, instead of those that this user has not skipped at all. What
    somebody could not judge is the lead's.
    """
    asked = {"of_user": user_id, "most": limit}
    found: dict[int, Row[int, int, str, float, int, float]] = {}
    for round_id, below in _served(conn):
        if len(found) < limit:
            for row in conn.execute(_claimable(later), asked | {"of_round": round_id, "below": below}):
                found.setdefault(row.post_id, row)
    return list(found.values())[:limit]


@cache
def _claimable(later: bool) -> Select[int, int, str, float, int, float]:
    """Put together once: that takes longer than the query."""
    post_id, user_id = queue_entry.c.post_id, bindparam("of_user", type_=Integer)
    held = exists().where(lease.c.post_id == post_id, lease.c.ended_at.is_(None))
    decided = exists().where(decision.c.post_id == post_id, decides())
    is_there = exists().where(post.c.id == post_id, is_visible())
    own = exists().where(skip.c.post_id == post_id, skip.c.user_id == user_id)
    is_due = own.where(skip.c.kind == SkipKind.later) if later else ~own
    is_second = seconds.is_wanted(post_id) & ~seconds.is_judged_by(post_id, user_id)
    is_open = ~decided | is_second
    free = _entries_in_order(bindparam("of_round", type_=Integer)).where(~held, is_open, is_there, is_due)
    free = free.where(queue_entry.c.rank < bindparam("below", type_=Integer))
    return free.where(~is_left_to_lead(post_id)).limit(bindparam("most", type_=Integer))


def is_left_to_lead(post_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Somebody could not judge the post."""
    stuck = skip.alias("stuck")
    return exists().where(stuck.c.kind == SkipKind.cannot_judge, stuck.c.post_id == post_id)


def _entries_in_order(round_id: int | ColumnElement[int]) -> Select[int, int, str, float, int, float]:
    columns = (
        queue_entry.c.post_id,
        queue_entry.c.rank,
        queue_entry.c.reason,
        queue_entry.c.score,
        queue_entry.c.round_id,
        queue_entry.c.selection_probability,
    )
    return select(*columns).where(queue_entry.c.round_id == round_id).order_by(queue_entry.c.rank)


def entry_of(conn: Connection, post_id: int) -> Row[int, int, str, float, int, float] | None:
    """The post's entry in the current round, as `claimable` gives them."""
    entry = _entries_in_order(current_round(conn) or 0).where(queue_entry.c.post_id == post_id)
    return conn.execute(entry).one_or_none()


def take_out(conn: Connection, post_ids: Sequence[int]) -> None:
    """Decided posts leave every round."""
    for start in range(0, len(post_ids), 500):
        conn.execute(delete(queue_entry).where(queue_entry.c.post_id.in_(post_ids[start : start + 500])))


def put_back(conn: Connection, freed: Lease | Place) -> None:
    """A post that is to be judged again returns to the round that is served, at its old rank."""
    round_id = _last_served(conn)
    if round_id is None:
        return
    take_out(conn, [freed.post_id])
    conn.execute(
        insert(queue_entry).values(
            round_id=round_id,
            post_id=freed.post_id,
            rank=freed.rank,
            reason=freed.reason,
            score=freed.score,
            selection_probability=freed.selection_probability,
        )
    )


def holds_any(conn: Connection, post_ids: Sequence[int]) -> bool:
    """Whether one of the posts has a place in the current round."""
    place = select(queue_entry.c.post_id).where(queue_entry.c.round_id == current_round(conn))
    parts = (post_ids[start : start + 500] for start in range(0, len(post_ids), 500))
    return any(conn.execute(place.where(queue_entry.c.post_id.in_(part)).limit(1)).first() for part in parts)


def put_last(conn: Connection, post_id: int) -> None:
    """A post that has to be judged by itself from now on joins the current round behind all others."""
    round_id = current_round(conn)
    if round_id is not None:
        last = conn.execute(select(func.max(queue_entry.c.rank)).where(queue_entry.c.round_id == round_id)).scalar()
        take_out(conn, [post_id])
        conn.execute(
            insert(queue_entry).values(round_id=round_id, post_id=post_id, rank=(last or 0) + 1, reason=Reason.random)
        )


def count_left(conn: Connection, *, most: int | None = None) -> int:
    """most: beyond which it is not counted."""
    round_id = _last_served(conn)
    left = select(queue_entry.c.post_id).where(queue_entry.c.round_id == round_id).limit(most).subquery()
    return conn.execute(select(func.count()).select_from(left)).scalar_one() if round_id is not None else 0


def head_of_queue(conn: Connection, *, limit: int) -> list[QueueEntry]:
    found: dict[int, QueueEntry] = {}
    for round_id, below in _served(conn):
        entries = _entries_in_order(round_id).where(queue_entry.c.rank < below).limit(limit)
        strategy = conn.execute(select(queue_round.c.strategy).where(queue_round.c.id == round_id)).scalar_one()
        for post_id, rank, reason, score, _round, probability in conn.execute(entries):
            entry = QueueEntry(post_id, rank, Reason(reason), score, strategy, round_id, probability)
            found.setdefault(post_id, entry)
    return list(found.values())[:limit]
