"""The audit log: who did what, append-only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert

from core.domain import Actor
from db.tables import audit_log


def record_action(conn: Connection, actor: Actor, action: str, *, details: dict[str, object], now: datetime) -> None:
    conn.execute(insert(audit_log).values(happened_at=now, actor=actor.name, action=action, details=details))
