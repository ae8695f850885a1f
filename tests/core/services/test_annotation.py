"""Leases and presses: nobody holds a post twice, nothing is saved twice, what comes late is taken or refused."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Actor, Label, ModelView, Policy, Role
from core.errors import BadInput, Conflict, NotAllowed
from core.services import annotation, queueing, rules
from core.services.annotation import Press, PressKind
from core.settings import Settings
from db.engine import open_engine, read
from db.queue import current_round
from db.tables import decision, lease, post, queue_entry
from db.tables import skip as skip_table
from tests.conftest import NOW, add_user, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, skip, sync, undo

MakePool = Callable[[int], None]
LATER = NOW + timedelta(minutes=11)


def posts_in_queue(engine: Engine) -> set[object]:
    with read(engine) as conn:
        return {entry["post_id"] for entry in rows(engine, queue_entry, round_id=current_round(conn))}


def test_cards_come_in_the_order_of_the_queue_and_no_two_people_hold_the_same(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(30)
    mine = sync(engine, moderator, want=5).cards
    theirs = sync(engine, second_moderator, want=5).cards
    ranks = {entry["post_id"]: entry["rank"] for entry in rows(engine, queue_entry)}
    assert [ranks[card.lease.post_id] for card in mine + theirs] == list(range(10))


def test_page_takes_over_the_cards_of_one_that_is_gone_and_nobody_elses(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(30)
    left_behind = sync(engine, moderator, want=5).cards
    theirs = sync(engine, second_moderator, want=5).cards
    soon = NOW + timedelta(seconds=5)
    beside = sync(engine, moderator, want=5, now=soon).cards  # another page, while the first is alive
    assert not {card.lease.id for card in beside} & {card.lease.id for card in left_behind}
    asked = [card.lease.id for card in (*left_behind[1:], *theirs)]  # the first was decided before the crash
    sync(engine, moderator, decide(left_behind[0]), now=soon)
    answer = sync(engine, moderator, want=5, adopting=asked, now=soon)
    assert [card.lease.id for card in answer.cards][:4] == [card.lease.id for card in left_behind[1:]]
    assert answer.lost == []
    assert {row["user_id"] for row in rows(engine, lease) if row["id"] in asked[4:]} == {second_moderator.user_id}


def test_nobody_holds_more_than_25_posts(engine: Engine, pool: MakePool, moderator: Actor) -> None:
    pool(60)
    assert len(sync(engine, moderator, want=500).cards) == 25
    assert sync(engine, moderator, want=500).cards == []


def test_decision_is_saved_with_its_lease_text_and_circumstances(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(3)
    card = sync(engine, moderator, want=1).cards[0]
    pressed = Press(
        "press-0001", PressKind.decide, card.lease.id, card.lease.post_id, card.text_id, Label.violation,
        seen=ModelView.asked, seconds=2.5,
    )  # fmt: skip
    answer = sync(engine, moderator, pressed)
    assert answer.acked == ["press-0001"]
    (saved,) = rows(engine, decision)
    assert (saved["post_id"], saved["text_id"], saved["label"]) == (card.lease.post_id, card.text_id, 2)
    assert (saved["lease_id"], saved["model_view"], saved["seconds"]) == (card.lease.id, "asked", 2.5)
    assert rows(engine, lease)[0]["outcome"] == "decided"
    assert card.lease.post_id not in posts_in_queue(engine)
    assert (answer.today, answer.left, [made.label for made in answer.recent]) == (1, 2, [Label.violation])


def test_same_press_sent_again_is_acknowledged_and_saved_once(engine: Engine, pool: MakePool, moderator: Actor) -> None:
    pool(3)
    card = sync(engine, moderator, want=1).cards[0]
    assert sync(engine, moderator, decide(card)).acked == sync(engine, moderator, decide(card)).acked
    assert len(rows(engine, decision)) == 1


def test_late_decision_is_taken_when_nobody_else_holds_or_has_decided_the_post(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(10)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, second_moderator, now=LATER)
    assert rows(engine, lease)[0]["outcome"] == "expired"
    answer = sync(engine, moderator, decide(card), now=LATER)
    assert (answer.refused, [made["label"] for made in rows(engine, decision)]) == ([], [0])
    assert rows(engine, lease)[0]["outcome"] == "decided"


def test_late_decision_is_refused_while_somebody_else_holds_the_post(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(1)
    card = sync(engine, moderator, want=1).cards[0]
    assert sync(engine, second_moderator, want=1, now=LATER).cards[0].lease.post_id == card.lease.post_id
    answer = sync(engine, moderator, decide(card), now=LATER)
    assert "somebody else holds it" in answer.refused[0].reason
    assert rows(engine, decision) == []


def test_late_decision_is_refused_when_somebody_else_has_decided_the_post(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(1)
    card = sync(engine, moderator, want=1).cards[0]
    theirs = sync(engine, second_moderator, want=1, now=LATER).cards[0]
    sync(engine, second_moderator, decide(theirs, Label.violation), now=LATER)
    answer = sync(engine, moderator, decide(card), now=LATER)
    assert "somebody else has decided it" in answer.refused[0].reason
    assert [made["label"] for made in rows(engine, decision)] == [2]


def test_one_refused_press_does_not_hold_back_the_others(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(4)
    first, second = sync(engine, moderator, want=2).cards
    answer = sync(engine, second_moderator, decide(first))
    assert "not handed to you" in answer.refused[0].reason
    strange = Press("press-9999", PressKind.decide, 9_999, first.lease.post_id, first.text_id, Label.normal)
    answer = sync(engine, moderator, strange, decide(first), decide(second))
    assert (len(answer.refused), len(answer.acked)) == (1, 2)


def test_expired_lease_returns_its_post_to_the_pool(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(2)
    held = {card.lease.post_id for card in sync(engine, moderator, want=2).cards}
    assert sync(engine, second_moderator, want=2, now=NOW + timedelta(minutes=9)).cards == []
    assert {card.lease.post_id for card in sync(engine, second_moderator, want=2, now=LATER).cards} == held


def test_living_page_keeps_its_leases_and_a_dead_one_loses_them(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(2)
    cards = sync(engine, moderator, want=2).cards
    kept, lost = cards[0].lease.id, cards[1].lease.id
    for minute in range(1, 12):
        sync(engine, moderator, holding=[kept], now=NOW + timedelta(minutes=minute))
    answer = sync(engine, moderator, holding=[kept, lost], now=LATER)
    assert answer.lost == [lost]
    taken = sync(engine, second_moderator, want=2, now=LATER).cards
    assert [card.lease.post_id for card in taken] == [cards[1].lease.post_id]


def test_page_that_is_left_returns_its_posts_and_saves_its_last_press(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(3)
    cards = sync(engine, moderator, want=3).cards
    held = [card.lease.id for card in cards]
    sync(engine, moderator, decide(cards[0]), holding=held[1:], leaving=True)
    assert [found["outcome"] for found in rows(engine, lease)] == ["decided", "returned", "returned"]
    assert len(sync(engine, second_moderator, want=3).cards) == 2


def test_moderator_who_comes_back_finds_the_same_card(engine: Engine, pool: MakePool, moderator: Actor) -> None:
    pool(30)
    cards = sync(engine, moderator, want=20).cards
    sync(engine, moderator, holding=[card.lease.id for card in cards], leaving=True)
    again = sync(engine, moderator, want=20, now=NOW + timedelta(seconds=1)).cards
    assert [card.lease.post_id for card in again] == [card.lease.post_id for card in cards]


def test_new_page_of_the_same_person_takes_over_what_a_dead_page_held(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(2)
    held = [card.lease.id for card in sync(engine, moderator, want=2).cards]
    assert sync(engine, moderator, want=2, now=NOW + timedelta(seconds=30)).cards == []
    again = sync(engine, moderator, want=2, now=NOW + timedelta(minutes=3)).cards
    assert [card.lease.id for card in again] == held


def test_skipped_post_comes_last_to_who_skipped_it_and_in_turn_to_others(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(4)
    first = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, skip(first))
    order = [card.lease.post_id for card in sync(engine, moderator, want=4).cards]
    assert order[-1] == first.lease.post_id
    sync(engine, moderator, holding=[row["id"] for row in rows(engine, lease)], leaving=True)  # type: ignore[misc]
    assert sync(engine, second_moderator, want=1).cards[0].lease.post_id == first.lease.post_id


def test_undo_takes_the_decision_back_and_hands_the_post_to_the_same_person(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(2)
    card = sync(engine, moderator, want=1).cards[0]
    answer = sync(engine, moderator, decide(card, Label.violation), undo(card))
    (again,) = answer.cards
    assert (again.lease.post_id, answer.front) == (card.lease.post_id, [again.lease.id])
    assert [(made["label"], made["supersedes"]) for made in rows(engine, decision)] == [(2, None), (None, 1)]
    assert card.lease.post_id in posts_in_queue(engine)
    assert (answer.today, answer.recent) == (0, [])
    saved = sync(engine, moderator, decide(again, Label.normal))
    assert [made.label for made in saved.recent] == [Label.normal]


def test_undo_of_a_skip_hands_the_post_back(engine: Engine, pool: MakePool, moderator: Actor) -> None:
    pool(2)
    card = sync(engine, moderator, want=1).cards[0]
    answer = sync(engine, moderator, skip(card), undo(card))
    assert [again.lease.post_id for again in answer.cards] == [card.lease.post_id]
    assert rows(engine, skip_table) == []


def test_undo_of_a_skip_does_not_hand_out_what_somebody_has_decided_meanwhile(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(1)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, skip(card))
    theirs = sync(engine, second_moderator, want=1).cards[0]
    sync(engine, second_moderator, decide(theirs, Label.violation))
    answer = sync(engine, moderator, undo(card))
    assert (answer.front, answer.cards) == ([], [])


def test_undo_whose_answer_was_lost_brings_the_post_back_when_sent_again(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(30)
    card, *others = sync(engine, moderator, want=5).cards
    holding = [other.lease.id for other in others]
    sync(engine, moderator, decide(card), holding=holding, want=5)
    lost, again = (sync(engine, moderator, undo(card), holding=holding, want=5) for _ in range(2))
    assert lost.front == again.front
    assert card.lease.post_id in {found.lease.post_id for found in again.cards}
    assert [made["label"] for made in rows(engine, decision)] == [0, None]


def test_undo_of_a_decision_that_was_not_made_on_the_page_is_refused_and_loses_nothing(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(3)
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.normal, now=NOW)
    press = Press("undo-0001", PressKind.undo, decision_id=sync(engine, moderator).recent[0].decision_id)
    assert "not made on this page" in sync(engine, moderator, press).refused[0].reason
    assert [made["label"] for made in rows(engine, decision)] == [0]


def test_undo_twice_and_undo_of_another_persons_decision_are_refused(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(2)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card))
    theirs = Press("undo-0009", PressKind.undo, decision_id=1)
    assert "nothing to undo" in sync(engine, second_moderator, theirs).refused[0].reason
    sync(engine, moderator, undo(card))
    assert "nothing to undo" in sync(engine, moderator, undo(card, id="undo-0002")).refused[0].reason


def test_correction_supersedes_and_only_the_latest_stands(engine: Engine, pool: MakePool, moderator: Actor) -> None:
    pool(2)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card, Label.normal))
    better = Press("correct-1", PressKind.correct, decision_id=1, text_id=card.text_id, label=Label.suspicious)
    assert [made.label for made in sync(engine, moderator, better).recent] == [Label.suspicious]
    again = Press("correct-2", PressKind.correct, decision_id=1, text_id=card.text_id, label=Label.violation)
    assert "already taken back or corrected" in sync(engine, moderator, again).refused[0].reason


def test_decision_on_a_text_that_an_import_has_changed_is_refused_and_the_card_comes_anew(
    engine: Engine, pool: MakePool, moderator: Actor, tmp_path: Path
) -> None:
    pool(1)
    card = sync(engine, moderator, want=1).cards[0]
    longer = tmp_path / "longer.tsv"
    longer.write_text("pid\thit_word\tcontext\n1\tnew\tanother excerpt of the same post\n")
    import_file(engine, longer)
    answer = sync(engine, moderator, decide(card))
    assert answer.front == [card.lease.id]
    assert "changed the text" in answer.refused[0].reason
    (fresh,) = answer.cards
    assert (fresh.lease.id, "another excerpt" in fresh.text) == (card.lease.id, True)
    assert sync(engine, moderator, decide(fresh, id="press-again")).acked == ["press-again"]


def test_author_is_shown_by_policy_and_to_leads_and_an_address_to_nobody(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(6)
    assert sync(engine, moderator, want=1).cards[0].author is None
    assert sync(engine, lead, want=1).cards[0].author is not None
    rules.change_policy(engine, OPERATOR, Policy(show_author=True), now=NOW)
    assert sync(engine, moderator, want=2).cards[0].author is not None
    assert not any("ip" in name for name in type(sync(engine, moderator, want=3).cards[0]).__dataclass_fields__)


def test_a_new_round_while_cards_are_held_neither_doubles_nor_loses_a_post(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor
) -> None:
    pool(12)
    held = sync(engine, moderator, want=4).cards
    queueing.renew_queue(engine, now=NOW, seed=2)
    theirs = {card.lease.post_id for card in sync(engine, second_moderator, want=25).cards}
    mine = {card.lease.post_id for card in held}
    assert (len(theirs), theirs & mine) == (8, set())
    assert sync(engine, moderator, *map(decide, held)).left == 8


def test_analyst_and_operator_hold_no_posts(engine: Engine, pool: MakePool, analyst: Actor) -> None:
    pool(1)
    for actor in (analyst, OPERATOR):
        with pytest.raises(NotAllowed):
            sync(engine, actor, want=1)


def test_incomplete_press_is_refused_as_a_whole() -> None:
    with pytest.raises(BadInput):
        Press("press-0001", PressKind.decide, lease_id=1, post_id=1, text_id=1)
    with pytest.raises(BadInput):
        Press("short", PressKind.skip, lease_id=1, post_id=1)


# --- the command line's decide --------------------------------------------------------------------------------------


def test_operator_decides_as_a_user_and_a_second_time_corrects(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(2)
    made = annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.normal, now=NOW)
    same = annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.normal, now=NOW)
    other = annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.violation, now=NOW)
    assert (same.id, other.supersedes) == (made.id, made.id)
    assert posts_in_queue(engine) == {2}


def test_operator_cannot_decide_what_somebody_holds_or_has_decided_or_as_an_analyst(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor, analyst: Actor
) -> None:
    pool(2)
    card = sync(engine, moderator, want=1).cards[0]
    with pytest.raises(Conflict, match="in the hands of another"):
        annotation.decide_post(
            engine, OPERATOR, user_name="mimi", post_id=card.lease.post_id, label=Label.normal, now=NOW
        )
    sync(engine, moderator, decide(card))
    with pytest.raises(Conflict, match="mo has decided"):
        annotation.decide_post(
            engine, OPERATOR, user_name="mimi", post_id=card.lease.post_id, label=Label.normal, now=NOW
        )
    with pytest.raises(NotAllowed):
        annotation.decide_post(engine, OPERATOR, user_name="ana", post_id=2, label=Label.normal, now=NOW)


# --- many at once ---------------------------------------------------------------------------------------------------

PROCESSES, CLAIMS = 8, 400


def _claim_and_decide(database_url: str, actor: Actor, claims: int) -> int:
    """Claim one post after the other in this process and decide each; returns how many."""
    engine = open_engine(database_url)
    decided = 0
    holding: list[int] = []
    press: list[Press] = []
    for _ in range(claims):
        answer = annotation.sync(engine, actor, press, holding=holding, want=1, today=NOW, now=utc_now())
        assert not answer.refused
        decided += len(answer.acked)
        if not answer.cards:
            break
        card = answer.cards[0]
        press, holding = [decide(card, id=f"{actor.name}-{card.lease.id:08d}")], []
    final = annotation.sync(engine, actor, press, holding=[], want=0, today=NOW, now=utc_now())
    return decided + len(final.acked)


@pytest.mark.slow
def test_eight_processes_claim_at_once_without_a_double_or_a_lock_error(
    engine: Engine, pool: MakePool, settings: Settings
) -> None:
    pool(PROCESSES * CLAIMS)
    people = [add_user(engine, f"claimer-{n}", Role.moderator) for n in range(PROCESSES)]
    engine.dispose()
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as processes:
        asked = [(settings.database_url, person, CLAIMS) for person in people]
        decided = processes.starmap(_claim_and_decide, asked)
    assert decided == [CLAIMS] * PROCESSES
    decided_posts = [made["post_id"] for made in rows(engine, decision)]
    assert len(set(decided_posts)) == len(decided_posts) == PROCESSES * CLAIMS
    assert len(rows(engine, post)) == PROCESSES * CLAIMS


def test_press_with_the_id_of_somebody_elses_is_not_taken_for_saved(
    engine: Engine, pool: Callable[[int], None], moderator: Actor, second_moderator: Actor
) -> None:
    pool(4)
    mine, theirs = (sync(engine, who, want=1).cards[0] for who in (moderator, second_moderator))
    sync(engine, moderator, decide(mine, id="the-same-id"))
    answer = sync(engine, second_moderator, decide(theirs, id="the-same-id"))
    assert (answer.acked, ["not saved" in refused.reason for refused in answer.refused]) == ([], [True])
    assert [made["post_id"] for made in rows(engine, decision)] == [mine.lease.post_id]
