"""Flags and skips as people meet them: what moderators pass on, and what the lead makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor
from core.errors import Conflict
from core.permissions import Permission, require
from core.wording import _
from db import audit, flags, skips
from db.engine import read, write
from db.flags import Flag
from db.skips import SkippedPost

__all__ = ["Flag", "SkippedPost"]


# --- flags ----------------------------------------------------------------------------------------------------------


def own_flags(engine: Engine, actor: Actor, *, limit: int = 50) -> list[Flag]:
    """A moderator's own flags, newest first, with what became of them."""
    require(actor, Permission.label)
    with read(engine) as conn:
        return list(flags.list_flags(conn, user_id=actor.user_id or 0, limit=limit))


def close_flag(engine: Engine, actor: Actor, flag_id: int, *, answer: str, now: datetime) -> None:
    """Answer a flag. Raises Conflict when it was answered or taken back meanwhile."""
    require(actor, Permission.review)
    with write(engine) as conn:
        if not flags.close_flag(conn, flag_id, by=actor.name, answer=answer.strip(), now=now):
            raise Conflict(_("This flag was answered or taken back meanwhile."))
        audit.record_action(conn, actor, "answer flag", details={"flag": flag_id}, now=now)


def walk_flags(engine: Engine, actor: Actor) -> Iterator[Flag]:
    """All flags, newest first, as a stream."""
    require(actor, Permission.review)
    return _walk_flags(engine)


def _walk_flags(engine: Engine) -> Iterator[Flag]:
    with read(engine) as conn:
        yield from flags.list_flags(conn)


# --- skips ----------------------------------------------------------------------------------------------------------


def own_skips(engine: Engine, actor: Actor, *, limit: int = 50) -> list[SkippedPost]:
    """Undecided posts that this moderator passed on, newest first."""
    require(actor, Permission.label)
    with read(engine) as conn:
        return list(skips.skipped_posts(conn, user_id=actor.user_id or 0, limit=limit))


def put_back(engine: Engine, actor: Actor, post_id: int, *, now: datetime) -> None:
    """Let moderators judge a post again that somebody could not. Raises Conflict where nobody says so any more."""
    require(actor, Permission.review)
    with write(engine) as conn:
        if not skips.remove_from_lead(conn, post_id):
            raise Conflict(
                _("Post {post_id} is no longer listed as one that cannot be judged.").format(post_id=post_id)
            )
        audit.record_action(conn, actor, "put back", details={"post": post_id}, now=now)


def walk_skips(engine: Engine, actor: Actor) -> Iterator[SkippedPost]:
    """All skips of undecided posts, newest first, as a stream."""
    require(actor, Permission.review)
    return _walk_skips(engine)


def _walk_skips(engine: Engine) -> Iterator[SkippedPost]:
    with read(engine) as conn:
        yield from skips.skipped_posts(conn)
