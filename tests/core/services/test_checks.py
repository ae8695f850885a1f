"""Check posts: they look like any other card, come once to each, measure who answers, and decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core.domain import Actor, CheckStatus, Label, Policy, Reason, Role
from core.errors import BadInput, Conflict, NotFound
from core.services import agreeing, annotation, cases, checks, own, queueing, rules, training
from core.services.annotation import Press, PressKind
from core.services.cases import Pile
from core.services.status import status_of
from db import golds, queue
from db.cards import Card
from db.engine import read, write
from db.figures import Agreement
from db.tables import audit_log, check_post, decision, lease, post, skip
from tests.conftest import NOW, add_user, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, sync, undo, unlike

MakePool = Callable[[int], None]
TOMORROW = NOW + timedelta(days=1)


def text_of(engine: Engine, post_id: int) -> int:
    with read(engine) as conn:
        return conn.execute(select(post.c.text_id).where(post.c.id == post_id)).scalar_one()


def make_check(engine: Engine, lead: Actor, post_id: int, label: Label = Label.violation) -> None:
    annotation.decide_post(engine, OPERATOR, user_name=lead.name, post_id=post_id, label=label, now=NOW)
    checks.make_check(engine, lead, post_id, text_id=text_of(engine, post_id), label=label, now=NOW)


@pytest.fixture
def checked(engine: Engine, pool: MakePool, lead: Actor) -> set[int]:
    """Seventy posts, three of which are check posts (of violations); every other card or so is drawn to be one."""
    rules.change_policy(engine, lead, Policy(second_share=0, check_share=0.5), now=NOW)
    pool(70)
    for post_id in (1, 2, 3):
        make_check(engine, lead, post_id)
    return {1, 2, 3}


def cards(engine: Engine, actor: Actor, want: int = 20) -> list[Card]:
    return sync(engine, actor, want=want).cards


def check_cards(engine: Engine, actor: Actor) -> list[Card]:
    return [card for card in cards(engine, actor) if card.lease.is_check]


def test_check_posts_come_among_the_others_and_nothing_on_the_card_tells(
    engine: Engine, checked: set[int], moderator: Actor, lead: Actor
) -> None:
    found = cards(engine, moderator)
    mixed = [card for card in found if card.lease.is_check]
    assert {card.lease.post_id for card in mixed} == checked
    assert len(found) == 20
    assert found[-1].lease not in mixed  # somewhere among them, not after them
    assert all(card.is_blind and card.prediction is None for card in mixed)
    assert {card.lease.reason for card in mixed} == {Reason.audit}  # only audit posts are blind without second opinions
    assert all(card.copies == 0 for card in mixed)


def test_check_post_takes_the_reason_of_its_neighbour_where_others_are_blind_too(
    engine: Engine, checked: set[int], moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=0.3, check_share=0.5), now=NOW)
    found = cards(engine, moderator)
    for at, card in enumerate(found[:-1]):
        if card.lease.is_check:
            follower = next(other for other in found[at:] if not other.lease.is_check)
            assert (card.lease.reason, card.lease.rank) == (follower.lease.reason, follower.lease.rank)


def test_none_come_at_a_share_of_zero_nor_to_a_lead_who_sees_the_list(
    engine: Engine, checked: set[int], moderator: Actor, lead: Actor
) -> None:
    assert check_cards(engine, lead) == []
    rules.change_policy(engine, lead, Policy(second_share=0, check_share=0), now=NOW)
    assert check_cards(engine, moderator) == []


def test_drawn_card_that_does_not_fit_any_more_is_not_drawn_for_ever(
    engine: Engine, checked: set[int], moderator: Actor
) -> None:
    seen = []
    for _ in range(12):  # one card at a time, as after each decision
        (card,) = cards(engine, moderator, 1)
        seen.append(card.lease.is_check)
        sync(engine, moderator, decide(card))
    assert 1 <= sum(seen) <= 3
    assert not all(seen[:4])


def test_answer_measures_the_person_and_changes_nothing_of_the_post(
    engine: Engine, checked: set[int], moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    before = (status_of(engine).decided, training.count_labels(engine, lead))
    found = check_cards(engine, moderator)
    for card, label in zip(found, (Label.violation, Label.violation, Label.normal), strict=True):
        assert sync(engine, moderator, decide(card, label)).refused == []
    with read(engine) as conn:
        gold = {each.post_id: each.label for each in golds.gold_posts(conn)}
        used = [decision_id for each in golds.gold_posts(conn) for decision_id in each.decision_ids]
    assert gold == dict.fromkeys(checked, Label.violation)
    assert (status_of(engine).decided, training.count_labels(engine, lead)) == before
    answers = rows(engine, decision, is_check=True)
    assert len(answers) == 3
    assert not {answer["id"] for answer in answers} & set(used)
    assert cases.count_cases(engine, lead)[Pile.disagreement] == 0
    figures = own.own_figures(engine, moderator, now=TOMORROW, zone=UTC)
    assert figures.checks == Agreement(2, 3)
    assert figures.agreement == Agreement(0, 0)  # with others it is counted only where both judged freely
    assert figures.in_all == 3  # it is work all the same
    listed = {check.post_id: (check.answered, check.right) for check in checks.list_checks(engine, lead)}
    assert sorted(listed.values()) == [(1, 0), (1, 1), (1, 1)]


def test_moderator_cannot_tell_check_posts_by_looking_at_the_figures_after_each(
    engine: Engine, checked: set[int], moderator: Actor
) -> None:
    sync(engine, moderator, decide(check_cards(engine, moderator)[0], Label.normal))
    assert own.own_figures(engine, moderator, now=NOW, zone=UTC).checks == Agreement(0, 0)
    assert own.own_figures(engine, moderator, now=TOMORROW, zone=UTC).checks == Agreement(0, 1)


def test_nobody_gets_a_check_post_twice_and_everybody_gets_it_once(
    engine: Engine, checked: set[int], moderator: Actor, second_moderator: Actor
) -> None:
    for card in check_cards(engine, moderator):
        sync(engine, moderator, decide(card))
    assert check_cards(engine, moderator) == []
    assert {card.lease.post_id for card in check_cards(engine, second_moderator)} == checked


def test_who_decided_the_post_is_not_checked_by_it(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=0, check_share=0.5), now=NOW)
    pool(20)
    first = cards(engine, moderator, 1)[0]
    sync(engine, moderator, decide(first, Label.normal))
    checks.make_check(engine, lead, first.lease.post_id, text_id=first.text_id, label=Label.normal, now=NOW)
    assert check_cards(engine, moderator) == []


def test_check_post_that_was_passed_on_does_not_come_again(engine: Engine, checked: set[int], moderator: Actor) -> None:
    card = check_cards(engine, moderator)[0]
    sync(engine, moderator, Press("skip-0001", PressKind.skip, lease_id=card.lease.id, post_id=card.lease.post_id))
    sync(engine, moderator, leaving=True, holding=[row["id"] for row in rows(engine, lease)])
    assert card.lease.post_id not in {again.lease.post_id for again in check_cards(engine, moderator)}
    assert len(rows(engine, skip)) == 1


def test_undo_brings_the_card_back_as_it_does_any_other(engine: Engine, checked: set[int], moderator: Actor) -> None:
    with read(engine) as conn:
        left = queue.count_left(conn)
    card = check_cards(engine, moderator)[0]
    sync(engine, moderator, decide(card, Label.normal))
    answer = sync(engine, moderator, undo(card), want=1)
    back = next(again for again in answer.cards if again.lease.id in answer.front)
    assert (back.lease.post_id, back.lease.is_check, back.lease.rank) == (card.lease.post_id, True, card.lease.rank)
    with read(engine) as conn:
        assert queue.count_left(conn) == left  # it never was in the queue
    sync(engine, moderator, decide(back, Label.violation, id="once-more"))
    assert [(made["label"], made["is_check"]) for made in rows(engine, decision, post_id=card.lease.post_id)] == [
        (2, False), (0, True), (None, True), (2, True)
    ]  # fmt: skip
    assert own.own_figures(engine, moderator, now=TOMORROW, zone=UTC).checks == Agreement(1, 1)


def test_answer_can_be_corrected_in_the_list_and_stays_an_answer(
    engine: Engine, checked: set[int], moderator: Actor
) -> None:
    card = check_cards(engine, moderator)[0]
    made = sync(engine, moderator, decide(card, Label.normal)).recent[0]
    better = Press(
        "correct-01", PressKind.correct, decision_id=made.decision_id, text_id=card.text_id, label=Label.violation
    )
    assert sync(engine, moderator, better).refused == []
    assert own.own_figures(engine, moderator, now=TOMORROW, zone=UTC).checks == Agreement(1, 1)
    assert len(rows(engine, decision, is_check=False)) == 3


def test_corrected_answer_changes_the_figure_only_from_the_next_day_on_so_that_trying_tells_nothing(
    engine: Engine, checked: set[int], moderator: Actor
) -> None:
    card = check_cards(engine, moderator)[0]
    made = sync(engine, moderator, decide(card, Label.normal)).recent[0]
    better = Press(
        "correct-01", PressKind.correct, decision_id=made.decision_id, text_id=card.text_id, label=Label.violation
    )
    assert sync(engine, moderator, better, now=TOMORROW).refused == []
    later = TOMORROW + timedelta(minutes=1)
    assert own.own_figures(engine, moderator, now=later, zone=UTC).checks == Agreement(0, 1)
    assert own.own_figures(engine, moderator, now=TOMORROW + timedelta(days=1), zone=UTC).checks == Agreement(1, 1)


def test_check_post_that_was_left_for_later_comes_back_after_everything_else(
    engine: Engine, checked: set[int], moderator: Actor
) -> None:
    found = cards(engine, moderator)
    card = next(each for each in found if each.lease.is_check)
    later = Press("later-0001", PressKind.skip, lease_id=card.lease.id, post_id=card.lease.post_id)
    sync(engine, moderator, later, leaving=True, holding=[each.lease.id for each in found])
    seen: list[Card] = []
    while found := cards(engine, moderator):
        for each in found:
            sync(engine, moderator, decide(each))
        seen += found
    assert len({each.lease.post_id for each in seen}) == len(seen) == 70
    assert (seen[-1].lease.post_id, seen[-1].lease.is_check) == (card.lease.post_id, True)
    assert (seen[-1].lease.reason, seen[-1].lease.rank) == (card.lease.reason, card.lease.rank)
    assert len(rows(engine, decision, post_id=card.lease.post_id, is_check=True)) == 1


def test_check_post_that_is_decided_by_name_is_answered(engine: Engine, checked: set[int], moderator: Actor) -> None:
    card = check_cards(engine, moderator)[0]
    post_id = card.lease.post_id
    for label in (Label.normal, Label.violation):
        made = annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=post_id, label=label, now=NOW)
        assert made.is_check
    assert own.own_figures(engine, moderator, now=TOMORROW, zone=UTC).checks == Agreement(1, 1)
    assert check_cards(engine, moderator) == []
    with read(engine) as conn:
        assert golds.gold_of(conn, post_id) is Label.violation
    assert len(rows(engine, decision, post_id=post_id, is_check=False)) == 1


def test_late_answer_counts_whoever_holds_the_post_meanwhile_but_only_once(
    engine: Engine, checked: set[int], moderator: Actor, second_moderator: Actor
) -> None:
    card = check_cards(engine, moderator)[0]
    late = NOW + timedelta(minutes=11)
    theirs = sync(engine, second_moderator, want=20, now=late).cards
    assert card.lease.post_id in {other.lease.post_id for other in theirs}
    assert sync(engine, moderator, decide(card), now=late).refused == []
    refused = sync(engine, moderator, decide(card, id="again-0001"), now=late).refused
    assert "decided this post already" in refused[0].reason


def test_only_a_clear_case_becomes_a_check_post(engine: Engine, pool: MakePool, lead: Actor, moderator: Actor) -> None:
    pool(2)
    with pytest.raises(Conflict, match="the label that counts is none yet"):
        checks.make_check(engine, lead, 1, text_id=text_of(engine, 1), label=Label.normal, now=NOW)
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.violation, now=NOW)
    with pytest.raises(Conflict, match="the label that counts is violation"):
        checks.make_check(engine, lead, 1, text_id=text_of(engine, 1), label=Label.normal, now=NOW)
    with pytest.raises(Conflict, match="changed the text"):
        checks.make_check(engine, lead, 1, text_id=99, label=Label.violation, now=NOW)
    assert rows(engine, check_post) == []
    with pytest.raises(BadInput, match="from 0 to 50 %"):
        rules.change_policy(engine, lead, Policy(check_share=0.6), now=NOW)


def test_retired_check_post_is_handed_out_no_more_and_an_unclear_one_counts_no_more(
    engine: Engine, checked: set[int], moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    for card in check_cards(engine, moderator):
        sync(engine, moderator, decide(card, Label.violation))
    checks.change_check(engine, lead, 1, status=CheckStatus.retired, now=NOW)
    checks.change_check(engine, lead, 2, status=CheckStatus.void, now=NOW)
    assert {card.lease.post_id for card in check_cards(engine, second_moderator)} == {3}
    assert own.own_figures(engine, moderator, now=TOMORROW, zone=UTC).checks == Agreement(2, 2)
    assert checks.count_checks(engine, lead) == {"active": 1, "retired": 1, "void": 1}
    checks.change_check(engine, lead, 2, status=CheckStatus.active, now=NOW)
    assert own.own_figures(engine, moderator, now=TOMORROW, zone=UTC).checks == Agreement(3, 3)
    assert [found["details"]["status"] for found in rows(engine, audit_log, action="change check post")] == [
        "retired", "void", "active"
    ]  # fmt: skip
    with pytest.raises(NotFound, match="is no check post"):
        checks.change_check(engine, lead, 9, status=CheckStatus.retired, now=NOW)


def test_check_post_whose_text_an_import_changed_is_not_handed_out(
    engine: Engine, checked: set[int], moderator: Actor, lead: Actor
) -> None:
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE post SET text_id = 9 WHERE id = 1")
    assert {card.lease.post_id for card in check_cards(engine, moderator)} == {2, 3}
    assert [check.post_id for check in checks.list_checks(engine, lead) if check.has_changed] == [1]


def test_answers_are_not_taken_for_second_opinions(engine: Engine, checked: set[int], lead: Actor) -> None:
    import numpy as np

    for name in ("ann", "ben"):
        someone = add_user(engine, name, Role.moderator)
        for card in check_cards(engine, someone):
            sync(engine, someone, decide(card, id=f"{name}-{card.lease.id:06d}"))
        sync(engine, someone, leaving=True, holding=[row["id"] for row in rows(engine, lease)])
    assert len(rows(engine, decision, is_check=True)) == 6
    for why in ("drawn", "audit"):
        assert agreeing.agreement(engine, lead, why=why, rng=np.random.default_rng(1)).nominal.posts == 0


def test_answer_is_not_applied_to_near_copies(engine: Engine, lead: Actor, moderator: Actor, tmp_path: Path) -> None:
    rules.change_policy(engine, lead, Policy(second_share=0, check_share=0.5), now=NOW)
    spam = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
    path = tmp_path / "copies.tsv"
    lines = [f"{n}\t{spam.format(n)}\n" for n in (1, 2)] + [f"{n}\t{unlike(n)}\n" for n in range(3, 40)]
    path.write_text("pid\tcontext\n" + "".join(lines))
    import_file(engine, path)
    queueing.renew_queue(engine, now=NOW, seed=1)
    make_check(engine, lead, 1)
    card = check_cards(engine, moderator)[0]
    assert (card.lease.post_id, card.copies) == (1, 1)
    sync(engine, moderator, replace(decide(card, Label.normal), family_until=40))
    made = [(row["post_id"], row["label"], row["is_check"]) for row in rows(engine, decision)]
    assert made == [(1, int(Label.violation), False), (1, int(Label.normal), True)]
