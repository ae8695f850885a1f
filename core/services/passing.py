"""Passing on: a post goes to others, to later or to the lead, or is flagged for the lead."""

from __future__ import annotations

from core.domain import LeaseOutcome
from core.errors import LeaseLost
from core.services.desk import Desk, own_lease
from core.services.presses import Answer, Press
from core.wording import _
from db import flags, leases, posts, skips


def skip(desk: Desk, press: Press, answer: Answer) -> None:
    """Pass the post on; one that was decided or passed on before stays as it is."""
    lease = own_lease(desk, press)
    if lease.outcome in (None, LeaseOutcome.expired, LeaseOutcome.returned):
        leases.end(desk.conn, lease.id, outcome=LeaseOutcome.skipped, now=desk.now)
        skips.add_skip(desk.conn, post_id=lease.post_id, user_id=desk.user_id, kind=press.skip_kind, now=desk.now)


def flag(desk: Desk, press: Press, answer: Answer) -> None:
    """Ask the lead to look at the post, whatever is decided on it."""
    post_id = own_lease(desk, press).post_id
    if not posts.ids_of_visible(desk.conn, [post_id]):
        raise LeaseLost(_("The import that brought this post was taken back; there is nothing to look at any more."))
    flags.raise_flag(desk.conn, post_id=post_id, user_id=desk.user_id, note=press.note or "", now=desk.now)


def unflag(desk: Desk, press: Press, answer: Answer) -> None:
    """Take one's own flag back, unless the lead has answered it."""
    flags.lower_flag(desk.conn, post_id=own_lease(desk, press).post_id, user_id=desk.user_id)
