"""What moderators pass on: to later, to others, to the lead; and flags with what became of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from core.domain import RULES, Actor, Label, Policy, Role, Rule, SkipKind
from core.errors import BadInput, Conflict, NotAllowed
from core.services import cases, flags, queueing, rules, takeback
from core.services.annotation import Press, PressKind
from core.services.cases import Pile
from core.settings import Settings
from core.worker import execute
from db.cards import Card
from db.tables import audit_log, decision, flag
from db.tables import skip as skip_table
from tests.conftest import NOW, add_user, rows
from tests.core.services.conftest import OPERATOR, decide, find_case, next_posts, settle, sync, undo

MakePool = Callable[[int], None]


def pass_on(card: Card, kind: SkipKind, *, id: str = "") -> Press:
    held = card.lease
    return Press(id or f"{kind}-{held.id:06d}", PressKind.skip, lease_id=held.id, post_id=held.post_id, skip_kind=kind)


def flagged(card: Card, note: str = "", kind: PressKind = PressKind.flag, *, id: str = "flag-0001") -> Press:
    return Press(id, kind, lease_id=card.lease.id, post_id=card.lease.post_id, note=note)


@pytest.fixture
def card(engine: Engine, pool: MakePool, moderator: Actor) -> Card:
    """The first of three cards, in a moderator's hands."""
    pool(3)
    return sync(engine, moderator, want=1).cards[0]


@pytest.mark.parametrize(
    ("kind", "mine", "theirs"),
    [(SkipKind.later, "last", "there"), (SkipKind.not_me, "gone", "there"), (SkipKind.cannot_judge, "gone", "gone")],
)
def test_skipped_post_goes_where_its_moderator_sent_it(
    engine: Engine, card: Card, moderator: Actor, second_moderator: Actor, kind: SkipKind, mine: str, theirs: str
) -> None:
    sync(engine, moderator, pass_on(card, kind))
    own, others = next_posts(engine, moderator), next_posts(engine, second_moderator)
    post_id = card.lease.post_id
    assert mine == ("gone" if post_id not in own else "last" if own[-1] == post_id else "there")
    assert theirs == ("there" if post_id in others else "gone")
    assert [found["kind"] for found in rows(engine, skip_table)] == [kind]


@pytest.mark.parametrize("kind", list(SkipKind))
def test_undone_skip_brings_the_post_back_to_the_front(
    engine: Engine, card: Card, moderator: Actor, kind: SkipKind
) -> None:
    sync(engine, moderator, pass_on(card, kind))
    answer = sync(engine, moderator, undo(card), want=3)
    assert [found.lease.post_id for found in answer.cards if found.lease.id in answer.front] == [card.lease.post_id]
    assert rows(engine, skip_table) == []


def test_post_that_cannot_be_judged_is_listed_for_the_lead_who_judges_it_for_good(
    engine: Engine, card: Card, moderator: Actor, lead: Actor
) -> None:
    sync(engine, moderator, pass_on(card, SkipKind.cannot_judge))
    found = find_case(engine, lead, Pile.unjudged)
    assert ([each.post_id for each in found.exhibits], found.skipped_by) == ([card.lease.post_id], ("mo",))
    assert [(s.post_id, s.kind) for s in flags.own_skips(engine, moderator)] == [
        (card.lease.post_id, SkipKind.cannot_judge)
    ]
    assert settle(engine, lead, found, Label.suspicious) == 1
    assert [(made["label"], made["settles"]) for made in rows(engine, decision)] == [(Label.suspicious, True)]
    assert cases.count_cases(engine, lead)[Pile.unjudged] == 0
    assert flags.own_skips(engine, moderator) == []  # it waits no longer
    with pytest.raises(Conflict, match="said something about post"):
        settle(engine, lead, found, Label.normal, batch="settle-000002")


def test_post_that_the_lead_puts_back_comes_to_everybody_again(
    engine: Engine, card: Card, moderator: Actor, lead: Actor
) -> None:
    sync(engine, moderator, pass_on(card, SkipKind.cannot_judge))
    flags.put_back(engine, lead, card.lease.post_id, now=NOW)
    assert card.lease.post_id in next_posts(engine, moderator)
    with pytest.raises(Conflict, match="no longer listed"):
        flags.put_back(engine, lead, card.lease.post_id, now=NOW)


def test_skips_stay_through_a_new_round_of_the_queue(engine: Engine, card: Card, moderator: Actor) -> None:
    sync(engine, moderator, pass_on(card, SkipKind.not_me))
    queueing.renew_queue(engine, now=NOW, seed=2)
    assert card.lease.post_id not in next_posts(engine, moderator)
    assert [(s.post_id, s.kind) for s in flags.own_skips(engine, moderator)] == [(card.lease.post_id, SkipKind.not_me)]


