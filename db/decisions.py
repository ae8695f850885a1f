"""Decisions: append one, find the one that stands, and a person's latest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Integer, Row, Select, bindparam, func, insert, select

from core.domain import Decision, Label, ModelView, SourceKind
from db.posts import decides, stands
from db.tables import decision, distinct_text, post, source


@dataclass(frozen=True, slots=True)
class NewDecision:
    """label None takes back what it supersedes. seconds: from the card's first frame to the press.

    via_id: the decision on a near-copy that it was applied from.
    """

    post_id: int
    text_id: int
    source_id: int
    label: Label | None
    supersedes: int | None = None
    lease_id: int | None = None
    press_id: str | None = None
    model_view: ModelView = ModelView.hidden
    view_version_id: int | None = None
    seconds: float | None = None
    via_id: int | None = None
    settles: bool = False
    rule: str | None = None
    note: str | None = None
    is_check: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """A near-copy that a decision is applied to. supersedes: the decision on it that this one replaces."""

    post_id: int
    text_id: int
    supersedes: int | None = None


@dataclass(frozen=True, slots=True)
class RecentDecision:
    """A standing decision of one's own, with the post's text as it is now. copies: how many near-copies share it."""

    decision_id: int
    lease_id: int | None
    post_id: int
    text_id: int
    text: str
    label: Label
    decided_at: datetime
    copies: int
    rule: str | None
    note: str | None


def _to_decision(row: Row[Any]) -> Decision:
    return Decision(
        id=row.id,
        post_id=row.post_id,
        text_id=row.text_id,
        source_id=row.source_id,
        label=None if row.label is None else Label(row.label),
        supersedes=row.supersedes,
        lease_id=row.lease_id,
        model_view=ModelView(row.model_view),
        view_version_id=row.view_version_id,
        decided_at=row.decided_at,
        via_id=row.via_id,
        settles=row.settles,
        rule=row.rule,
        note=row.note,
        is_check=row.is_check,
    )


def add_decision(conn: Connection, made: NewDecision, *, now: datetime) -> Decision:
    values = {name: getattr(made, name) for name in NewDecision.__dataclass_fields__} | {"decided_at": now}
    return _to_decision(conn.execute(insert(decision).values(values).returning(decision)).one())


def add_copies(conn: Connection, made: Decision, copies: Sequence[Copy], *, now: datetime) -> None:
    """Apply a decision, or what takes one back, to near-copies of its post."""
    rows = [
        {
            "post_id": copy.post_id,
            "text_id": copy.text_id,
            "source_id": made.source_id,
            "label": made.label,
            "supersedes": copy.supersedes,
            "via_id": made.id,
            "model_view": made.model_view,
            "view_version_id": made.view_version_id,
            "rule": made.rule,
            "decided_at": now,
        }
        for copy in copies
    ]
    if rows:
        conn.execute(insert(decision), rows)


def copies_of(conn: Connection, decision_id: int) -> list[Copy]:
    """What stands of what was applied from a decision, as what a further decision on it would supersede."""
    query = select(decision.c.post_id, decision.c.text_id, decision.c.id).where(
        decision.c.via_id == decision_id, stands()
    )
    return [Copy(row.post_id, row.text_id, row.id) for row in conn.execute(query.order_by(decision.c.id))]


def made_by_press(conn: Connection, press_id: str) -> Decision | None:
    row = conn.execute(select(decision).where(decision.c.press_id == press_id)).one_or_none()
    return None if row is None else _to_decision(row)


def get_decision(conn: Connection, decision_id: int) -> Decision | None:
    row = conn.execute(select(decision).where(decision.c.id == decision_id)).one_or_none()
    return None if row is None else _to_decision(row)


def standing_of_batch(conn: Connection, batch: str) -> list[Decision]:
    """What stands of what was decided as one batch."""
    made = _standing().where(decision.c.press_id.between(f"{batch}:", f"{batch}:\uffff"))
    return [_to_decision(row) for row in conn.execute(made.order_by(decision.c.id))]


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


def said_by(conn: Connection, post_id: int, *, source_id: int) -> Decision | None:
    """What one source says of the post, be it as the answer to a check."""
    own = _standing().where(decision.c.post_id == post_id, decision.c.source_id == source_id)
    row = conn.execute(own.order_by(decision.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _to_decision(row)


def recent_of(conn: Connection, *, source_id: int, limit: int) -> list[RecentDecision]:
    """Standing decisions of a source, newest first; those on near-copies are counted with what they came from."""
    return [
        RecentDecision(
            r.id, r.lease_id, r.post_id, r.text_id, r.body, Label(r.label), r.decided_at, r.copies, r.rule, r.note
        )
        for r in conn.execute(_recent(), {"of_source": source_id, "most": limit})
    ]


@cache
def _recent() -> Select[Any]:
    """Put together once: that takes longer than the query."""
    copy, later = decision.alias("copy"), decision.alias("later_copy")
    copies = (
        select(func.count())
        .select_from(copy)
        .where(copy.c.via_id == decision.c.id, copy.c.label.is_not(None))
        .where(~select(later.c.id).where(later.c.supersedes == copy.c.id).exists())
        .correlate(decision)
        .scalar_subquery()
    )
    return (
        select(
            decision.c.id,
            decision.c.lease_id,
            decision.c.post_id,
            post.c.text_id,
            distinct_text.c.body,
            decision.c.label,
            decision.c.decided_at,
            copies.label("copies"),
            decision.c.rule,
            decision.c.note,
        )
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .where(decision.c.source_id == bindparam("of_source"), decision.c.via_id.is_(None), stands())
        .order_by(decision.c.decided_at.desc(), decision.c.id.desc())
        .limit(bindparam("most", type_=Integer))
    )


def count_since(conn: Connection, *, source_id: int, since: datetime) -> int:
    """Standing decisions of a source from that moment on; near-copies that were decided along do not count."""
    made = select(func.count()).select_from(decision).where(decision.c.source_id == source_id, stands())
    return conn.execute(made.where(decision.c.decided_at >= since, decision.c.via_id.is_(None))).scalar_one()


def count_new(conn: Connection, *, since: datetime | None) -> int:
    """Labels that people and files gave, and that stand; copies of them on near-copies do not count."""
    made = select(func.count()).where(decides(), decision.c.label.is_not(None), decision.c.via_id.is_(None))
    if since is not None:
        made = made.where(decision.c.decided_at >= since)
    return conn.execute(made).scalar_one()
