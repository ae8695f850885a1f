"""The audit log: who did what, append-only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, update

from core.domain import Actor
from db.tables import audit_log


def record_action(
    conn: Connection,
    actor: Actor,
    action: str,
    *,
    details: dict[str, object],
    now: datetime,
    address: str | None = None,
) -> None:
    values = {"happened_at": now, "actor": actor.name, "action": action, "details": details, "address": address}
    conn.execute(insert(audit_log).values(values))


def blank_addresses(conn: Connection, *, before: datetime) -> int:
    old = update(audit_log).where(audit_log.c.happened_at < before, audit_log.c.address.is_not(None))
    return conn.execute(old.values(address=None)).rowcount
