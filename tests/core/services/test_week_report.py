"""The report of a week: what happened in it and nothing besides, without names, and with every text escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label
from core.errors import BadInput, NotAllowed
from core.services import reporting, thresholding
from core.thresholds import Thresholds
from core.week_report import last_whole_week, monday_of, page_of, week_in_words
from db import models
from db.engine import write
from db.tables import audit_log, decision, hit
from tests.conftest import NOW, rows
from tests.core.services.conftest import decide, sync

MONDAY = date(2026, 3, 2)


def page(engine: Engine, actor: Actor, monday: date = MONDAY) -> str:
    return page_of(reporting.week_report(engine, actor, monday, now=NOW), now=NOW, language="en")


@pytest.fixture
def worked(engine: Engine, pool: Callable[[int], None], moderator: Actor) -> None:
    """28 posts with 7 words; in the week two are decided on Monday and 12 on Wednesday, and four a week before."""
    pool(28)
    for days, count, label in ((-7, 4, Label.normal), (0, 2, Label.violation), (2, 12, Label.normal)):
        cards = sync(engine, moderator, want=count).cards
        sync(engine, moderator, *(decide(card, label) for card in cards))
        with write(engine) as conn:
            made = decision.c.post_id.in_([card.lease.post_id for card in cards])
            conn.execute(decision.update().where(made).values(decided_at=NOW + timedelta(days=days)))


def test_days_of_the_week_have_their_decisions_by_label(engine: Engine, worked: None, analyst: Actor) -> None:
    found = reporting.week_report(engine, analyst, MONDAY, now=NOW)
    assert [sum(day.values()) for day in found.by_day] == [2, 0, 12, 0, 0, 0, 0]
    assert found.by_day[0] == {Label.violation: 2}
    assert (found.judged, found.posts, found.pool) == (14, 28, 10)
    assert sum(record.decided for record in found.words.values()) == 14
    before = reporting.week_report(engine, analyst, MONDAY - timedelta(days=7), now=NOW)
    assert [sum(day.values()) for day in before.by_day] == [4, 0, 0, 0, 0, 0, 0]


def test_page_holds_queue_model_thresholds_and_words_and_nothing_of_people(
    engine: Engine, worked: None, analyst: Actor, lead: Actor
) -> None:
    with write(engine) as conn:
        made = models.add_version(
            conn, name="v<1>", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW
        )
        models.promote(conn, made.id, promoted_by="lea", now=NOW)
        conn.execute(hit.update().where(hit.c.post_id <= 14).values(word="<script>alert(1)</script>"))
    thresholding.save_policy(engine, lead, "<b>careful</b>", Thresholds(0.9, None), version="v<1>", now=NOW)
    found = page(engine, analyst)
    for said in (
        "Week 2026-W10", "2026-03-02 to 2026-03-08", "Posts judged by people, by day",
        "v&lt;1&gt; is the active version",
        "Promoted in this week: v&lt;1&gt; (2026-03-02 09:00)", "&lt;b&gt;careful&lt;/b&gt;", "0.900",
        "&lt;script&gt;alert(1)&lt;/script&gt;", "10 of 28 posts were undecided",
    ):  # fmt: skip
        assert said in found, said
    assert "<script" not in found
    assert not re.search(r"\s(src|href|style|on\w+)=", found)
    assert not re.search(r"\b(mo|lea|ana|author\d+|192\.0\.2\.\d+)\b", found)
    assert "Krippendorff" not in found
    assert "judged by two people" in page(engine, lead)


def test_empty_week_says_what_is_missing(engine: Engine, analyst: Actor) -> None:
    found = page(engine, analyst)
    for said in ("Nobody judged a post", "No model version is active", "No thresholds are saved", "No hit word stands"):
        assert said in found, said
    assert "<svg" not in found


def test_week_is_for_those_who_look_and_on_record(engine: Engine, analyst: Actor, moderator: Actor) -> None:
    with pytest.raises(NotAllowed):
        reporting.week_report(engine, moderator, MONDAY, now=NOW)
    page(engine, analyst)
    assert [row["details"]["what"] for row in rows(engine, audit_log)] == ["report of week 2026-W10"]


@pytest.mark.parametrize(
    ("said", "monday"), [("2026-W10", MONDAY), ("2026-w01", date(2025, 12, 29)), ("2020-W53", date(2020, 12, 28))]
)
def test_week_is_read_as_iso_8601_writes_it(said: str, monday: date) -> None:
    assert monday_of(said) == monday
    assert week_in_words(monday) == said.upper()


@pytest.mark.parametrize("said", ["", "2026", "2026-W54", "2021-W53", "2026-10", "2026-W1", "26-W10", "２０２６-W10x"])
def test_what_is_no_week_is_refused_in_a_sentence(said: str) -> None:
    with pytest.raises(BadInput, match="write it like 2026-W47"):
        monday_of(said)


def test_last_whole_week_has_ended() -> None:
    assert week_in_words(last_whole_week(NOW)) == "2026-W09"  # now is a Monday
    assert week_in_words(last_whole_week(NOW + timedelta(days=6))) == "2026-W09"
