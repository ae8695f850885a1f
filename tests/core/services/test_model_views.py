"""The model's view: who is shown it, who is not whatever the policy says, and what each decision records of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from sqlalchemy import Engine

from core.anchoring import Answer
from core.domain import Actor, Label, ModelView, Policy, Prediction, Reason
from core.errors import BadInput
from core.services import anchoring, checks, rules
from core.services.annotation import Press, PressKind
from core.services.blinding import BLIND_SHARE, view_of
from db import engine as db_engine
from db import models
from db.cards import Card
from db.engine import migrate, open_engine, write
from db.tables import decision, distinct_text
from tests.conftest import NOW, rows
from tests.core.services.conftest import decide, sync, undo

MakePool = Callable[[int], None]
SHOWN = Policy(show_model=True, second_share=0, shares={"audit": 0.0})
LEARNED: dict[str, object] = {"examples": {"training": {"normal": 80, "suspicious": 20, "violation": 20}}}


@pytest.fixture
def scored(engine: Engine, pool: MakePool, lead: Actor) -> Callable[[int], int]:
    """Make so many posts, scored by an active version that takes all of them for violations; returns its id."""

    def make(count: int) -> int:
        pool(count)
        with write(engine) as conn:
            version = models.add_version(
                conn, name="v1", run_id=None, base="b", folder="v1", manifest=LEARNED, metrics={}, now=NOW
            )
            models.promote(conn, version.id, promoted_by="lea", now=NOW)
            text_ids = [text["id"] for text in rows(engine, distinct_text)]
            models.add_predictions(conn, [Prediction(version.id, text_id, (0.1, 0.2, 0.7)) for text_id in text_ids])
            return version.id

    return make


def all_cards(engine: Engine, actor: Actor, seen: Sequence[ModelView] = ()) -> list[Card]:
    """Every card of the queue as it comes, each decided as a violation, as the page would."""
    found: list[Card] = []
    while cards := sync(engine, actor, want=25).cards:
        found += cards
        sync(engine, actor, *(press_on(card) for card in cards))
    return found


def press_on(card: Card, label: Label = Label.violation) -> Press:
    made = decide(card, label)
    if card.view is ModelView.shown and card.prediction is not None:
        return replace(made, seen=ModelView.shown, version_id=card.prediction.version_id)
    return made


def views_by_post(engine: Engine) -> dict[int, tuple[str, int | None]]:
    return {made["post_id"]: (made["model_view"], made["view_version_id"]) for made in rows(engine, decision)}


def test_nothing_is_shown_before_the_decision_unless_the_policy_says_so(
    engine: Engine, scored: Callable[[int], int], moderator: Actor
) -> None:
    version_id = scored(40)
    cards = sync(engine, moderator, want=20).cards
    assert {card.view for card in cards} <= {ModelView.hidden, ModelView.blind, ModelView.withheld}
    hidden, asked = [card for card in cards if card.view is ModelView.hidden][:2]
    seen = replace(decide(asked), seen=ModelView.asked, version_id=version_id)
    sync(engine, moderator, decide(hidden), seen)
    assert views_by_post(engine) == {
        hidden.lease.post_id: (hidden.view, None),
        asked.lease.post_id: ("asked", version_id),
    }


def test_one_in_ten_is_blind_where_the_view_is_asked_for_too_so_that_asking_tells_nothing(
    engine: Engine, scored: Callable[[int], int], moderator: Actor
) -> None:
    scored(400)
    found = all_cards(engine, moderator)
    blind = [card for card in found if card.view is ModelView.blind]
    assert 0.5 * BLIND_SHARE < len(blind) / len(found) < 1.6 * BLIND_SHARE
    assert all(card.prediction is None for card in blind)


def test_one_in_ten_stays_blind_by_a_draw_that_is_the_same_for_everybody(
    engine: Engine, scored: Callable[[int], int], moderator: Actor, lead: Actor
) -> None:
    version_id = scored(400)
    rules.change_policy(engine, lead, SHOWN, now=NOW)
    cards = [card for card in all_cards(engine, moderator) if card.lease.reason is not Reason.audit]
    blind = [card for card in cards if card.view is ModelView.blind]
    assert {card.view for card in cards} == {ModelView.shown, ModelView.blind}
    assert 0.5 * BLIND_SHARE < len(blind) / len(cards) < 1.6 * BLIND_SHARE
    assert all((card.prediction is None) is (card.view is ModelView.blind) for card in cards)
    assert all(
        view_of(replace(card.lease, id=999, user_id=999), SHOWN, family=card.text_id) is card.view for card in cards
    )
    recorded = views_by_post(engine)
    assert all(recorded[card.lease.post_id] == (card.view, version_id) for card in cards)


@pytest.mark.parametrize("asked_for", ["second opinion", "audit", "check"])
def test_what_measures_people_or_the_model_is_never_shown(
    engine: Engine, scored: Callable[[int], int], moderator: Actor, lead: Actor, asked_for: str
) -> None:
    scored(60)
    policy = replace(SHOWN, second_share=1.0 if asked_for == "second opinion" else 0.0)
    if asked_for == "check":
        cards = sync(engine, lead, want=2).cards
        for card in cards:
            sync(engine, lead, decide(card))
            checks.make_check(engine, lead, card.lease.post_id, text_id=card.text_id, label=Label(0), now=NOW)
        policy = replace(policy, check_share=0.5)
    rules.change_policy(engine, lead, policy, now=NOW)
    cards = all_cards(engine, moderator)
    measuring = {
        "second opinion": cards,
        "audit": [card for card in cards if card.lease.reason is Reason.audit],
        "check": [card for card in cards if card.lease.is_check],
    }[asked_for]
    assert measuring
    assert all(card.view is ModelView.withheld and card.prediction is None for card in measuring)
    recorded = {made["lease_id"]: made["model_view"] for made in rows(engine, decision)}
    assert {recorded[card.lease.id] for card in measuring} == {"withheld"}


def test_post_that_no_version_has_scored_belongs_to_neither_side(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(40)
    rules.change_policy(engine, lead, SHOWN, now=NOW)
    all_cards(engine, moderator)
    assert {view for view, _ in views_by_post(engine).values()} <= {"hidden", "withheld"}


def test_correction_beside_the_models_view_is_recorded_as_such(
    engine: Engine, scored: Callable[[int], int], moderator: Actor
) -> None:
    version_id = scored(20)
    card = next(card for card in sync(engine, moderator, want=20).cards if card.view is ModelView.hidden)
    made = sync(engine, moderator, decide(card)).recent[0]
    better = Press(
        "correct-01", PressKind.correct, decision_id=made.decision_id, text_id=card.text_id, label=Label.violation,
        seen=ModelView.after, version_id=version_id,
    )  # fmt: skip
    sync(engine, moderator, better)
    assert views_by_post(engine)[card.lease.post_id] == ("after", version_id)


def test_blind_decision_stays_blind_when_it_is_corrected(
    engine: Engine, scored: Callable[[int], int], moderator: Actor, lead: Actor
) -> None:
    version_id = scored(60)
    rules.change_policy(engine, lead, SHOWN, now=NOW)
    card = next(card for card in all_cards(engine, moderator) if card.view is ModelView.blind)
    made = next(made for made in rows(engine, decision) if made["post_id"] == card.lease.post_id)
    better = Press(
        "correct-01", PressKind.correct, decision_id=made["id"], text_id=card.text_id, label=Label.normal,
    )  # fmt: skip
    sync(engine, moderator, better)
    assert views_by_post(engine)[card.lease.post_id] == ("blind", version_id)


def test_view_of_a_version_that_does_not_exist_loses_no_decision(
    engine: Engine, scored: Callable[[int], int], moderator: Actor
) -> None:
    scored(1)
    card = sync(engine, moderator, want=1).cards[0]
    answer = sync(engine, moderator, replace(decide(card), seen=ModelView.asked, version_id=999))
    assert (answer.acked, answer.refused) == ([decide(card).id], [])
    assert views_by_post(engine)[card.lease.post_id] == ("asked", None)


@pytest.mark.parametrize("claimed", [ModelView.blind, ModelView.withheld, ModelView.hidden])
def test_page_cannot_claim_that_a_post_was_drawn(claimed: ModelView) -> None:
    with pytest.raises(BadInput):
        Press("press-0001", PressKind.decide, 1, 1, 1, Label.normal, seen=claimed)


def test_report_compares_both_sides_and_leaves_out_what_was_taken_back(
    engine: Engine, scored: Callable[[int], int], moderator: Actor, lead: Actor
) -> None:
    scored(400)
    rules.change_policy(engine, lead, SHOWN, now=NOW)
    cards = sync(engine, moderator, want=25).cards
    sync(engine, moderator, *(replace(press_on(card), seconds=2.0) for card in cards))
    shown = [card for card in cards if card.view is ModelView.shown]
    blind = [card for card in cards if card.view is ModelView.blind]
    sync(engine, moderator, undo(shown[0]))
    found = anchoring.anchoring_report(engine, lead, rng=np.random.default_rng(1))
    assert found.shown.side.posts == len(shown) - 1
    assert found.blind.side.posts == len(blind)
    assert (found.shown.side.share, found.shown.seconds) == (1.0, 2.0)
    assert found.difference.answer is Answer.too_little
    assert found.by_label[Label.violation][0].posts == len(shown) - 1
    assert found.by_label[Label.normal][0].posts == 0


@pytest.mark.slow
def test_report_tells_when_people_follow_what_they_are_shown(
    engine: Engine, scored: Callable[[int], int], moderator: Actor, lead: Actor
) -> None:
    scored(900)
    rules.change_policy(engine, lead, SHOWN, now=NOW)
    while cards := sync(engine, moderator, want=25).cards:
        presses = []
        for card in cards:
            follows = card.view is ModelView.shown or card.lease.post_id % 2 == 0
            presses.append(press_on(card, Label.violation if follows else Label.normal))
        sync(engine, moderator, *presses)
    found = anchoring.anchoring_report(engine, lead, rng=np.random.default_rng(1))
    assert found.difference.answer is Answer.follow
    assert found.difference.value == pytest.approx(0.5, abs=0.2)


def test_decisions_of_an_older_database_keep_what_was_seen(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'old.db'}")
    config = db_engine._alembic()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0013")
    with write(engine) as conn:
        for statement in (
            "INSERT INTO text (id, hash, normal_hash, body, side) VALUES (1, 'h', 'n', 'b', 'train')",
            "INSERT INTO run (id, kind, status, stage, done, message, config, result, created_by, created_at) "
            "VALUES (1, 'import', 'succeeded', '', 0, '', '{}', '{}', 'x', '2026-01-01 00:00:00')",
            "INSERT INTO post (id, pid, text_id, import_id, original, extra) VALUES (1, '1', 1, 1, 'b', '{}')",
            "INSERT INTO source (id, kind, name) VALUES (1, 'person', 'mo')",
            "INSERT INTO decision (id, post_id, text_id, source_id, label, saw_model, decided_at) "
            "VALUES (1, 1, 1, 1, 0, 0, '2026-01-01 00:00:00')",
            "INSERT INTO decision (id, post_id, text_id, source_id, label, saw_model, supersedes, decided_at) "
            "VALUES (2, 1, 1, 1, 1, 1, 1, '2026-01-01 00:00:00')",
        ):
            conn.exec_driver_sql(statement)
    migrate(engine, backups_dir=tmp_path / "backups")
    assert [made["model_view"] for made in rows(engine, decision)] == ["hidden", "asked"]
