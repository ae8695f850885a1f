"""Second opinions: another person judges the post too, neither knows, and nobody judges one twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select

from core.domain import Actor, Label, Place, Policy, Prediction, Reason, Role, SecondOpinion, Side, SkipKind
from core.drawing import is_drawn
from core.errors import Conflict
from core.services import agreeing, annotation, cases, flags, own, queueing, rules, searching
from core.services.agreeing import AgreementReport
from core.services.annotation import Press, PressKind
from core.services.blinding import BLIND_SHARE
from core.services.cases import Pile
from db import golds, leases
from db.cards import Card
from db.engine import read, write
from db.tables import decision, distinct_text, family_place, post, second_opinion
from tests.conftest import NOW, add_user, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, next_posts, sync, undo

MakePool = Callable[[int], None]


@pytest.fixture
def doubled(engine: Engine, pool: MakePool, lead: Actor) -> None:
    """Three posts, all of which two people are to judge."""
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    pool(3)


def cards(engine: Engine, actor: Actor, want: int = 9) -> list[Card]:
    """What a person holds and gets."""
    return sync(engine, actor, want=want).cards


def test_post_that_is_drawn_comes_to_another_person_with_nothing_that_tells(
    engine: Engine, doubled: None, moderator: Actor, second_moderator: Actor
) -> None:
    first = cards(engine, moderator, 1)[0]
    sync(engine, moderator, decide(first, Label.violation))
    theirs = {card.lease.post_id: card for card in cards(engine, second_moderator)}
    again = theirs[first.lease.post_id]
    assert (again.lease.reason, again.lease.rank, again.text) == (first.lease.reason, first.lease.rank, first.text)
    assert first.lease.post_id not in {card.lease.post_id for card in cards(engine, moderator)}


def test_second_opinion_is_saved_beside_the_first_and_ends_the_matter(
    engine: Engine, doubled: None, moderator: Actor, second_moderator: Actor
) -> None:
    first = cards(engine, moderator, 1)[0]
    sync(engine, moderator, decide(first, Label.violation))
    again = next(c for c in cards(engine, second_moderator) if c.lease.post_id == first.lease.post_id)
    assert sync(engine, second_moderator, decide(again, Label.normal, id="another-press")).refused == []
    assert [(m["label"], m["supersedes"]) for m in rows(engine, decision)] == [(2, None), (0, None)]
    assert rows(engine, second_opinion)[0]["given_at"] is not None
    third = add_user(engine, "third", Role.moderator)
    assert first.lease.post_id not in {card.lease.post_id for card in cards(engine, third)}
    with read(engine) as conn:
        assert list(golds.gold_posts(conn)) == []  # they disagree: a lead settles it


def test_decision_by_name_asks_for_a_second_opinion_and_gives_one(
    engine: Engine, doubled: None, moderator: Actor, second_moderator: Actor
) -> None:
    post_id = next_posts(engine, moderator)[0]

    def decide_by_name(user: str, label: Label) -> None:
        annotation.decide_post(engine, OPERATOR, user_name=user, post_id=post_id, label=label, now=NOW)

    decide_by_name("mo", Label.violation)
    assert post_id not in next_posts(engine, moderator)
    assert post_id in next_posts(engine, second_moderator)
    decide_by_name("mo", Label.suspicious)  # a correction ends nothing
    assert post_id in next_posts(engine, second_moderator)
    decide_by_name("mimi", Label.normal)
    add_user(engine, "third", Role.moderator)
    with pytest.raises(Conflict, match="has decided post"):
        decide_by_name("third", Label.normal)
    assert [(m["label"], m["supersedes"]) for m in rows(engine, decision)] == [(2, None), (1, 1), (0, None)]
    assert rows(engine, second_opinion)[0]["given_at"] is not None


def test_post_that_the_second_person_cannot_judge_waits_for_the_lead(
    engine: Engine, doubled: None, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    first = cards(engine, moderator)[0]
    sync(engine, moderator, decide(first))
    again = next(card for card in cards(engine, second_moderator) if card.lease.post_id == first.lease.post_id)
    held = again.lease
    skipped = Press(
        "skip-000001", PressKind.skip, lease_id=held.id, post_id=held.post_id, skip_kind=SkipKind.cannot_judge
    )
    sync(engine, second_moderator, skipped)
    assert cases.count_cases(engine, lead)[Pile.unjudged] == 1
    assert [post.post_id for post in flags.own_skips(engine, second_moderator)] == [first.lease.post_id]


def test_new_round_keeps_what_waits_for_another_person(
    engine: Engine, doubled: None, moderator: Actor, second_moderator: Actor
) -> None:
    first = cards(engine, moderator, 1)[0]
    sync(engine, moderator, decide(first))
    queueing.renew_queue(engine, now=NOW, seed=3)
    assert first.lease.post_id in {card.lease.post_id for card in cards(engine, second_moderator)}


def test_post_that_a_lead_has_settled_comes_to_nobody_for_a_second_opinion(
    engine: Engine, doubled: None, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    first = cards(engine, moderator, 1)[0]
    post_id, batch = first.lease.post_id, "batch-0001"
    sync(engine, moderator, decide(first))
    settled = [(post_id, first.text_id)]
    searching.decide_many(engine, lead, settled, label=Label.violation, batch=batch, now=NOW)
    queueing.renew_queue(engine, now=NOW, seed=3)
    assert post_id not in next_posts(engine, second_moderator)
    searching.undo_many(engine, lead, batch, now=NOW)
    queueing.renew_queue(engine, now=NOW, seed=4)
    assert post_id in next_posts(engine, second_moderator)


@pytest.mark.parametrize("given", [False, True])
def test_undone_opinion_is_wanted_again_from_whoever_took_it_back(
    engine: Engine, doubled: None, moderator: Actor, second_moderator: Actor, given: bool
) -> None:
    first = cards(engine, moderator, 1)[0]
    post_id = first.lease.post_id
    sync(engine, moderator, decide(first))
    if given:
        again = next(c for c in cards(engine, second_moderator) if c.lease.post_id == post_id)
        sync(engine, second_moderator, decide(again, id="another-press"))
    answer = sync(engine, moderator, undo(first), want=1)
    assert [card.lease.post_id for card in answer.cards if card.lease.id in answer.front] == [post_id]
    back = next(card for card in answer.cards if card.lease.id in answer.front)
    sync(engine, moderator, decide(back, Label.suspicious, id="once-more"))
    assert (rows(engine, second_opinion)[0]["given_at"] is not None) is given
    in_third_hands = {card.lease.post_id for card in cards(engine, add_user(engine, "third", Role.moderator))}
    assert (post_id in in_third_hands) is not given


def test_nobody_judges_a_post_twice_from_another_tab(engine: Engine, doubled: None, moderator: Actor) -> None:
    first = cards(engine, moderator, 1)[0]
    late = NOW + timedelta(minutes=11)
    again = next(c for c in sync(engine, moderator, want=3, now=late).cards if c.lease.post_id == first.lease.post_id)
    sync(engine, moderator, decide(again, id="in-this-tab"), now=late)
    refused = sync(engine, moderator, decide(first, id="in-the-old-tab"), now=late).refused
    assert "decided this post already" in refused[0].reason
    assert len(rows(engine, decision)) == 1


def test_posts_that_two_people_judge_are_judged_without_the_models_view(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=0.5), now=NOW)
    pool(20)
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO model_version VALUES (1, 'v', NULL, 'b', 'f', '{}', '{}', '2026-01-01', NULL)"
        )
        conn.exec_driver_sql("INSERT INTO promotion VALUES (1, 1, 'lea', '2026-01-01')")
        conn.exec_driver_sql("INSERT INTO prediction SELECT 1, id, 0.2, 0.3, 0.5 FROM text")
        conn.exec_driver_sql("UPDATE text SET side = ?", (Side.train,))
    found = cards(engine, moderator, 20)
    assert {isinstance(card.prediction, Prediction) for card in found} == {True, False}
    for card in found:
        is_doubled = is_drawn(card.text_id, use="second opinion", share=0.5)  # each is a family of its own
        assert card.is_blind is (card.prediction is None)
        is_drawn_blind = is_drawn(card.lease.post_id, use="blind to the model", share=BLIND_SHARE)
        assert card.is_blind is (is_doubled or is_drawn_blind or card.lease.reason == "audit")


def test_every_post_of_the_audit_slice_is_judged_twice_unless_second_opinions_are_off(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    for share, expected in ((1e-9, [SecondOpinion.audit]), (0.0, [])):
        rules.change_policy(engine, lead, Policy(second_share=share), now=NOW)
        if not rows(engine, distinct_text):
            pool(2)
            with write(engine) as conn:
                conn.exec_driver_sql("UPDATE queue_entry SET reason = 'audit'")
        card = cards(engine, moderator, 1)[0]
        sync(engine, moderator, decide(card, id=f"press-{share}"))
        assert [found["why"] for found in rows(engine, second_opinion, post_id=card.lease.post_id)] == expected


def test_draws_are_of_the_share_and_independent_of_one_another() -> None:
    drawn = [{n for n in range(20_000) if is_drawn(n, use=use, share=0.1)} for use in ("a", "b")]
    assert all(1_850 < len(found) < 2_150 for found in drawn)
    assert 140 < len(drawn[0] & drawn[1]) < 260
    assert not any(is_drawn(n, use="a", share=0.0) for n in range(1_000))
    assert all(is_drawn(n, use="a", share=1.0) for n in range(1_000))


# --- agreement ------------------------------------------------------------------------------------------------------


def report(engine: Engine, lead: Actor, why: SecondOpinion = SecondOpinion.drawn) -> AgreementReport:
    return agreeing.agreement(engine, lead, why=why, rng=np.random.default_rng(1))


def test_agreement_is_that_of_what_two_people_said(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    pool(6)
    assert report(engine, lead).nominal.posts == 0
    said = [(0, 0), (0, 0), (1, 1), (2, 2), (2, 1), (0, 2)]
    for card, (label, _) in zip(cards(engine, moderator, 6), said, strict=True):
        sync(engine, moderator, decide(card, Label(label)))
    for card, (_, label) in zip(cards(engine, second_moderator, 6), said, strict=True):
        sync(engine, second_moderator, decide(card, Label(label), id=f"second-{card.lease.id}"))
    drawn, audited = report(engine, lead), report(engine, lead, SecondOpinion.audit)
    assert drawn.nominal.posts + audited.nominal.posts == 6
    (pair,) = drawn.by_pair
    assert pair.measured.posts == drawn.nominal.posts
    assert {name for name in pair.names} == {moderator.name, second_moderator.name}
    assert drawn.ordinal.alpha is not None
    assert -1 < drawn.ordinal.alpha < 1
    assert drawn.ordinal.interval is not None
    assert drawn.ordinal.interval[0] <= drawn.ordinal.alpha <= drawn.ordinal.interval[1]
    assert [monday.isoformat() for monday, _ in drawn.by_week] == ["2026-03-02"]
    assert set(drawn.by_label) == set(Label)


def both_say(engine: Engine, first: Actor, second: Actor, said: list[tuple[int, int]]) -> list[Card]:
    """Two people judge as many posts; returns the first one's cards."""
    found = cards(engine, first, len(said))
    for card, (label, _) in zip(found, said, strict=True):
        sync(engine, first, decide(card, Label(label)))
    labels = {card.lease.post_id: label for card, (_, label) in zip(found, said, strict=True)}
    for card in cards(engine, second, len(said)):
        sync(engine, second, decide(card, Label(labels[card.lease.post_id]), id=f"second-{card.lease.id}"))
    return found


