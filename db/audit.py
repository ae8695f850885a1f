"""The audit log: who did what, append-only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from core.domain import Actor, LogFilter, LoggedAction
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


def _wanted(asked: LogFilter) -> list[ColumnElement[bool]]:
    log = audit_log.c
    conditions = (
        None if asked.actor is None else log.actor == asked.actor,
        None if asked.action is None else log.action == asked.action,
        None if asked.since is None else log.happened_at >= asked.since,
        None if asked.until is None else log.happened_at < asked.until,
    )
    return [condition for condition in conditions if condition is not None]


def count_actions(conn: Connection, asked: LogFilter) -> int:
    return conn.execute(select(func.count()).select_from(audit_log).where(*_wanted(asked))).scalar_one()


def list_actions(conn: Connection, asked: LogFilter, *, offset: int, limit: int) -> list[LoggedAction]:
    """Newest first."""
    query = select(audit_log).where(*_wanted(asked)).order_by(audit_log.c.id.desc()).offset(offset).limit(limit)
    return [_to_action(row) for row in conn.execute(query)]


def list_actions_before(conn: Connection, asked: LogFilter, *, before: int | None, limit: int) -> list[LoggedAction]:
    """Newest first, of those that were written before that one."""
    query = select(audit_log).where(*_wanted(asked)).order_by(audit_log.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    return [_to_action(row) for row in conn.execute(query)]


def names(conn: Connection) -> tuple[list[str], list[str]]:
    """(actors, actions) that occur, by name."""
    log = audit_log.c
    return _distinct(conn, log.actor), _distinct(conn, log.action)


def _distinct(conn: Connection, column: Any) -> list[str]:
    return list(conn.execute(select(column).distinct().order_by(column)).scalars())


def _to_action(row: Row[Any]) -> LoggedAction:
    return LoggedAction(row.id, row.happened_at, row.actor, row.action, row.details, row.address)
