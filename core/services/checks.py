"""Check posts: made by a lead from clear cases, and mixed among moderators' cards to measure who answers them."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection, Engine

from core.domain import Actor, CheckStatus, Label, Place, Policy, Reason
from core.drawing import is_drawn
from core.errors import Conflict, NotFound
from core.permissions import Permission, require
from core.wording import _
from db import audit, checks, golds, guidelines, leases, posts
from db.checks import CheckPost
from db.engine import read, write

__all__ = ["CheckPost"]

ENOUGH = 30  # with fewer active ones, a person has soon had them all, and a figure says little


def make_check(engine: Engine, actor: Actor, post_id: int, *, text_id: int, label: Label, now: datetime) -> None:
    """Make a post a check post with the label that it has; also one that was retired.

    text_id: the text that was read. Raises Conflict when an import changed it, or when the label is not the post's
    gold label: what people are measured by has to be settled first.
    """
    require(actor, Permission.review)
    with write(engine) as conn:
        if posts.require_post(conn, post_id).text_id != text_id:
            raise Conflict(_("An import changed the text meanwhile; read it once more."))
        gold = golds.gold_of(conn, post_id)
        if gold is not label:
            counts = _("none yet") if gold is None else gold.name
            sentence = _("Post {post} cannot check for {label}: the label that counts is {gold}. Settle it first.")
            raise Conflict(sentence.format(post=post_id, label=label.name, gold=counts))
        if guidelines.is_example(conn, post_id):
            sentence = _("Post {post} is an example in the guidelines, where everybody reads its label.")
            raise Conflict(sentence.format(post=post_id))
        checks.put_check(conn, post_id=post_id, text_id=text_id, label=label, made_by=actor.name, now=now)
        audit.record_action(conn, actor, "make check post", details={"post": post_id, "label": label.name}, now=now)


def change_check(engine: Engine, actor: Actor, post_id: int, *, status: CheckStatus, now: datetime) -> None:
    """Retire a check post, bring it back, or say that it was not clear after all, so that its answers do not count."""
    require(actor, Permission.review)
    with write(engine) as conn:
        if checks.status_of(conn, post_id) is None:
            raise NotFound(_("Post {post} is no check post.").format(post=post_id))
        if checks.set_status(conn, post_id, status):
            details = {"post": post_id, "status": status}
            audit.record_action(conn, actor, "change check post", details=details, now=now)


def list_checks(
    engine: Engine, actor: Actor, *, status: CheckStatus | None = None, limit: int = 50, offset: int = 0
) -> list[CheckPost]:
    """Newest first, with how many answered them and how many of these rightly."""
    require(actor, Permission.review)
    with read(engine) as conn:
        return checks.list_checks(conn, status=status, limit=limit, offset=offset)


def count_checks(engine: Engine, actor: Actor) -> dict[CheckStatus, int]:
    require(actor, Permission.review)
    with read(engine) as conn:
        return checks.count_checks(conn)


# --- among the cards ------------------------------------------------------------------------------------------------


def mix_in(conn: Connection, places: list[Place], rules: Policy, *, user_id: int) -> list[Place]:
    """Put check posts among the places that a moderator gets; as many come out as went in.

    The number that a lease will have draws: nobody can foresee it, and each card is drawn once. A check post takes the
    place and the reason of the post that it comes before, so that nothing on the card tells. Where second opinions are
    off, only audit posts are judged blind: then it is shown as one of these.
    """
    first = leases.next_id(conn)
    drawn = [at for at in range(len(places)) if is_drawn(first + at, use="check post", share=rules.check_share)]
    found = _in_their_order(checks.open_to(conn, user_id=user_id), user_id) if drawn else []
    mixed = list(places)
    for at, post_id in zip(drawn, found, strict=False):
        like = mixed[at]
        reason = like.reason if rules.second_share > 0 else Reason.audit
        mixed.insert(at, Place(post_id, like.rank, reason, like.score, like.round_id, None, is_check=True))
    return mixed[: len(places)]


def left_for_later(conn: Connection, *, user_id: int, limit: int) -> list[Place]:
    """What a moderator left for later comes back after everything else, with the same look: check posts too."""
    found = (leases.get_lease(conn, lease_id) for lease_id in checks.left_for_later(conn, user_id=user_id)[:limit])
    return [
        Place(was.post_id, was.rank, was.reason, was.score, was.round_id, None, is_check=True)
        for was in found
        if was is not None
    ]


def _in_their_order(post_ids: list[int], user_id: int) -> list[int]:
    """Another order for each person, so that no two can tell one another what comes next."""
    return sorted(post_ids, key=lambda post_id: hashlib.blake2b(f"{user_id} {post_id}".encode()).digest())