def test_flag_reaches_the_lead_and_the_answer_its_moderator(
    engine: Engine, card: Card, moderator: Actor, lead: Actor
) -> None:
    assert sync(engine, moderator, flagged(card, "same phone number again")).acked == ["flag-0001"]
    sync(engine, moderator, decide(card, Label.violation))
    found = find_case(engine, lead, Pile.flag).flag
    assert found is not None
    assert (found.flagged_by, found.note, found.closed_at) == ("mo", "same phone number again", None)
    flags.close_flag(engine, lead, found.id, answer=" thank you, blocked ", now=NOW)
    (answered,) = flags.own_flags(engine, moderator)
    assert (answered.closed_by, answered.answer, answered.closed_at) == ("lea", "thank you, blocked", NOW)
    assert cases.count_cases(engine, lead)[Pile.flag] == 0
    assert [row["action"] for row in rows(engine, audit_log)][-1] == "answer flag"
    with pytest.raises(Conflict, match="answered or taken back"):
        flags.close_flag(engine, lead, found.id, answer="", now=NOW)


def test_flag_raised_twice_is_one_with_the_later_note_and_can_be_taken_back(
    engine: Engine, card: Card, moderator: Actor, lead: Actor
) -> None:
    sync(engine, moderator, flagged(card, "a"), flagged(card, "b", id="flag-0002"))
    assert [found["note"] for found in rows(engine, flag)] == ["b"]
    sync(engine, moderator, holding=[card.lease.id], leaving=True)
    again = next(c for c in sync(engine, moderator, want=3).cards if c.lease.post_id == card.lease.post_id)
    assert again.flag == "b"
    sync(engine, moderator, flagged(again, kind=PressKind.unflag, id="flag-0003"))
    assert cases.find_case(engine, lead, Pile.flag, place=0) is None


def test_flag_of_another_is_no_business_of_the_card(
    engine: Engine, card: Card, moderator: Actor, second_moderator: Actor
) -> None:
    sync(engine, moderator, flagged(card, "a"))
    sync(engine, moderator, holding=[card.lease.id], leaving=True)
    theirs = {c.lease.post_id: c for c in sync(engine, second_moderator, want=3).cards}
    assert theirs[card.lease.post_id].flag is None
    stolen = Press("flag-0009", PressKind.unflag, lease_id=card.lease.id, post_id=card.lease.post_id)
    assert sync(engine, second_moderator, stolen).refused
    assert len(rows(engine, flag)) == 1


def test_flags_and_skips_of_posts_that_are_taken_back_go_with_them(
    engine: Engine, settings: Settings, card: Card, moderator: Actor, lead: Actor
) -> None:
    sync(engine, moderator, flagged(card, "a"), pass_on(card, SkipKind.cannot_judge))
    queued = takeback.queue_take_back(engine, OPERATOR, 1, now=NOW)
    execute(settings, engine, queued.id)
    assert [rows(engine, table) for table in (flag, skip_table)] == [[], []]
    assert set(cases.count_cases(engine, lead).values()) == {0}


def test_decision_says_which_rule_the_post_breaks_and_a_normal_one_breaks_none(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(2)
    cards = sync(engine, moderator, want=2).cards
    for found, label in zip(cards, (Label.violation, Label.normal), strict=True):
        held = found.lease
        sync(
            engine, moderator,
            Press(f"press-{held.id:04d}", PressKind.decide, held.id, held.post_id, found.text_id, label,
                  rule="politics", note="see the third line"),
        )  # fmt: skip
    made = [(row["rule"], row["note"]) for row in rows(engine, decision)]
    assert made == [("politics", "see the third line"), (None, "see the third line")]


def test_corrected_decision_keeps_its_note_and_takes_the_rule_that_comes_with_it(
    engine: Engine, card: Card, moderator: Actor
) -> None:
    held = card.lease
    sync(
        engine, moderator,
        Press("press-0001", PressKind.decide, held.id, held.post_id, card.text_id, Label.violation, rule="politics",
              note="n"),
    )  # fmt: skip
    made = sync(engine, moderator).recent[0]
    better = Press(
        "press-0002", PressKind.correct, text_id=card.text_id, label=Label.normal, decision_id=made.decision_id
    )
    assert sync(engine, moderator, better).refused == []
    (now,) = sync(engine, moderator).recent
    assert (now.label, now.rule, now.note) == (Label.normal, None, "n")


def test_note_that_is_too_long_is_refused_as_a_whole() -> None:
    with pytest.raises(BadInput):
        Press("press-0001", PressKind.flag, 1, 1, note="x" * 2_001)


def test_rules_are_the_leads_to_edit(engine: Engine, lead: Actor) -> None:
    assert rules.current_policy(engine).rules == RULES
    chosen = (Rule("off_topic", "off topic", "跑题"), RULES[0])
    rules.change_policy(engine, lead, Policy(rules=chosen), now=NOW)
    assert rules.current_policy(engine).rules == chosen


def test_moderator_sees_nobody_elses_flags(engine: Engine, card: Card, moderator: Actor) -> None:
    sync(engine, moderator, flagged(card, "a"))
    other = add_user(engine, "other", Role.moderator)
    assert flags.own_flags(engine, other) == []
    for list_all in (flags.walk_flags, flags.walk_skips, cases.count_cases):
        with pytest.raises(NotAllowed):
            list_all(engine, other)
