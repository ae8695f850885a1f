"""The record of hit words: what became of the posts that have one, as far as they are decided."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, WordRecord
from core.services import queueing
from core.services.annotation import Press, PressKind
from core.services.words import LOOK_EVERY_S, WordRecords
from db.engine import write
from db.tables import second_opinion
from tests.conftest import NOW
from tests.core.services.conftest import decide, import_file, sync, undo, unlike


@pytest.fixture
def forum(engine: Engine, tmp_path: Path) -> None:
    """Posts 1 to 3 with 微信, two excerpts in the first; the third with 返利 too; a fourth without a word."""
    lines = [
        f"1\t微信\t{unlike(1)}", f"1\t微信\t{unlike(9)}", f"2\t微信\t{unlike(2)}", f"3\t微信\t{unlike(3)}",
        f"3\t返利\t{unlike(3)}", f"4\t\t{unlike(4)}",
    ]  # fmt: skip
    (tmp_path / "forum.tsv").write_text("\n".join(["pid\thit_word\tcontext", *lines]) + "\n")
    import_file(engine, tmp_path / "forum.tsv")
    queueing.renew_queue(engine, now=NOW, seed=1)


def decide_as(engine: Engine, actor: Actor, labels: dict[str, Label]) -> None:
    for card in sync(engine, actor, want=4).cards:
        if card.pid in labels:
            sync(engine, actor, decide(card, labels[card.pid]))


def test_word_without_a_decided_post_has_no_record(engine: Engine, forum: None) -> None:
    records = WordRecords()
    assert records.refresh(engine) == LOOK_EVERY_S
    assert records.of("微信") is None


def test_each_decided_post_counts_once_for_each_of_its_words(engine: Engine, forum: None, moderator: Actor) -> None:
    decide_as(engine, moderator, {"1": Label.violation, "3": Label.suspicious, "4": Label.violation})
    records = WordRecords()
    records.refresh(engine)
    assert records.of("微信") == WordRecord(2, 1)
    assert records.of("返利") == WordRecord(1, 0)
    assert records.of("") is None


def test_record_follows_corrections_and_what_is_taken_back(engine: Engine, forum: None, moderator: Actor) -> None:
    records = WordRecords()
    card = next(card for card in sync(engine, moderator, want=4).cards if card.pid == "2")
    made = sync(engine, moderator, decide(card, Label.violation)).recent[0]
    records.refresh(engine)
    assert records.of("微信") == WordRecord(1, 1)
    better = Press("correct-01", PressKind.correct, decision_id=made.decision_id, text_id=card.text_id, label=Label(0))
    sync(engine, moderator, better)
    records.refresh(engine)
    assert records.of("微信") == WordRecord(1, 0)
    sync(engine, moderator, undo(card))
    records.refresh(engine)
    assert records.of("微信") is None


def test_near_copies_that_were_decided_along_count_once(engine: Engine, tmp_path: Path, moderator: Actor) -> None:
    spam = "加微信领取返利每天两百元起步日结不拖欠名额有限先到先得详情看主页"
    lines = ["pid\thit_word\tcontext", *(f"{n}\t微信\t{spam}{n}" for n in range(1, 6))]
    (tmp_path / "spam.tsv").write_text("\n".join(lines) + "\n")
    import_file(engine, tmp_path / "spam.tsv")
    queueing.renew_queue(engine, now=NOW, seed=1)
    card = sync(engine, moderator, want=1).cards[0]
    assert card.copies == 4
    whole = Press(
        "press-0001", PressKind.decide, card.lease.id, card.lease.post_id, card.text_id, Label.violation,
        family_until=5,
    )  # fmt: skip
    assert sync(engine, moderator, whole).recent[0].copies == 4
    records = WordRecords()
    records.refresh(engine)
    assert records.of("微信") == WordRecord(1, 1)


def test_nothing_is_counted_again_as_long_as_nothing_was_decided(
    engine: Engine, forum: None, moderator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_as(engine, moderator, {"1": Label.violation})
    records = WordRecords()
    records.refresh(engine)
    monkeypatch.setattr("db.words.records", lambda conn: pytest.fail("counted again"))
    records.refresh(engine)
    assert records.of("微信") == WordRecord(1, 1)


def test_what_was_said_of_a_post_that_waits_for_another_person_is_in_no_record(
    engine: Engine, forum: None, moderator: Actor
) -> None:
    decide_as(engine, moderator, {"1": Label.violation, "2": Label.normal})
    with write(engine) as conn:
        values = {"post_id": 1, "why": "drawn", "reason": "random", "rank": 1, "asked_at": NOW}
        conn.execute(second_opinion.insert().values(values))
    records = WordRecords()
    records.refresh(engine)
    assert records.of("微信") == WordRecord(1, 0)
