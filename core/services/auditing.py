"""The audit log as leads read it: who did what, newest first; and exports, which are entries of it themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor, LogFilter, LoggedAction
from core.permissions import Permission, require
from db import audit
from db.engine import read, write

ENTRIES_A_READ = 1_000


def list_log(
    engine: Engine, actor: Actor, asked: LogFilter, *, page: int, per_page: int
) -> tuple[list[LoggedAction], int]:
    """(one page of the entries, newest first, how many there are). page: from 1."""
    require(actor, Permission.audit)
    with read(engine) as conn:
        found = audit.list_actions(conn, asked, offset=(page - 1) * per_page, limit=per_page)
        return found, audit.count_actions(conn, asked)


def walk_log(engine: Engine, actor: Actor, asked: LogFilter, *, now: datetime) -> Iterator[LoggedAction]:
    """Every entry that is asked for, newest first, to be exported; the export is on record from then on."""
    require(actor, Permission.audit)
    with read(engine) as conn:
        newest = audit.list_actions_before(conn, LogFilter(), before=None, limit=1)
    record_export(engine, actor, "audit log", now=now)
    return _walk(engine, asked, newest[0].id + 1 if newest else 0)


def _walk(engine: Engine, asked: LogFilter, before: int) -> Iterator[LoggedAction]:
    found: list[LoggedAction] | None = None
    while found is None or found:
        with read(engine) as conn:
            found = audit.list_actions_before(conn, asked, before=before, limit=ENTRIES_A_READ)
        yield from found
        before = found[-1].id if found else before


def names_in_log(engine: Engine, actor: Actor) -> tuple[list[str], list[str]]:
    """(whoever acted, what was done), to choose from."""
    require(actor, Permission.audit)
    with read(engine) as conn:
        return audit.names(conn)


def record_export(engine: Engine, actor: Actor, what: str, *, now: datetime) -> None:
    """Something leaves the program by a download that the actor was allowed."""
    require(actor, Permission.own_account)
    with write(engine) as conn:
        audit.record_action(conn, actor, "export", details={"what": what}, now=now)


def record_backup(engine: Engine, actor: Actor, action: str, *, path: str, now: datetime) -> None:
    """The database was copied, or a copy was put in its place."""
    require(actor, Permission.audit)
    with write(engine) as conn:
        audit.record_action(conn, actor, action, details={"file": path}, now=now)
