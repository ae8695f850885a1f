"""Deciding posts: leases are handed out, presses come back, each is saved once or refused with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from core.domain import Actor, Decision, Label, Lease, LeaseOutcome, Post, SourceKind
from core.errors import BadInput, Conflict, LeaseLost, NotAllowed
from core.permissions import ROLES, Permission, may, require
from core.services.blinding import view_of
from core.services.deciding import correct, decide, leave_queue
from core.services.desk import Desk, open_desk
from core.services.handing import MOST_LEASES, hold, return_leases
from core.services.passing import flag, skip, unflag
from core.services.presses import Answer, Press, PressKind, Refusal
from core.services.undoing import bring_back, undo
from core.wording import _
from db import accounts, audit, cards, decisions, families, guidelines, leases, policies, posts, queue, seconds
from db.decisions import NewDecision
from db.engine import read, write

__all__ = ["Answer", "Press", "PressKind", "Refusal"]

MOST_PRESSES = 200  # in one request; a browser that was offline longer sends several
RECENT = 10
COUNTED_EACH_TIME = 2_000  # posts in the queue; more of them are counted now and then
COUNT_LASTS = timedelta(seconds=5)


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
        desk = open_desk(conn, actor, rules, now=now)
        leases.expire(conn, now=now)
        for press in presses:
            _take(desk, press, answer)
        if leaving:
            held = return_leases(desk, holding)
        else:
            held = hold(desk, [*holding, *adopting], min(want, MOST_LEASES), answer)
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


def _take(desk: Desk, press: Press, answer: Answer) -> None:
    """Save one press or note why not; one refused press does not hold back the others."""
    try:
        known = _made_before(desk, press)
        if known is None:
            _TAKE[press.kind](desk, press, answer)
        elif press.kind is PressKind.undo and known.lease_id is not None:  # the first answer never arrived
            bring_back(desk, known.lease_id, answer)
    except (LeaseLost, Conflict) as err:
        answer.refused.append(Refusal(press, str(err)))
        if press.kind is PressKind.decide:
            _show_again(desk, press, answer)
    else:
        answer.acked.append(press.id)


_TAKE = {
    PressKind.decide: decide,
    PressKind.skip: skip,
    PressKind.undo: undo,
    PressKind.correct: correct,
    PressKind.flag: flag,
    PressKind.unflag: unflag,
}


def _made_before(desk: Desk, press: Press) -> Decision | None:
    """The decision that the press has made, where it arrives a second time."""
    known = decisions.made_by_press(desk.conn, press.id)
    if known is not None and known.source_id != desk.source_id:  # ids are made by browsers, anybody's
        raise Conflict(_("This press was not saved; decide the post again."))
    return known


def _show_again(desk: Desk, press: Press, answer: Answer) -> None:
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
        desk = open_desk(conn, user.actor, policies.current_policy(conn), now=now)
        said = decisions.said_by(conn, post_id, source_id=desk.source_id)
        if said is not None and (said.label, said.text_id) == (label, post.text_id):
            return said
        made = _decide_by_name(desk, post, label, said)
        audit.record_action(conn, actor, "decide", details={"post": post_id, "as": user_name}, now=now)
        return made


def _decide_by_name(desk: Desk, post: Post, label: Label, said: Decision | None) -> Decision:
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
        leave_queue(desk, held or leases.place_of(desk.conn, post.id), decided)
    return decided


def _refuse_second_word(desk: Desk, post_id: int) -> None:
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


def _say_instead(desk: Desk, post: Post, label: Label, said: Decision, held: Lease | None) -> Decision:
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
