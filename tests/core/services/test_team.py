"""The team's figures are those that each sees, and the forecast says what it is made from, or that it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from core.domain import Actor, Label, Role, SkipKind
from core.services import own, team
from core.services.own import Pace, pace_of
from core.services.team import Forecast
from db.engine import write
from tests.conftest import add_user
from tests.core.services.test_own import say

MakePool = Callable[[int], None]
NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)


def people(engine: Engine, lead: Actor) -> dict[str, team.PersonFigures]:
    return {each.name: each for each in team.team_report(engine, lead, now=NOON, zone=UTC).people}


def test_lead_sees_of_each_what_they_see_of_themselves(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    pool(6)
    say(engine, "mo", {1: Label.normal, 2: Label.violation, 3: Label.normal}, now=NOON - timedelta(days=1))
    say(engine, "mo", {4: Label.normal}, now=NOON)
    say(engine, "mimi", {1: Label.normal, 2: Label.normal}, now=NOON - timedelta(days=1))
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO flag (post_id, user_id, note, flagged_at, answer) VALUES (1, ?, '', '2026-03-12', '')",
            (moderator.user_id,),
        )
        conn.exec_driver_sql(
            "INSERT INTO skip (post_id, user_id, kind, skipped_at) VALUES (5, ?, 'not_me', '2026-03-12')",
            (moderator.user_id,),
        )
        conn.exec_driver_sql("UPDATE decision SET seconds = 0.4 WHERE id <= 2")
    found = people(engine, lead)["mo"]
    mine = own.own_figures(engine, moderator, now=NOON, zone=UTC)
    assert (found.today, found.in_all, found.by_day) == (1, 4, tuple(count for _, count in mine.by_day))
    assert (found.agreement, found.pace) == (mine.agreement, mine.pace)
    assert found.pace == Pace(2, 0.4, 2)
    assert not found.pace.is_hasty  # two decisions say nothing
    assert (found.flags, found.skips[SkipKind.not_me], found.skips[SkipKind.later]) == (1, 1, 0)
    assert found.last_at == NOON
    report = team.team_report(engine, lead, now=NOON, zone=UTC)
    assert [count for _, count in report.by_day][-2:] == [5, 1]


def test_days_begin_where_the_reader_is(engine: Engine, pool: MakePool, moderator: Actor, lead: Actor) -> None:
    pool(2)
    say(engine, "mo", {1: Label.normal}, now=datetime(2026, 3, 11, 15, 0, tzinfo=UTC))
    say(engine, "mo", {2: Label.normal}, now=datetime(2026, 3, 11, 17, 0, tzinfo=UTC))
    shanghai = team.team_report(engine, lead, now=NOON, zone=ZoneInfo("Asia/Shanghai"))
    assert shanghai.people[0].by_day[-2:] == (1, 1)
    assert people(engine, lead)["mo"].by_day[-2:] == (2, 0)


def test_who_has_never_labelled_is_listed_only_where_they_are_to(engine: Engine, lead: Actor, analyst: Actor) -> None:
    add_user(engine, "new", Role.moderator)
    gone = add_user(engine, "gone", Role.moderator)
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE user SET disabled_at = '2026-03-01' WHERE id = ?", (gone.user_id,))
    assert list(people(engine, lead)) == ["new"]


def test_forecast_goes_by_whole_days_with_those_off(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(41)
    for ago, posts in ((8, range(1, 8)), (5, range(8, 15)), (2, range(15, 21))):
        say(engine, "mo", dict.fromkeys(posts, Label.normal), now=NOON - timedelta(days=ago))
    say(engine, "mo", {30: Label.violation}, now=NOON)  # today is not over
    found = team.team_report(engine, lead, now=NOON, zone=UTC).forecast
    assert (found.days, found.judged) == (7, 13)
    assert found.left == 41  # what was said here went past the queue
    assert found.empty_on == date(2026, 3, 12) + timedelta(days=23)  # 41 / (13 / 7) is 22.1


def test_forecast_cannot_tell_before_a_whole_day_or_without_work(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    assert team.team_report(engine, lead, now=NOON, zone=UTC).forecast == Forecast(0, 0, 0, None)
    pool(3)
    say(engine, "mo", {1: Label.normal}, now=NOON)
    assert team.team_report(engine, lead, now=NOON, zone=UTC).forecast == Forecast(3, 0, 0, None)
    later = NOON + timedelta(days=30)
    assert team.team_report(engine, lead, now=later, zone=UTC).forecast == Forecast(3, 7, 0, None)


def test_pace_counts_what_took_less_than_a_second_and_is_hasty_from_a_tenth_on() -> None:
    assert pace_of([]) == Pace(0, None, 0)
    assert pace_of([0.99, 1.0, 3.0]) == Pace(3, 1.0, 1)
    assert not pace_of([0.5] + [2.0] * 10).is_hasty
    assert pace_of([0.5] + [2.0] * 9).is_hasty
