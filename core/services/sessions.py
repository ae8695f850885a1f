"""Sessions: where people are signed in, and signing out everywhere."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine

from core.domain import Actor, ListedSession
from core.errors import Conflict
from core.permissions import Permission, require
from core.services.accounts import FAILURES_COUNT_FOR, IDLE_LIMIT, LASTS_AT_MOST
from core.wording import _
from db import accounts, audit
from db.engine import read, write

ADDRESSES_KEPT = timedelta(days=30)  # that sessions began from, and sign-ins of the audit log came from


def own_sessions(engine: Engine, actor: Actor, *, now: datetime) -> list[ListedSession]:
    """Where the actor is signed in, last seen first."""
    require(actor, Permission.own_account)
    return _open_sessions(engine, _own_id(actor), now=now)


def sessions_of(engine: Engine, actor: Actor, name: str, *, now: datetime) -> list[ListedSession]:
    """Where a user is signed in, last seen first."""
    require(actor, Permission.manage_users)
    with read(engine) as conn:
        user_id = accounts.require_user(conn, name).id
    return _open_sessions(engine, user_id, now=now)


def _open_sessions(engine: Engine, user_id: int, *, now: datetime) -> list[ListedSession]:
    with read(engine) as conn:
        return accounts.list_sessions(conn, user_id, seen_since=now - IDLE_LIMIT, begun_since=now - LASTS_AT_MOST)


def last_seen(engine: Engine, actor: Actor) -> dict[int, datetime]:
    """By user, of those who were seen within the time that sessions are kept."""
    require(actor, Permission.manage_users)
    with read(engine) as conn:
        return accounts.last_seen(conn)


def sign_out_everywhere(engine: Engine, actor: Actor, *, now: datetime) -> int:
    """End every session of the actor, this one too; returns how many."""
    require(actor, Permission.own_account)
    user_id = _own_id(actor)
    with write(engine) as conn:
        ended = accounts.end_sessions_of(conn, user_id, now=now)
        audit.record_action(conn, actor, "sign out everywhere", details={"user": actor.name}, now=now)
        return ended


def sign_out_user(engine: Engine, actor: Actor, name: str, *, now: datetime) -> int:
    """End every session of somebody; returns how many. What they hold they keep until their leases end."""
    require(actor, Permission.manage_users)
    with write(engine) as conn:
        ended = accounts.end_sessions_of(conn, accounts.require_user(conn, name).id, now=now)
        audit.record_action(conn, actor, "sign out everywhere", details={"user": name}, now=now)
        return ended


def _own_id(actor: Actor) -> int:
    if actor.user_id is None:
        raise Conflict(_("The command line has no account of its own; name a user."))
    return actor.user_id


def sweep_addresses(engine: Engine, *, now: datetime) -> None:
    """Forget where people came from once nobody needs it any more: sessions, failed sign-ins, the audit log."""
    with write(engine) as conn:
        accounts.drop_sessions(conn, seen_before=now - ADDRESSES_KEPT)
        accounts.drop_failures(conn, before=now - FAILURES_COUNT_FOR)
        audit.blank_addresses(conn, before=now - ADDRESSES_KEPT)
