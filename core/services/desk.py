"""The desk: who decides, in which transaction, by which rules, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from core.domain import Actor, Lease, Policy, SourceKind
from core.errors import Conflict, LeaseLost, NotAllowed
from core.permissions import Permission, may
from core.services.presses import Press
from core.wording import _
from db import leases, posts, sources

TEXT_CHANGED = "A newer import changed the text of this post after it was shown; read it again."


@dataclass(frozen=True, slots=True)
class Desk:
    """Who decides, in which transaction, and by which rules."""

    conn: Connection
    user_id: int
    source_id: int
    may_settle: bool
    now: datetime
    ttl: timedelta
    rules: Policy


def open_desk(conn: Connection, who: Actor, rules: Policy, *, now: datetime) -> Desk:
    """Raises NotAllowed for the operator of the machine, who has no vote."""
    if who.user_id is None:
        raise NotAllowed(_("Only a signed-in user decides; `tiebreak decide POST LABEL --as USER` names one."))
    source_id = sources.ensure_source(conn, kind=SourceKind.person, name=who.name, user_id=who.user_id)
    ttl = timedelta(minutes=rules.lease_minutes)
    return Desk(conn, who.user_id, source_id, may(who, Permission.review), now, ttl, rules)


def own_lease(desk: Desk, press: Press) -> Lease:
    """The lease that the press names; raises LeaseLost where it is not the person's own."""
    lease = leases.get_lease(desk.conn, press.lease_id or 0)
    if lease is None or lease.user_id != desk.user_id or press.post_id not in (None, lease.post_id):
        raise LeaseLost(_("This post was not handed to you; it comes back through the queue."))
    return lease


def require_current_text(desk: Desk, post_id: int, text_id: int | None) -> None:
    """Raises LeaseLost where the post is gone, Conflict where it has another text by now than was read."""
    found = posts.posts_by_id(desk.conn, [post_id]).get(post_id)
    if found is None:
        raise LeaseLost(_("The import that brought this post was taken back; there is nothing to decide any more."))
    if found.text_id != text_id:
        raise Conflict(TEXT_CHANGED)