def test_agreement_is_measured_on_what_stood_before_either_could_know_of_the_other(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    pool(4)
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE queue_entry SET reason = 'random'")
    first = cards(engine, moderator, 4)
    for card in first:
        sync(engine, moderator, decide(card, Label.normal))
    made = own.last_decisions(engine, moderator)
    by_post = {each.post_id: each for each in made}

    def corrected(card: Card, label: Label, press_id: str) -> Press:
        mine = by_post[card.lease.post_id]
        return Press(press_id, PressKind.correct, decision_id=mine.decision_id, text_id=mine.text_id, label=label)

    sync(engine, moderator, corrected(first[0], Label.violation, "in-time-01"))  # nobody else has judged it yet
    for card in cards(engine, second_moderator, 4):
        sync(engine, second_moderator, decide(card, Label.violation, id=f"second-{card.lease.id}"))
    before = report(engine, lead)
    (pair,) = before.by_pair
    assert (pair.same, pair.measured.posts) == (1, 4)
    later = NOW + timedelta(days=1)
    for at, card in enumerate(first[1:3]):  # what is said alike afterwards is no agreement
        assert sync(engine, moderator, corrected(card, Label.violation, f"too-late-{at}"), now=later).refused == []
    searching.decide_many(
        engine, lead, [(first[3].lease.post_id, first[3].text_id)], label=Label.violation, batch="batch-0001", now=later
    )
    assert report(engine, lead) == before


def test_agreement_has_intervals_by_label_pair_and_week_too(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    pool(12)
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE queue_entry SET reason = 'random'")
    both_say(engine, moderator, second_moderator, [(0, 0), (0, 0), (1, 1), (2, 2), (2, 1), (0, 2)] * 2)
    found = report(engine, lead)
    measured = [*found.by_label.values(), found.by_pair[0].measured, found.by_week[0][1]]
    assert len(measured) == 5
    for each in measured:
        assert each.posts == 12
        assert each.alpha is not None
        assert each.interval is not None
        assert each.interval[0] < each.alpha < each.interval[1]
    assert found.by_pair[0].measured.alpha == found.ordinal.alpha


def test_two_people_judge_one_post_of_a_family_and_what_is_decided_along_has_one_opinion(
    engine: Engine, tmp_path: Path, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    spam = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
    path = tmp_path / "spam.tsv"
    path.write_text("pid\tcontext\n" + "".join(f"{n}\t{spam.format(11111111 * n)}\n" for n in (1, 2, 3)))
    import_file(engine, path)
    queueing.renew_queue(engine, now=NOW, seed=1)
    (card,) = cards(engine, moderator)
    assert card.copies == 2
    sync(engine, moderator, replace(decide(card, Label.violation), family_until=3))
    (again,) = cards(engine, second_moderator)
    assert (again.lease.post_id, again.is_blind) == (card.lease.post_id, True)
    sync(engine, second_moderator, decide(again, Label.normal, id="another-press"))
    assert [asked["post_id"] for asked in rows(engine, second_opinion)] == [card.lease.post_id]
    assert len(rows(engine, decision)) == 4
    path.write_text(f"pid\tcontext\n4\t{spam.format(44444444)}，速来\n")  # a fourth comes in, and is judged by itself
    import_file(engine, path)
    with write(engine) as conn:
        fourth = Place(4, 9, Reason.random, None, None, None)
        (held,) = leases.claim_places(conn, [fourth], user_id=moderator.user_id or 0, now=NOW, ttl=timedelta(minutes=9))
        place = conn.execute(
            select(family_place).join(post, post.c.text_id == family_place.c.text_id).where(post.c.id == 4)
        ).one()
    assert place.representative_id == 1
    (fourth_card,) = sync(engine, moderator, want=9, now=NOW + timedelta(minutes=2)).cards
    assert fourth_card.is_blind  # or what the model says of it would be seen of all
    sync(engine, moderator, decide(fourth_card, Label.violation, id="the-fourth-01"))
    assert held.id == fourth_card.lease.id
    assert len(rows(engine, second_opinion)) == 1
    drawn, audited = report(engine, lead), report(engine, lead, SecondOpinion.audit)
    assert drawn.nominal.posts + audited.nominal.posts == 1
