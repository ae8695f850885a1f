"""Second opinions: another person judges the post too, neither knows, and nobody judges one twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, Policy, Prediction, Role, SecondOpinion, Side, SkipKind
from core.drawing import is_drawn
from core.services import agreeing, flags, queueing, rules, searching
from core.services.agreeing import AgreementReport
from core.services.annotation import Press, PressKind
from core.services.blinding import BLIND_SHARE
from db import golds
from db.cards import Card
from db.engine import read, write
from db.tables import decision, distinct_text, second_opinion
from tests.conftest import NOW, add_user, rows
from tests.core.services.conftest import decide, next_posts, sync, undo

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
    assert flags.count_unjudged(engine, lead) == 1
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
        is_doubled = is_drawn(card.lease.post_id, use="second opinion", share=0.5)
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
