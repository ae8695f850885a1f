"""Undoing: a decision or a skip is taken back, and the post comes back to whoever had it."""

from __future__ import annotations

from core.domain import Lease, LeaseOutcome
from core.errors import Conflict
from core.services.desk import Desk, own_lease
from core.services.presses import Answer, Press
from core.wording import _
from db import checks, decisions, leases, posts, queue, seconds, skips
from db.decisions import NewDecision


def undo(desk: Desk, press: Press, answer: Answer) -> None:
    """Take back a decision or a skip; the post comes back to the same person, if nobody else has it by now."""
    lease = None if press.lease_id is None else own_lease(desk, press)
    if lease is not None and lease.outcome is LeaseOutcome.skipped:
        skips.remove_skip(desk.conn, post_id=lease.post_id, user_id=desk.user_id)
    else:
        lease = _take_back(desk, press) or lease
    if lease is not None:
        bring_back(desk, lease.id, answer)


def bring_back(desk: Desk, lease_id: int, answer: Answer) -> None:
    """Put the post of an ended lease in front of its moderator again, unless somebody else holds or has decided it."""
    ended = leases.get_lease(desk.conn, lease_id)
    if ended is None or ended.user_id != desk.user_id:
        return
    if not posts.ids_of_visible(desk.conn, [ended.post_id]):  # its import was taken back
        return
    held = leases.holder_of(desk.conn, ended.post_id)
    if ended.is_check:
        is_open = not checks.is_answered_by(desk.conn, ended.post_id, source_id=desk.source_id)
    else:
        is_open = _is_open(desk, ended.post_id)
    if held is None and is_open:
        held = leases.claim_again(desk.conn, ended, now=desk.now, ttl=desk.ttl)
    if held is not None and held.user_id == desk.user_id:
        answer.front.append(held.id)


def _is_open(desk: Desk, post_id: int) -> bool:
    """Nobody has decided the post, or another opinion is wanted."""
    return not decisions.standing_on_post(desk.conn, post_id) or seconds.is_open(desk.conn, post_id)


def _take_back(desk: Desk, press: Press) -> Lease | None:
    """Append what takes the decision back; returns the lease under which it was made, if any."""
    if press.decision_id is not None:
        stands = decisions.standing_by_id(desk.conn, press.decision_id)
    else:
        stands = decisions.standing_by_lease(desk.conn, press.lease_id or 0)
    if stands is None or stands.source_id != desk.source_id:
        raise Conflict(_("There is nothing to undo here any more: the decision was already taken back or corrected."))
    if stands.lease_id is None:  # made in review or at the command line: there is no place in the queue to return to
        raise Conflict(
            _("This decision was not made on this page; click it in the list beside the card to correct it.")
        )
    taken_back = NewDecision(
        stands.post_id, stands.text_id, desk.source_id, None, supersedes=stands.id, lease_id=stands.lease_id,
        press_id=press.id, is_check=stands.is_check,
    )  # fmt: skip
    copies = decisions.copies_of(desk.conn, stands.id)
    decisions.add_copies(desk.conn, decisions.add_decision(desk.conn, taken_back, now=desk.now), copies, now=desk.now)
    lease = leases.get_lease(desk.conn, stands.lease_id)
    if stands.is_check:
        return lease
    is_alone = not decisions.standing_on_post(desk.conn, stands.post_id)
    if lease is not None and (is_alone or seconds.want_again(desk.conn, stands.post_id)):
        queue.put_back(desk.conn, lease)
    return lease
