"""Leases: claim, renew, end. The schema lets no post have two open ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from core.domain import Lease, LeaseOutcome, Place, Reason, SkipKind
from db import queue
from db.tables import lease, skip


def _to_lease(row: Row[Any]) -> Lease:
    return Lease(
        id=row.id,
        post_id=row.post_id,
        user_id=row.user_id,
        expires_at=row.expires_at,
        outcome=None if row.outcome is None else LeaseOutcome(row.outcome),
        reason=Reason(row.reason),
        score=row.score,
        rank=row.rank,
        round_id=row.round_id,
        selection_probability=row.selection_probability,
        is_check=row.is_check,
    )


def get_lease(conn: Connection, lease_id: int) -> Lease | None:
    row = conn.execute(select(lease).where(lease.c.id == lease_id)).one_or_none()
    return None if row is None else _to_lease(row)


def holder_of(conn: Connection, post_id: int) -> Lease | None:
    """The open lease on a post."""
    row = conn.execute(select(lease).where(lease.c.post_id == post_id, lease.c.ended_at.is_(None))).one_or_none()
    return None if row is None else _to_lease(row)


def open_leases(conn: Connection, *, user_id: int) -> list[Lease]:
    """Those of one user, in the order in which they were claimed."""
    query = select(lease).where(lease.c.user_id == user_id, lease.c.ended_at.is_(None)).order_by(lease.c.id)
    return [_to_lease(row) for row in conn.execute(query)]


def free_places(conn: Connection, *, user_id: int, limit: int) -> list[Place]:
    """The next free posts of the queue; what this user left for later comes after everything else."""
    if limit <= 0:
        return []
    free = queue.claimable(conn, user_id=user_id, limit=limit, later=False)
    free += queue.claimable(conn, user_id=user_id, limit=limit - len(free), later=True) if len(free) < limit else []
    return [
        Place(row.post_id, row.rank, Reason(row.reason), row.score, row.round_id, row.selection_probability)
        for row in free
    ]


def place_of(conn: Connection, post_id: int) -> Place | None:
    """Where the post stands in the current round."""
    row = queue.entry_of(conn, post_id)
    if row is None:
        return None
    return Place(row.post_id, row.rank, Reason(row.reason), row.score, row.round_id, row.selection_probability)


def next_id(conn: Connection) -> int:
    """The id that the next lease gets."""
    return (conn.execute(select(func.max(lease.c.id))).scalar() or 0) + 1


def claim_places(
    conn: Connection, places: Sequence[Place], *, user_id: int, now: datetime, ttl: timedelta
) -> list[Lease]:
    """Lease posts that are free, in the order given."""
    if not places:
        return []
    values = [_values(place, user_id=user_id, now=now, ttl=ttl) for place in places]
    returning = insert(lease).returning(lease, sort_by_parameter_order=True)
    return [_to_lease(row) for row in conn.execute(returning, values)]


def claim_again(conn: Connection, ended: Lease, *, now: datetime, ttl: timedelta) -> Lease:
    """A fresh lease on the post of one that has ended, at the same place in the queue."""
    values = _values(ended, user_id=ended.user_id, now=now, ttl=ttl)
    return _to_lease(conn.execute(insert(lease).values(values).returning(lease)).one())


def _values(place: Place | Lease, *, user_id: int, now: datetime, ttl: timedelta) -> dict[str, Any]:
    """A new lease remembers the place in the queue that it was claimed from."""
    kept = ("post_id", "reason", "score", "rank", "round_id", "selection_probability", "is_check")
    return {name: getattr(place, name) for name in kept} | {
        "user_id": user_id,
        "claimed_at": now,
        "expires_at": now + ttl,
    }


def renew(conn: Connection, lease_ids: Sequence[int], *, until: datetime) -> None:
    open_ones = update(lease).where(lease.c.id.in_(lease_ids), lease.c.ended_at.is_(None))
    conn.execute(open_ones.values(expires_at=until))


def end(conn: Connection, lease_id: int, *, outcome: LeaseOutcome, now: datetime) -> None:
    """End a lease, or say better how it ended: a late decision turns `expired` into `decided`."""
    conn.execute(update(lease).where(lease.c.id == lease_id).values(ended_at=now, outcome=outcome))


def expire(conn: Connection, *, now: datetime) -> int:
    """End the leases whose time is up; returns how many."""
    late = update(lease).where(lease.c.ended_at.is_(None), lease.c.expires_at <= now)
    return conn.execute(late.values(ended_at=now, outcome=LeaseOutcome.expired)).rowcount


def return_posts(conn: Connection, lease_ids: Sequence[int], *, user_id: int, now: datetime) -> None:
    """Give posts back undecided."""
    own = update(lease).where(lease.c.id.in_(lease_ids), lease.c.user_id == user_id, lease.c.ended_at.is_(None))
    conn.execute(own.values(ended_at=now, outcome=LeaseOutcome.returned))


def return_all(conn: Connection, *, user_id: int, now: datetime) -> None:
    own = update(lease).where(lease.c.user_id == user_id, lease.c.ended_at.is_(None))
    conn.execute(own.values(ended_at=now, outcome=LeaseOutcome.returned))


def share_not_judged(conn: Connection, *, reason: Reason, last: int) -> float | None:
    """Of the last cards shown for this reason, the share that somebody could not judge; None while they are fewer."""
    shown = (
        select(lease.c.post_id, lease.c.user_id)
        .where(lease.c.reason == reason, lease.c.outcome.in_(("decided", "skipped")))
        .order_by(lease.c.id.desc())
        .limit(last)
        .subquery()
    )
    hard = exists().where(
        skip.c.post_id == shown.c.post_id, skip.c.user_id == shown.c.user_id, skip.c.kind == SkipKind.cannot_judge
    )
    count, not_judged = conn.execute(select(func.count(), func.count().filter(hard)).select_from(shown)).one()
    return not_judged / count if count == last else None
