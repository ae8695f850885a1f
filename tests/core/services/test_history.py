"""A post's history: who said what, when, what they saw and what followed, for whom it is to be seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, ModelView, Side, SkipKind
from core.errors import NotFound
from core.services import annotation, cases, checks, flags, history
from core.services.annotation import Press, PressKind
from core.services.cases import Pile
from core.services.history import History, What
from db import snapshots
from db.engine import write
from tests.conftest import NOW
from tests.core.services.conftest import OPERATOR, decide, sync, undo

MakePool = Callable[[int], None]


@pytest.fixture
def posts(engine: Engine, pool: MakePool) -> MakePool:
    """So many posts, from an import of long ago: imports look at the clock themselves."""

    def make(count: int) -> None:
        pool(count)
        with write(engine) as conn:
            conn.exec_driver_sql("UPDATE run SET published_at = '2026-03-01'")

    return make


def of(engine: Engine, actor: Actor, post_id: int) -> History:
    return history.history_of(engine, actor, post_id)


def told(found: History) -> list[tuple[What, str | None]]:
    return [(event.what, event.who) for event in found.events]


def at(minutes: int) -> dict[str, object]:
    return {"now": NOW + timedelta(minutes=minutes)}


def test_everything_that_happened_to_a_post_is_told_in_order(
    engine: Engine, posts: MakePool, moderator: Actor, lead: Actor
) -> None:
    posts(1)
    (card,) = sync(engine, moderator, want=1, **at(1)).cards
    held = card.lease
    sync(
        engine,
        moderator,
        Press("flag-0001", PressKind.flag, held.id, held.post_id, note="odd"),
        holding=[held.id],
        **at(2),
    )
    sync(engine, moderator, decide(card, Label.violation), **at(3))
    answer = sync(engine, moderator, undo(card), want=1, **at(4))
    sync(engine, moderator, decide(answer.cards[0], Label.suspicious, id="once-more"), **at(5))
    case = cases.find_case(engine, lead, Pile.flag, place=0)
    assert case is not None
    cases.settle_case(
        engine, lead, case, label=Label.normal, note="no rule", batch="settle-01", now=NOW + timedelta(minutes=6)
    )
    found = of(engine, lead, held.post_id)
    assert told(found) == [
        (What.imported, "cli:test"),
        (What.shown, "mo"),
        (What.flagged, "mo"),
        (What.decided, "mo"),
        (What.taken_back, "mo"),
        (What.shown, "mo"),
        (What.decided, "mo"),
        (What.decided, "lea"),
        (What.flag_answered, "lea"),
    ]
    decided = [event for event in found.events if event.what in (What.decided, What.taken_back)]
    assert [event.gold for event in decided] == [Label.violation, None, Label.suspicious, Label.normal]
    assert [event.settles for event in decided] == [False, False, False, True]
    assert (decided[-1].note, found.gold) == ("no rule", Label.normal)


def test_what_a_person_saw_of_the_model_is_told_with_the_version_that_said_it(
    engine: Engine, posts: MakePool, moderator: Actor, lead: Actor
) -> None:
    posts(3)
    with write(engine) as conn:
        for version, when in ((2, "2026-03-01"), (1, "2026-03-01")):
            conn.exec_driver_sql(
                "INSERT INTO model_version (id, name, run_id, base, folder, manifest, metrics, created_at) "
                "VALUES (?, ?, NULL, 'b', 'f', '{}', '{}', ?)",
                (version, f"v{version}", when),
            )
            conn.exec_driver_sql("INSERT INTO promotion VALUES (?, ?, 'lea', ?)", (3 - version, version, when))
            conn.exec_driver_sql(
                "INSERT INTO prediction SELECT ?, id, ?, 0.2, ? FROM text",
                (version, 0.1 * version, 0.8 - 0.1 * version),
            )
        conn.exec_driver_sql("UPDATE queue_entry SET reason = 'uncertain'")
        conn.exec_driver_sql("UPDATE queue_entry SET reason = 'audit' WHERE rank = 2")
    looked, unlooked, audited = sync(engine, moderator, want=3).cards
    for card, view in ((looked, ModelView.asked), (unlooked, None), (audited, None)):
        press = Press(
            f"press-{card.lease.id:03d}", PressKind.decide, card.lease.id, card.lease.post_id, card.text_id,
            Label.normal, seen=view, version_id=view and 1, seconds=2.5,
        )  # fmt: skip
        sync(engine, moderator, press)
    seen = [of(engine, lead, card.lease.post_id).events[-1] for card in (looked, unlooked, audited)]
    assert [event.model_view for event in seen] == [ModelView.asked, ModelView.hidden, ModelView.withheld]
    assert seen[0].model is not None
    assert (seen[0].model.version, round(seen[0].model.probabilities[2], 3)) == ("v1", 0.7)
    assert seen[1].model is seen[2].model is None
    assert [said.version for said in of(engine, lead, looked.lease.post_id).said] == ["v1", "v2"]


def test_moderator_sees_ones_own_part_and_nothing_that_tells_a_check_post(
    engine: Engine, posts: MakePool, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    posts(1)
    annotation.decide_post(engine, OPERATOR, user_name="mimi", post_id=1, label=Label.violation, now=NOW)
    checks.make_check(engine, lead, 1, text_id=1, label=Label.violation, now=NOW)
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO lease (post_id, user_id, claimed_at, expires_at, ended_at, outcome, reason, rank, is_check) "
            "VALUES (1, ?, '2026-03-02 10:00', '2026-03-02 10:10', '2026-03-02 10:01', 'decided', 'audit', 1, 1)",
            (moderator.user_id,),
        )
        conn.exec_driver_sql(
            "INSERT INTO decision (post_id, text_id, source_id, label, lease_id, model_view, decided_at, is_check) "
            "SELECT 1, 1, source.id, 0, 1, 'withheld', '2026-03-02 10:01', 1 FROM source WHERE name = 'mo'"
        )
    mine = of(engine, moderator, 1)
    assert told(mine) == [(What.shown, "mo"), (What.decided, "mo")]
    assert not any(event.is_check for event in mine.events)
    assert (mine.gold, mine.check, mine.said, mine.author) == (None, None, (), None)
    whole = of(engine, lead, 1)
    assert (whole.gold, whole.check) == (Label.violation, "active")
    assert [event.is_check for event in whole.events if event.what is What.decided] == [False, True]
    assert of(engine, second_moderator, 1).events[-1].label is Label.violation


def test_analyst_sees_everything_but_the_names_of_people(
    engine: Engine, posts: MakePool, moderator: Actor, second_moderator: Actor, analyst: Actor
) -> None:
    posts(1)
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.violation, now=NOW)
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO skip (post_id, user_id, kind, skipped_at) VALUES (1, ?, ?, '2026-03-03')",
            (second_moderator.user_id, SkipKind.cannot_judge),
        )
    found = of(engine, analyst, 1)
    assert [who for _, who in told(found)] == ["Person 1", "Person 2", "Person 3"]
    assert found.gold is Label.violation
    assert found.author is None


def test_trainings_that_used_the_post_are_told_with_their_side(
    engine: Engine, posts: MakePool, moderator: Actor, lead: Actor
) -> None:
    posts(1)
    made = annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.violation, now=NOW)
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO run (id, kind, status, stage, done, message, config, result, created_by, created_at) "
            "VALUES (77, 'training', 'succeeded', '', 0, '', '{}', '{}', 'lea', '2026-03-04')"
        )
        conn.exec_driver_sql(
            "INSERT INTO model_version (id, name, run_id, base, folder, manifest, metrics, created_at) "
            "VALUES (1, 'v1', 77, 'b', 'f', '{}', '{}', '2026-03-04')"
        )
        snapshots.add_snapshot(conn, 77, [(made.id, Side.train)])
    last = of(engine, lead, 1).events[-1]
    assert (last.what, last.note, last.side) == (What.learned, "v1", Side.train)


def test_post_is_found_by_its_number_in_the_forum_and_by_the_one_here(
    engine: Engine, posts: MakePool, lead: Actor, moderator: Actor
) -> None:
    posts(3)
    assert history.find_post(engine, moderator, " 2 ") == 2
    assert history.find_post(engine, moderator, "#3") == 3
    for named in ("999", "nothing", "#999", "#x", "", "#" + "9" * 30):
        with pytest.raises(NotFound, match="There is no post"):
            history.find_post(engine, moderator, named)
    assert flags.own_flags(engine, moderator) == []
