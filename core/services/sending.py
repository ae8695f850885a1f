"""Sending posts to the front of the queue: what a lead has found by looking is judged next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor, Reason
from core.errors import BadInput, Conflict
from core.permissions import Permission, require
from core.wording import _
from db import audit, families, posts, queue
from db.engine import write

MOST_AT_ONCE = 200
# For which a person may send a post. The others say that chance chose it: figures are estimated from those.
REASONS = (Reason.uncertain, Reason.likely_violation, Reason.disagreement, Reason.exploration, Reason.hit)


@dataclass(frozen=True, slots=True)
class Sent:
    """sent: posts that come next. decided: already. held: on a card now, or left to the lead because nobody could
    judge them. copies: of others that were sent with them, whose judgement they share."""

    sent: int
    decided: int
    held: int
    copies: int


def send_first(engine: Engine, actor: Actor, post_ids: Sequence[int], *, reason: Reason, now: datetime) -> Sent:
    """Put the posts before all others, in their order. Doing it again does no harm.

    Raises Conflict where there is no queue, BadInput for too many posts or a reason that only chance may give.
    """
    require(actor, Permission.review)
    if reason not in REASONS:
        raise BadInput(
            _("A person cannot send posts for the reason {reason!r}; there are: {known}.").format(
                reason=reason.value, known=", ".join(REASONS)
            )
        )
    if len(post_ids) > MOST_AT_ONCE:
        raise BadInput(
            _("{count} posts are too many at once; send {most} at most.").format(
                count=f"{len(post_ids):,}", most=MOST_AT_ONCE
            )
        )
    asked = list(dict.fromkeys(post_ids))
    with write(engine) as conn:
        if queue.current_round(conn) is None:
            raise Conflict(_("There is no queue yet; it is made when posts are imported."))
        there = posts.ids_of_visible(conn, asked)
        decided = posts.decided_among(conn, asked)
        held = queue.held_among(conn, asked) - decided
        open_ones = [post_id for post_id in asked if post_id in there - decided - held]
        family_of = families.families_of_posts(conn, open_ones)
        first_of = {family_of[post_id]: post_id for post_id in reversed(open_ones)}
        sent = [post_id for post_id in open_ones if first_of[family_of[post_id]] == post_id]
        queue.put_first(conn, sent, reason=reason)
        details: dict[str, object] = {"posts": sent, "reason": reason.value}
        audit.record_action(conn, actor, "send to the front", details=details, now=now)
    return Sent(len(sent), len(decided), len(held), len(open_ones) - len(sent))
