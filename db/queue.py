"""Rounds of the queue: the pool in one order, built aside and then published at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, delete, func, insert, select

from core.domain import QueueEntry, Reason
from db.tables import queue_entry, queue_round


def current_round(conn: Connection) -> int | None:
    """The id of the round that moderators are served from."""
    newest = select(func.max(queue_round.c.id)).where(queue_round.c.published_at.is_not(None))
    return conn.execute(newest).scalar()


def open_round(conn: Connection, *, version_id: int | None, strategy: str, now: datetime) -> int:
    values = {"version_id": version_id, "strategy": strategy, "created_at": now}
    return conn.execute(insert(queue_round).values(values).returning(queue_round.c.id)).scalar_one()


def add_entries(conn: Connection, entries: Sequence[QueueEntry]) -> None:
    conn.execute(
        insert(queue_entry),
        [
            {
                "round_id": entry.round_id,
                "post_id": entry.post_id,
                "rank": entry.rank,
                "reason": entry.reason,
                "score": entry.score,
                "selection_probability": entry.selection_probability,
            }
            for entry in entries
        ],
    )


def entries_in_order(round_id: int) -> Select[tuple[int, int, str, float, int, float]]:
    """Select of (post_id, rank, reason, score, round_id, selection_probability), first to be shown first."""
    columns = (
        queue_entry.c.post_id,
        queue_entry.c.rank,
        queue_entry.c.reason,
        queue_entry.c.score,
        queue_entry.c.round_id,
        queue_entry.c.selection_probability,
    )
    return select(*columns).where(queue_entry.c.round_id == round_id).order_by(queue_entry.c.rank)


def take_out(conn: Connection, *, post_id: int) -> None:
    """A decided post leaves every round."""
    conn.execute(delete(queue_entry).where(queue_entry.c.post_id == post_id))


def put_back(conn: Connection, entry: QueueEntry) -> None:
    """A post whose decision was undone returns to the current round, at its old rank."""
    round_id = current_round(conn)
    if round_id is None:
        return
    take_out(conn, post_id=entry.post_id)
    conn.execute(
        insert(queue_entry).values(
            round_id=round_id,
            post_id=entry.post_id,
            rank=entry.rank,
            reason=entry.reason,
            score=entry.score,
            selection_probability=entry.selection_probability,
        )
    )


def count_left(conn: Connection) -> int:
    round_id = current_round(conn)
    counted = select(func.count()).select_from(queue_entry).where(queue_entry.c.round_id == round_id)
    return conn.execute(counted).scalar_one() if round_id is not None else 0


def head_of_queue(conn: Connection, *, limit: int) -> list[QueueEntry]:
    round_id = current_round(conn)
    if round_id is None:
        return []
    strategy = conn.execute(select(queue_round.c.strategy).where(queue_round.c.id == round_id)).scalar_one()
    return [
        QueueEntry(row.post_id, row.rank, Reason(row.reason), row.score, strategy, row.round_id, row.selection_probability)
        for row in conn.execute(entries_in_order(round_id).limit(limit))
    ]
