"""A moderator's own figures: days are those of the person, near-copies count once, others are compared with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from core.domain import Actor, Label
from core.services import annotation, own
from core.services.annotation import Press, PressKind
from db.engine import write
from db.figures import Agreement
from tests.core.services.conftest import OPERATOR, sync

MakePool = Callable[[int], None]
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def say(engine: Engine, name: str, labels: dict[int, Label], *, now: datetime = NOON) -> None:
    """Standing decisions of a person, whoever else decided the posts."""
    with write(engine) as conn:
        for post_id, label in labels.items():
            conn.exec_driver_sql(
                "INSERT OR IGNORE INTO source (kind, name, trust) VALUES ('person', ?, 'human')", (name,)
            )
            conn.exec_driver_sql(
                "INSERT INTO decision (post_id, text_id, source_id, label, decided_at, settles) "
                "SELECT post.id, text_id, source.id, ?, ?, 0 FROM post, source WHERE post.id = ? AND name = ?",
                (int(label), now.replace(tzinfo=None).isoformat(" "), post_id, name),
            )


def test_days_begin_where_the_person_is(engine: Engine, pool: MakePool, moderator: Actor) -> None:
    pool(3)
    for post_id, hour in ((1, 15), (2, 17), (3, 20)):
        say(engine, "mo", {post_id: Label.normal}, now=datetime(2026, 3, 1, hour, 0, tzinfo=UTC))
    evening = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)
    assert own.own_figures(engine, moderator, now=evening, zone=UTC).today == 3
    found = own.own_figures(engine, moderator, now=evening, zone=ZoneInfo("Asia/Shanghai"))  # the 2nd there since 16:00
    assert [count for _, count in found.by_day][-2:] == [1, 2]
    assert found.by_day[-1][0].isoformat() == "2026-03-02"


def test_pace_is_the_median_and_what_was_undone_is_not_counted(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(4)
    cards = sync(engine, moderator, want=4).cards
    for card, seconds in zip(cards, (1.0, 9.0, 2.0), strict=False):
        held = card.lease
        sync(
            engine, moderator,
            Press(f"press-{held.id:03d}", PressKind.decide, held.id, held.post_id, card.text_id, Label.normal,
                  seconds=seconds),
        )  # fmt: skip
    sync(engine, moderator, Press("undo-0001", PressKind.undo, lease_id=cards[0].lease.id))
    found = own.own_figures(engine, moderator, now=datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(hours=1), zone=UTC)
    assert (found.in_all, found.pace.median_s) == (2, 2.0)


def test_agreement_is_with_what_others_said_of_the_same_text(engine: Engine, pool: MakePool, moderator: Actor) -> None:
    pool(4)
    say(engine, "mo", {1: Label.normal, 2: Label.violation, 3: Label.normal, 4: Label.normal})
    say(engine, "other", {1: Label.normal, 2: Label.suspicious})
    say(engine, "third", {1: Label.normal})
    found = own.own_figures(engine, moderator, now=NOON + DAY, zone=UTC)
    assert found.agreement == Agreement(2, 3)
    assert found.agreement.share == 2 / 3


def test_agreement_stays_all_day_as_it_stood_at_midnight_so_that_no_key_tells_what_another_said(
    engine: Engine, pool: MakePool, moderator: Actor
) -> None:
    pool(3)
    say(engine, "mo", {1: Label.normal, 2: Label.violation}, now=NOON - DAY)
    say(engine, "other", {1: Label.normal}, now=NOON - DAY)
    assert own.own_figures(engine, moderator, now=NOON, zone=UTC).agreement == Agreement(1, 1)
    say(engine, "other", {2: Label.violation})  # the second opinion comes today
    mine = own.last_decisions(engine, moderator)[-1]
    assert mine.post_id == 1
    corrected = Press(
        "correct-0001", PressKind.correct, decision_id=mine.decision_id, text_id=mine.text_id, label=Label.violation
    )
    assert sync(engine, moderator, corrected, now=NOON).refused == []
    later = NOON + timedelta(minutes=1)
    assert own.own_figures(engine, moderator, now=later, zone=UTC).agreement == Agreement(1, 1)
    tomorrow = own.own_figures(engine, moderator, now=NOON + DAY, zone=UTC)
    assert tomorrow.agreement == Agreement(1, 2)
    in_shanghai = own.own_figures(engine, moderator, now=NOON + timedelta(hours=5), zone=ZoneInfo("Asia/Shanghai"))
    assert in_shanghai.agreement == Agreement(1, 2)  # where it is tomorrow


def test_who_has_decided_nothing_has_figures_all_the_same(engine: Engine, moderator: Actor) -> None:
    found = own.own_figures(engine, moderator, now=NOON, zone=UTC)
    assert (found.today, found.in_all, found.pace.median_s, found.agreement.share) == (0, 0, None, None)
    assert own.last_decisions(engine, moderator) == []


def test_last_decisions_are_ones_own_newest_first(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(3)
    annotation.decide_post(engine, OPERATOR, user_name="lea", post_id=3, label=Label.normal, now=NOON)
    for post_id in (1, 2):
        when = NOON + timedelta(minutes=post_id)
        annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=post_id, label=Label.normal, now=when)
    assert [made.post_id for made in own.last_decisions(engine, moderator)] == [2, 1]
    assert [made.post_id for made in own.last_decisions(engine, moderator, limit=1)] == [2]
