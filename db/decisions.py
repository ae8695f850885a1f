"""Decisions: append one, find the one that stands, and a person's latest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from core.domain import Decision, Label, SourceKind
from db.posts import decides, stands
from db.tables import decision, distinct_text, post, source


@dataclass(frozen=True, slots=True)
class NewDecision:
    """label None takes back what it supersedes. seconds: from the card's first frame to the press."""

    post_id: int
    text_id: int
    source_id: int
    label: Label | None
    supersedes: int | None = None
    lease_id: int | None = None
    press_id: str | None = None
    saw_model: bool = False
    seconds: float | None = None
    settles: bool = False


@dataclass(frozen=True, slots=True)
class RecentDecision:
    """A standing decision of one's own, with the post's text as it is now."""

    decision_id: int
    lease_id: int | None
    post_id: int
    text_id: int
    text: str
    label: Label
    decided_at: datetime


def _to_decision(row: Row[Any]) -> Decision:
    return Decision(
        id=row.id,
        post_id=row.post_id,
        text_id=row.text_id,
        source_id=row.source_id,
        label=None if row.label is None else Label(row.label),
        supersedes=row.supersedes,
        lease_id=row.lease_id,
        saw_model=row.saw_model,
        decided_at=row.decided_at,
        settles=row.settles,
    )


def add_decision(conn: Connection, made: NewDecision, *, now: datetime) -> Decision:
    values = {name: getattr(made, name) for name in NewDecision.__dataclass_fields__} | {"decided_at": now}
    return _to_decision(conn.execute(insert(decision).values(values).returning(decision)).one())


def made_by_press(conn: Connection, press_id: str) -> Decision | None:
    row = conn.execute(select(decision).where(decision.c.press_id == press_id)).one_or_none()
    return None if row is None else _to_decision(row)


def newest_id(conn: Connection) -> int:
    return conn.execute(select(func.max(decision.c.id))).scalar() or 0


def _standing() -> Select[Any]:
    return select(decision).where(stands())


def standing_by_id(conn: Connection, decision_id: int) -> Decision | None:
    row = conn.execute(_standing().where(decision.c.id == decision_id)).one_or_none()
    return None if row is None else _to_decision(row)


def standing_by_lease(conn: Connection, lease_id: int) -> Decision | None:
    """What stands of what was decided under a lease (a correction carries the lease of what it corrects)."""
    row = conn.execute(_standing().where(decision.c.lease_id == lease_id)).one_or_none()
    return None if row is None else _to_decision(row)


def standing_on_post(conn: Connection, post_id: int) -> list[tuple[Decision, SourceKind, str]]:
    """(decision, kind and name of its source), oldest first; suggestions decide nothing and are left out."""
    query = (
        select(decision, source.c.kind, source.c.name)
        .join_from(decision, source, decision.c.source_id == source.c.id)
        .where(decision.c.post_id == post_id, decides())
        .order_by(decision.c.id)
    )
    return [(_to_decision(row), SourceKind(row.kind), row.name) for row in conn.execute(query)]


def recent_of(conn: Connection, *, source_id: int, limit: int) -> list[RecentDecision]:
    """Standing decisions of a source, newest first."""
    query = (
        select(
            decision.c.id,
            decision.c.lease_id,
            decision.c.post_id,
            post.c.text_id,
            distinct_text.c.body,
            decision.c.label,
            decision.c.decided_at,
        )
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .where(decision.c.source_id == source_id, stands())
        .order_by(decision.c.decided_at.desc(), decision.c.id.desc())
        .limit(limit)
    )
    return [
        RecentDecision(r.id, r.lease_id, r.post_id, r.text_id, r.body, Label(r.label), r.decided_at)
        for r in conn.execute(query)
    ]


def count_since(conn: Connection, *, source_id: int, since: datetime) -> int:
    """Standing decisions of a source from that moment on."""
    made = select(func.count()).select_from(decision)
    return conn.execute(
        made.where(decision.c.source_id == source_id, decision.c.decided_at >= since, stands())
    ).scalar_one()
