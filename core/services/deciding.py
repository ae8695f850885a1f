"""Deciding: a press becomes a decision, and the post leaves the queue or waits for another person."""

from __future__ import annotations

from core.domain import Decision, Label, Lease, LeaseOutcome, ModelView, Place, Reason, SecondOpinion
from core.errors import Conflict, LeaseLost
from core.services.blinding import is_doubled, view_of
from core.services.desk import Desk, own_lease, require_current_text
from core.services.presses import Answer, Press
from core.wording import _
from db import checks, decisions, families, leases, models, queue, seconds
from db.decisions import Copy, NewDecision


def decide(desk: Desk, press: Press, answer: Answer) -> None:
    """Save a decision on the post of a lease; raises LeaseLost or Conflict, with the reason, where it is refused."""
    lease = own_lease(desk, press)
    _refuse_late(desk, lease)
    require_current_text(desk, lease.post_id, press.text_id)
    view, version_id = _view(desk, lease, press)
    made = NewDecision(
        lease.post_id,
        press.text_id or 0,
        desk.source_id,
        press.label,
        lease_id=lease.id,
        press_id=press.id,
        model_view=view,
        view_version_id=version_id,
        seconds=press.seconds,
        rule=_rule(press),
        note=press.note or None,
        is_check=lease.is_check,
    )
    decided = decisions.add_decision(desk.conn, made, now=desk.now)
    leases.end(desk.conn, lease.id, outcome=LeaseOutcome.decided, now=desk.now)
    if not lease.is_check:
        leave_queue(desk, lease, decided)
    if press.family_until is not None and not lease.is_check:  # an answer measures a person, and judges nothing
        _apply_to_family(desk, decided, until=press.family_until)


def correct(desk: Desk, press: Press, answer: Answer) -> None:
    """Put another decision in the place of one's own that stands, on it and on the near-copies decided along."""
    stands = decisions.standing_by_id(desk.conn, press.decision_id or 0)
    if stands is None or stands.source_id != desk.source_id:
        raise Conflict(
            _("This decision was already taken back or corrected; the list beside the card is up to date now.")
        )
    require_current_text(desk, stands.post_id, press.text_id)
    view, version_id = stands.model_view, stands.view_version_id
    if view is ModelView.hidden and press.seen is not None:
        view, version_id = press.seen, _known_version(desk, press)
    better = NewDecision(
        stands.post_id,
        press.text_id or 0,
        desk.source_id,
        press.label,
        supersedes=stands.id,
        lease_id=stands.lease_id,
        press_id=press.id,
        model_view=view,
        view_version_id=version_id,
        settles=stands.settles and desk.may_settle,
        rule=_rule(press),
        note=stands.note if press.note is None else press.note or None,
        is_check=stands.is_check,
    )
    copies = decisions.copies_of(desk.conn, stands.id)
    decisions.add_copies(desk.conn, decisions.add_decision(desk.conn, better, now=desk.now), copies, now=desk.now)


def _rule(press: Press) -> str | None:
    """What is normal breaks none."""
    return None if press.label is Label.normal else press.rule or None


def _view(desk: Desk, lease: Lease, press: Press) -> tuple[ModelView, int | None]:
    """What the model's view was to whoever pressed, and of which version: as the page says where it was on the screen,
    else as the rules have it."""
    if press.seen is not None:
        return press.seen, _known_version(desk, press)
    family = families.family_of_text(desk.conn, press.text_id or 0)
    view = view_of(lease, desk.rules, family=family)
    if view is ModelView.withheld:
        return view, None
    version = models.active_version(desk.conn) if view is ModelView.blind else None
    has_view = version is not None and models.predictions_for(
        desk.conn, version_id=version.id, text_ids=[press.text_id or 0]
    )
    return (view, version.id) if version is not None and has_view else (ModelView.hidden, None)


def _known_version(desk: Desk, press: Press) -> int | None:
    known = press.version_id is not None and models.is_version(desk.conn, press.version_id)
    return press.version_id if known else None


