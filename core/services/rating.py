"""Rating sources: what the word of each is worth, set by the lead at any time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor, SourceKind, SourceTrust
from core.errors import Conflict
from core.permissions import Permission, require
from core.services import queueing
from core.wording import _
from db import audit, sources
from db.engine import read, write
from db.sources import Source


def list_sources(engine: Engine, actor: Actor) -> list[Source]:
    """Files before people, by name, with the number of their standing decisions."""
    require(actor, Permission.review)
    with read(engine) as conn:
        return sources.list_sources(conn)


def change_trust(engine: Engine, actor: Actor, source_id: int, *, trust: SourceTrust, now: datetime) -> Source:
    """Say what a file's decisions are worth from now on, those it brought before included.

    The queue is renewed: posts that only had suggestions leave the pool when these begin to count, and come back.
    """
    require(actor, Permission.review)
    with write(engine) as conn:
        known = sources.require_source(conn, source_id)
        if known.kind is SourceKind.person:
            raise Conflict(
                _("{name!r} is a person; only files are rated. People are disabled on the Users page.").format(
                    name=known.name
                )
            )
        if known.trust is trust:
            return known
        sources.set_trust(conn, source_id, trust)
        details: dict[str, object] = {"source": known.name, "from": known.trust, "to": trust}
        audit.record_action(conn, actor, "change trust", details=details, now=now)
    if known.decisions and SourceTrust.suggestion in (known.trust, trust):
        queueing.renew_queue(engine, now=now)
    with read(engine) as conn:
        return sources.require_source(conn, source_id)
