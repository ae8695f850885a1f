"""Deciding posts: leases are handed out, presses come back, each is saved once or refused with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from core.domain import (
    SAW_MODEL,
    Actor,
    Decision,
    Label,
    Lease,
    LeaseOutcome,
    ModelView,
    Place,
    Policy,
    Post,
    Reason,
    SecondOpinion,
    SkipKind,
    SourceKind,
)
from core.errors import BadInput, Conflict, LeaseLost, NotAllowed
from core.permissions import ROLES, Permission, may, require
from core.services.blinding import is_doubled, view_of
from core.services.checks import left_for_later, mix_in
from core.wording import _
from db import (
    accounts,
    audit,
    cards,
    checks,
    decisions,
    families,
    flags,
    guidelines,
    leases,
    models,
    policies,
    posts,
    queue,
    seconds,
    skips,
    sources,
)
from db.cards import Card
from db.decisions import Copy, NewDecision, RecentDecision
from db.engine import read, write

MOST_LEASES = 25  # that one person may hold
MOST_PRESSES = 200  # in one request; a browser that was offline longer sends several
MOST_NOTE = 2_000  # characters
RECENT = 10
COUNTED_EACH_TIME = 2_000  # posts in the queue; more of them are counted now and then
COUNT_LASTS = timedelta(seconds=5)
ORPHANED_AFTER = timedelta(seconds=90)  # a living page renews its leases each minute
TEXT_CHANGED = "A newer import changed the text of this post after it was shown; read it again."


class PressKind(StrEnum):
    decide = "decide"
    skip = "skip"
    undo = "undo"
    correct = "correct"
    flag = "flag"
    unflag = "unflag"


@dataclass(frozen=True, slots=True)
class Press:
    """One key press as the browser made it. id is made there: the same press may arrive twice.

    decide: lease, post, text and label; family_until: applied to the near-copies too, those that were there when they
    were looked at (post ids up to this one); rule: of the guidelines, that the post breaks. skip: lease and post, and
    to whom it goes. undo: the lease it takes back, or a decision. correct: a decision, the text that was read, and the
    new label. flag, unflag: lease and post. note: on the decision, or what the lead is to look at. seen: how the
    model's view was on the screen, where it was; version_id: whose view.
    """

    id: str
    kind: PressKind
    lease_id: int | None = None
    post_id: int | None = None
    text_id: int | None = None
    label: Label | None = None
    decision_id: int | None = None
    family_until: int | None = None
    skip_kind: SkipKind = SkipKind.later
    rule: str | None = None
    note: str | None = None
    seen: ModelView | None = None
    version_id: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        needed = {
            PressKind.decide: (self.lease_id, self.post_id, self.text_id, self.label),
            PressKind.skip: (self.lease_id, self.post_id),
            PressKind.undo: (self.lease_id if self.decision_id is None else self.decision_id,),
            PressKind.correct: (self.decision_id, self.text_id, self.label),
            PressKind.flag: (self.lease_id, self.post_id),
            PressKind.unflag: (self.lease_id, self.post_id),
        }
        is_too_long = len(self.note or "") > MOST_NOTE or len(self.rule or "") > 40
        is_odd = self.seen is not None and self.seen not in SAW_MODEL
        if not 8 <= len(self.id) <= 64 or is_too_long or is_odd or None in needed[self.kind]:
            raise BadInput(
                _("The press {id!r} of kind {kind} is not complete; reload the page.").format(
                    id=self.id[:64], kind=self.kind
                )
            )


@dataclass(frozen=True, slots=True)
class Refusal:
    press: Press
    reason: str


@dataclass(slots=True)
class Answer:
    """What became of the presses, and what is next.

    cards: new ones. front: leases of posts that come back, for an undo or to be read again.
    lost: leases that the page thought it held.
    """

    acked: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    front: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    recent: list[RecentDecision] = field(default_factory=list)
    left: int = 0
    today: int = 0
    has_new_guidelines: bool = False  # that this person has not been shown


@dataclass(frozen=True, slots=True)
class _Desk:
    """Who decides, in which transaction, and by which rules."""

    conn: Connection
    user_id: int
    source_id: int
    may_settle: bool
    now: datetime
    ttl: timedelta
    rules: Policy


def sync(
    engine: Engine,
    actor: Actor,
    presses: Sequence[Press],
    *,
    holding: Sequence[int],
    want: int,
    today: datetime,
    now: datetime,
    leaving: bool = False,
    adopting: Sequence[int] = (),
) -> Answer:
    """Save presses, renew the leases the page holds, and fill it up to `want` cards: one writing transaction.

    holding: leases whose cards the page has; today: when the person's day began. leaving: return them instead.
    adopting: leases of the person's own that a page which is gone has left behind: their cards come to this one.
    What comes back as acked is in the database. Everything is safe to send again.
    """
    require(actor, Permission.label)
    if len(presses) > MOST_PRESSES or len(holding) + len(adopting) > 10 * MOST_LEASES:
        raise BadInput(_("At most {most} presses come at once; reload the page.").format(most=MOST_PRESSES))
    answer = Answer()
    with write(engine) as conn:
        rules = policies.current_policy(conn)
        desk = _desk(conn, actor, rules, now=now)
        leases.expire(conn, now=now)
        for press in presses:
            _take(desk, press, answer)
        if leaving:
            held = _return_leases(desk, holding)
        else:
            held = _hold(desk, [*holding, *adopting], min(want, MOST_LEASES), answer)
    answer.lost = [lease_id for lease_id in holding if lease_id not in {lease.id for lease in held}]
    fresh = [lease for lease in held if lease.id not in holding or lease.id in answer.front]
    with read(engine) as conn:  # apart from the writing, so that others wait the shorter
        shows_author = rules.show_author or may(actor, Permission.see_author)
        family_of = families.families_of_posts(conn, [lease.post_id for lease in fresh])
        views = {lease.id: view_of(lease, rules, family=family_of[lease.post_id]) for lease in fresh}
        answer.cards = cards.cards_of(conn, fresh, rules, shows_author=shows_author, views=views)
        answer.recent = decisions.recent_of(conn, source_id=desk.source_id, limit=RECENT)
        answer.today = decisions.count_since(conn, source_id=desk.source_id, since=today)
        answer.left = _count_left(engine, conn, now=now)
        answer.has_new_guidelines = guidelines.is_changed_for(conn, desk.user_id)
    return answer


def _desk(conn: Connection, actor: Actor, rules: Policy, *, now: datetime) -> _Desk:
    if actor.user_id is None:
        raise NotAllowed(_("Only a signed-in user decides; `tiebreak decide POST LABEL --as USER` names one."))
    source_id = sources.ensure_source(conn, kind=SourceKind.person, name=actor.name, user_id=actor.user_id)
    ttl = timedelta(minutes=rules.lease_minutes)
    return _Desk(conn, actor.user_id, source_id, may(actor, Permission.review), now, ttl, rules)


def _take(desk: _Desk, press: Press, answer: Answer) -> None:
    """Save one press or note why not; one refused press does not hold back the others."""
    try:
        known = _made_before(desk, press)
        if known is None:
            _TAKE[press.kind](desk, press, answer)
        elif press.kind is PressKind.undo and known.lease_id is not None:  # the first answer never arrived
            _bring_back(desk, known.lease_id, answer)
    except (LeaseLost, Conflict) as err:
        answer.refused.append(Refusal(press, str(err)))
        if press.kind is PressKind.decide:
            _show_again(desk, press, answer)
    else:
        answer.acked.append(press.id)


def _made_before(desk: _Desk, press: Press) -> Decision | None:
    """The decision that the press has made, where it arrives a second time."""
    known = decisions.made_by_press(desk.conn, press.id)
    if known is not None and known.source_id != desk.source_id:  # ids are made by browsers, anybody's
        raise Conflict(_("This press was not saved; decide the post again."))
    return known


def _show_again(desk: _Desk, press: Press, answer: Answer) -> None:
    """A refused post that its moderator still holds comes back to the front, to be read again."""
    lease = leases.get_lease(desk.conn, press.lease_id or 0)
    if lease is not None and lease.user_id == desk.user_id and lease.outcome is None:
        answer.front.append(lease.id)


_counted: WeakKeyDictionary[Engine, tuple[datetime, int]] = WeakKeyDictionary()


def _count_left(engine: Engine, conn: Connection, *, now: datetime) -> int:
    """How many posts wait. Of 175,000 a count costs a third of the whole answer: of many, it may be seconds old."""
    left = queue.count_left(conn, most=COUNTED_EACH_TIME)
    if left < COUNTED_EACH_TIME:
        return left
    counted_at, count = _counted.get(engine, (None, 0))
    if counted_at is None or not timedelta(0) <= now - counted_at < COUNT_LASTS:
        count = queue.count_left(conn)
        _counted[engine] = now, count
    return count


# --- presses --------------------------------------------------------------------------------------------------------


def _decide(desk: _Desk, press: Press, answer: Answer) -> None:
    lease = _own_lease(desk, press)
    _refuse_late(desk, lease)
    _require_current_text(desk, lease.post_id, press.text_id)
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
        _leave_queue(desk, lease, decided)
    if press.family_until is not None and not lease.is_check:  # an answer measures a person, and judges nothing
        _apply_to_family(desk, decided, until=press.family_until)


def _view(desk: _Desk, lease: Lease, press: Press) -> tuple[ModelView, int | None]:
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


def _known_version(desk: _Desk, press: Press) -> int | None:
    known = press.version_id is not None and models.is_version(desk.conn, press.version_id)
    return press.version_id if known else None


def _leave_queue(desk: _Desk, place: Lease | Place | None, decided: Decision) -> None:
    """Take a decided post out, unless it is one of those that two people judge and this was the first of them."""
    if place is None or not _ask_for_second(desk, place, decided.text_id):
        seconds.note_given(desk.conn, decided.post_id, now=desk.now)
        queue.take_out(desk.conn, [decided.post_id])


def _ask_for_second(desk: _Desk, place: Lease | Place, text_id: int) -> bool:
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


def _apply_to_family(desk: _Desk, decided: Decision, *, until: int) -> None:
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


def _skip(desk: _Desk, press: Press, answer: Answer) -> None:
    lease = _own_lease(desk, press)
    if lease.outcome in (None, LeaseOutcome.expired, LeaseOutcome.returned):
        leases.end(desk.conn, lease.id, outcome=LeaseOutcome.skipped, now=desk.now)
        skips.add_skip(desk.conn, post_id=lease.post_id, user_id=desk.user_id, kind=press.skip_kind, now=desk.now)


def _undo(desk: _Desk, press: Press, answer: Answer) -> None:
    """Take back a decision or a skip; the post comes back to the same person, if nobody else has it by now."""
    lease = None if press.lease_id is None else _own_lease(desk, press)
    if lease is not None and lease.outcome is LeaseOutcome.skipped:
        skips.remove_skip(desk.conn, post_id=lease.post_id, user_id=desk.user_id)
    else:
        lease = _take_back(desk, press) or lease
    if lease is not None:
        _bring_back(desk, lease.id, answer)


def _bring_back(desk: _Desk, lease_id: int, answer: Answer) -> None:
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


def _is_open(desk: _Desk, post_id: int) -> bool:
    """Nobody has decided the post, or another opinion is wanted."""
    return not decisions.standing_on_post(desk.conn, post_id) or seconds.is_open(desk.conn, post_id)


def _take_back(desk: _Desk, press: Press) -> Lease | None:
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


def _correct(desk: _Desk, press: Press, answer: Answer) -> None:
    stands = decisions.standing_by_id(desk.conn, press.decision_id or 0)
    if stands is None or stands.source_id != desk.source_id:
        raise Conflict(
            _("This decision was already taken back or corrected; the list beside the card is up to date now.")
        )
    _require_current_text(desk, stands.post_id, press.text_id)
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


def _flag(desk: _Desk, press: Press, answer: Answer) -> None:
    post_id = _own_lease(desk, press).post_id
    if not posts.ids_of_visible(desk.conn, [post_id]):
        raise LeaseLost(_("The import that brought this post was taken back; there is nothing to look at any more."))
    flags.raise_flag(desk.conn, post_id=post_id, user_id=desk.user_id, note=press.note or "", now=desk.now)


def _unflag(desk: _Desk, press: Press, answer: Answer) -> None:
    flags.lower_flag(desk.conn, post_id=_own_lease(desk, press).post_id, user_id=desk.user_id)


_TAKE = {
    PressKind.decide: _decide,
    PressKind.skip: _skip,
    PressKind.undo: _undo,
    PressKind.correct: _correct,
    PressKind.flag: _flag,
    PressKind.unflag: _unflag,
}


def _own_lease(desk: _Desk, press: Press) -> Lease:
    lease = leases.get_lease(desk.conn, press.lease_id or 0)
    if lease is None or lease.user_id != desk.user_id or press.post_id not in (None, lease.post_id):
        raise LeaseLost(_("This post was not handed to you; it comes back through the queue."))
    return lease


def _refuse_late(desk: _Desk, lease: Lease) -> None:
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


def _refuse_answered(desk: _Desk, lease: Lease) -> None:
    """Others who hold or have judged a check post are no matter: the answer measures one person, and counts once."""
    if checks.is_answered_by(desk.conn, lease.post_id, source_id=desk.source_id):
        raise LeaseLost(_("You have decided this post already; click it in the list beside the card to correct it."))
    holder = leases.holder_of(desk.conn, lease.post_id)
    if holder is not None and holder.user_id == desk.user_id:
        leases.end(desk.conn, holder.id, outcome=LeaseOutcome.returned, now=desk.now)


def _require_current_text(desk: _Desk, post_id: int, text_id: int | None) -> None:
    found = posts.posts_by_id(desk.conn, [post_id]).get(post_id)
    if found is None:
        raise LeaseLost(_("The import that brought this post was taken back; there is nothing to decide any more."))
    if found.text_id != text_id:
        raise Conflict(TEXT_CHANGED)


# --- leases ---------------------------------------------------------------------------------------------------------


def _return_leases(desk: _Desk, holding: Sequence[int]) -> list[Lease]:
    leases.return_posts(desk.conn, holding, user_id=desk.user_id, now=desk.now)
    return []


def _hold(desk: _Desk, holding: Sequence[int], want: int, answer: Answer) -> list[Lease]:
    """Renew what the page holds, adopt what a page that is gone left behind, claim the rest from the queue."""
    own = leases.open_leases(desk.conn, user_id=desk.user_id)
    kept = [lease for lease in own if lease.id in holding or lease.id in answer.front]
    others = [lease for lease in own if lease not in kept]
    renewed_since = desk.now + desk.ttl - ORPHANED_AFTER
    orphans = [lease for lease in others if lease.expires_at < renewed_since][: max(0, want - len(kept))]
    kept += orphans
    leases.renew(desk.conn, [lease.id for lease in kept], until=desk.now + desk.ttl)
    elsewhere = len(own) - len(kept)
    missing = min(want - len(kept), MOST_LEASES - len(kept) - elsewhere)
    places = leases.free_places(desk.conn, user_id=desk.user_id, limit=missing)
    if not desk.may_settle:  # who sees the list of check posts is not measured by them
        places = mix_in(desk.conn, places, desk.rules, user_id=desk.user_id)
        if missing > len(places):
            places += left_for_later(desk.conn, user_id=desk.user_id, limit=missing - len(places))
    return kept + leases.claim_places(desk.conn, places, user_id=desk.user_id, now=desk.now, ttl=desk.ttl)


# --- one decision, without a browser --------------------------------------------------------------------------------


def decide_post(engine: Engine, actor: Actor, *, user_name: str, post_id: int, label: Label, now: datetime) -> Decision:
    """Record a decision of a user by name, as if the post had been on a card: also as a second opinion, and as the
    answer to a check post that the user holds. It replaces what that user had said of the post.

    Raises Conflict while somebody else holds the post, or has decided it and no other opinion is wanted.
    """
    require(actor, Permission.label)
    if actor.user_id is not None and actor.name != user_name:
        raise NotAllowed(
            _("{name} may not decide as {user_name}; only the operator of the machine may.").format(
                name=actor.name, user_name=user_name
            )
        )
    with write(engine) as conn:
        user = accounts.require_user(conn, user_name)
        if user.disabled_at is not None or Permission.label not in ROLES[user.role]:
            raise NotAllowed(_("{name} ({role}) may not decide posts.").format(name=user_name, role=_(user.role)))
        post = posts.require_post(conn, post_id)
        leases.expire(conn, now=now)
        desk = _desk(conn, user.actor, policies.current_policy(conn), now=now)
        said = decisions.said_by(conn, post_id, source_id=desk.source_id)
        if said is not None and (said.label, said.text_id) == (label, post.text_id):
            return said
        made = _decide_by_name(desk, post, label, said)
        audit.record_action(conn, actor, "decide", details={"post": post_id, "as": user_name}, now=now)
        return made


def _decide_by_name(desk: _Desk, post: Post, label: Label, said: Decision | None) -> Decision:
    held = leases.holder_of(desk.conn, post.id)
    if held is not None and held.user_id != desk.user_id:
        raise Conflict(
            _("Post {post_id} is in the hands of another moderator; try again when it is decided or returned.").format(
                post_id=post.id
            )
        )
    if said is not None:
        return _say_instead(desk, post, label, said, held)
    is_check = held is not None and held.is_check
    if not is_check:
        _refuse_second_word(desk, post.id)
    made = NewDecision(post.id, post.text_id, desk.source_id, label, is_check=is_check)
    decided = decisions.add_decision(desk.conn, made, now=desk.now)
    if held is not None:
        leases.end(desk.conn, held.id, outcome=LeaseOutcome.decided, now=desk.now)
    if not is_check:
        _leave_queue(desk, held or leases.place_of(desk.conn, post.id), decided)
    return decided


def _refuse_second_word(desk: _Desk, post_id: int) -> None:
    """What others have decided is not decided again, but where another opinion is wanted."""
    if seconds.is_open(desk.conn, post_id):
        return
    for _made, kind, name in decisions.standing_on_post(desk.conn, post_id):
        if kind is SourceKind.person:
            raise Conflict(
                _("{name} has decided post {post_id} already; a second opinion comes through review.").format(
                    name=name, post_id=post_id
                )
            )


def _say_instead(desk: _Desk, post: Post, label: Label, said: Decision, held: Lease | None) -> Decision:
    better = NewDecision(
        post.id, post.text_id, desk.source_id, label, supersedes=said.id, is_check=said.is_check,
        settles=said.settles and desk.may_settle,
    )  # fmt: skip
    made = decisions.add_decision(desk.conn, better, now=desk.now)
    if held is not None:
        leases.end(desk.conn, held.id, outcome=LeaseOutcome.decided, now=desk.now)
    if not said.is_check and not seconds.is_open(desk.conn, post.id):
        queue.take_out(desk.conn, [post.id])
    return made