def leave_queue(desk: Desk, place: Lease | Place | None, decided: Decision) -> None:
    """Take a decided post out, unless it is one of those that two people judge and this was the first of them."""
    if place is None or not _ask_for_second(desk, place, decided.text_id):
        seconds.note_given(desk.conn, decided.post_id, now=desk.now)
        queue.take_out(desk.conn, [decided.post_id])


def _ask_for_second(desk: Desk, place: Lease | Place, text_id: int) -> bool:
    """Leave the post in the queue for another person, where it is one of those that two are to judge.

    Of a family of near-copies two people judge one post: the others follow, and would only be counted again.
    """
    family = families.family_of_text(desk.conn, text_id)
    if not is_doubled(place, desk.rules, family=family) or seconds.count_people(desk.conn, place.post_id) > 1:
        return False
    if seconds.is_asked_beside(desk.conn, place.post_id, family=family):
        return False
    why = SecondOpinion.audit if place.reason is Reason.audit else SecondOpinion.drawn
    seconds.ask(desk.conn, place.post_id, why=why, reason=place.reason, rank=place.rank, now=desk.now)
    queue.put_back(desk.conn, place)  # where it stood, also where it was decided late
    return True


def _apply_to_family(desk: Desk, decided: Decision, *, until: int) -> None:
    """Decide the undecided near-copies up to a post id the same way; what somebody else holds is left to them."""
    family = families.family_of_text(desk.conn, decided.text_id)
    found = families.open_posts(desk.conn, family, user_id=desk.user_id, until=until)
    copies = [Copy(post_id, text_id) for post_id, text_id in found]  # the post itself is decided by now
    decisions.add_copies(desk.conn, decided, copies, now=desk.now)
    queue.take_out(desk.conn, [copy.post_id for copy in copies])
    taken = {copy.post_id for copy in copies}
    for lease in leases.open_leases(desk.conn, user_id=desk.user_id):
        if lease.post_id in taken:
            leases.end(desk.conn, lease.id, outcome=LeaseOutcome.decided, now=desk.now)


def _refuse_late(desk: Desk, lease: Lease) -> None:
    """A lease that has ended still counts when nobody else holds or has decided the post."""
    if lease.outcome is None:
        return
    if lease.outcome is LeaseOutcome.decided and decisions.standing_by_lease(desk.conn, lease.id):
        raise LeaseLost(_("You have decided this post already; click it in the list beside the card to correct it."))
    if lease.is_check:
        _refuse_answered(desk, lease)
        return
    holder = leases.holder_of(desk.conn, lease.post_id)
    if holder is not None and holder.user_id != desk.user_id:
        raise LeaseLost(_("Your time for this post ran out, and somebody else holds it now."))
    standing = decisions.standing_on_post(desk.conn, lease.post_id)
    if any(made.source_id == desk.source_id for made, _kind, _name in standing):
        raise LeaseLost(_("You have decided this post already; click it in the list beside the card to correct it."))
    if standing and not seconds.is_open(desk.conn, lease.post_id):
        raise LeaseLost(_("Your time for this post ran out, and somebody else has decided it meanwhile."))
    if holder is not None:  # handed to the same person anew, perhaps in another tab
        leases.end(desk.conn, holder.id, outcome=LeaseOutcome.returned, now=desk.now)


def _refuse_answered(desk: Desk, lease: Lease) -> None:
    """Others who hold or have judged a check post are no matter: the answer measures one person, and counts once."""
    if checks.is_answered_by(desk.conn, lease.post_id, source_id=desk.source_id):
        raise LeaseLost(_("You have decided this post already; click it in the list beside the card to correct it."))
    holder = leases.holder_of(desk.conn, lease.post_id)
    if holder is not None and holder.user_id == desk.user_id:
        leases.end(desk.conn, holder.id, outcome=LeaseOutcome.returned, now=desk.now)
