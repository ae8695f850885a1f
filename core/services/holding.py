"""Who has to do with a post: posts come by the queue, and nobody looks at others' before their time."""

from __future__ import annotations

from sqlalchemy import Connection

from core.domain import Actor, Post, SourceKind
from core.errors import NotAllowed
from core.permissions import Permission, may
from core.wording import _
from db import decisions, leases, posts


def require_post_before(conn: Connection, who: Actor, post_id: int) -> Post:
    """The post, to look at from all sides.

    Raises NotAllowed to a moderator who neither has the post on a card nor has decided it.
    """
    found = posts.require_post(conn, post_id)
    if not (may(who, Permission.look) or _has_to_do_with(conn, who, post_id)):
        raise NotAllowed(
            _("Post {post} is not on a card of yours; posts come to you through the queue.").format(post=post_id)
        )
    return found


def _has_to_do_with(conn: Connection, who: Actor, post_id: int) -> bool:
    """The post is on a card of theirs, or decided by them."""
    held = leases.holder_of(conn, post_id)
    if held is not None and held.user_id == who.user_id:
        return True
    stands = decisions.standing_on_post(conn, post_id)
    return any(kind is SourceKind.person and name == who.name for _made, kind, name in stands)
