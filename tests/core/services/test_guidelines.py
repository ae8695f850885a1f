"""Guidelines: every version is kept, no text is lost, examples give nothing away, and each is shown what is new."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, Policy
from core.errors import BadInput, Conflict, NotFound
from core.guidelines import Line
from core.services import checks, guidelines, rules, searching
from core.services.guidelines import MOST_NOTE, Version
from db.tables import audit_log, guidelines_example, guidelines_version, guidelines_visit
from tests.conftest import NOW, rows
from tests.core.services.conftest import decide, sync, undo

MakePool = Callable[[int], None]


def write(engine: Engine, lead: Actor, body: str, *, based_on: int | None = None, note: str = "") -> Version:
    return guidelines.write_version(engine, lead, body, note=note, based_on=based_on, now=NOW)


def decided_post(engine: Engine, actor: Actor, label: Label = Label.violation) -> int:
    card = sync(engine, actor, want=1).cards[0]
    sync(engine, actor, decide(card, label))
    return card.lease.post_id


def test_every_version_is_kept_with_who_wrote_it_and_when(engine: Engine, lead: Actor, moderator: Actor) -> None:
    write(engine, lead, "one")
    write(engine, lead, "two", based_on=1, note="clearer")
    kept = guidelines.list_versions(engine, moderator)
    assert kept == [Version(2, "two", "clearer", "lea", NOW), Version(1, "one", "", "lea", NOW)]
    assert [made["details"]["version"] for made in rows(engine, audit_log)] == [1, 2]


def test_text_made_from_an_older_version_does_not_replace_a_newer_one(engine: Engine, lead: Actor) -> None:
    write(engine, lead, "one")
    write(engine, lead, "two", based_on=1)
    for based_on in (None, 1):
        with pytest.raises(Conflict, match="version 2"):
            write(engine, lead, "mine", based_on=based_on)
    assert [made["body"] for made in rows(engine, guidelines_version)] == ["one", "two"]


@pytest.mark.parametrize("body", ["", " \n ", "x" * 50_001, "one"])
def test_what_says_nothing_new_is_no_version(engine: Engine, lead: Actor, body: str) -> None:
    write(engine, lead, "one")
    with pytest.raises(BadInput):
        write(engine, lead, body, based_on=1)
    assert len(rows(engine, guidelines_version)) == 1


# --- what is new to whom --------------------------------------------------------------------------------------------


def test_each_person_is_shown_what_changed_since_their_own_last_visit(
    engine: Engine, lead: Actor, moderator: Actor, second_moderator: Actor
) -> None:
    write(engine, lead, "a\nb")
    assert guidelines.read_guidelines(engine, moderator).changes is None  # all of it is new: it is read as it stands
    guidelines.note_read(engine, moderator, version_id=1, now=NOW)
    write(engine, lead, "a\nc", based_on=1, note="b was wrong")
    write(engine, lead, "a\nd", based_on=2)
    found = guidelines.read_guidelines(engine, moderator).changes
    assert found
    assert found.since.id == 1
    assert found.lines == (Line("same", "a"), Line("gone", "b"), Line("new", "d"))
    assert [version.note for version in found.versions] == ["", "b was wrong"]
    assert guidelines.read_guidelines(engine, second_moderator).changes is None
    guidelines.note_read(engine, moderator, version_id=3, now=NOW)
    assert guidelines.read_guidelines(engine, moderator).changes is None


def test_desk_is_told_of_news_until_they_were_read(
    engine: Engine, pool: MakePool, lead: Actor, moderator: Actor
) -> None:
    pool(3)
    assert sync(engine, moderator).has_new_guidelines is False
    write(engine, lead, "one")
    assert sync(engine, moderator).has_new_guidelines is True
    guidelines.note_read(engine, moderator, version_id=1, now=NOW)
    assert sync(engine, moderator).has_new_guidelines is False
    post_id = decided_post(engine, moderator)
    guidelines.add_example(engine, lead, post_id, now=NOW + timedelta(seconds=1))
    assert sync(engine, moderator).has_new_guidelines is True
    assert [example.is_new for example in guidelines.read_guidelines(engine, moderator).examples] == [True]
    guidelines.note_read(engine, moderator, version_id=1, now=NOW + timedelta(seconds=2))
    assert sync(engine, moderator).has_new_guidelines is False
    assert [example.is_new for example in guidelines.read_guidelines(engine, moderator).examples] == [False]


def test_visit_in_an_old_tab_does_not_take_a_later_one_back(engine: Engine, lead: Actor, moderator: Actor) -> None:
    write(engine, lead, "one")
    write(engine, lead, "two", based_on=1)
    guidelines.note_read(engine, moderator, version_id=2, now=NOW)
    guidelines.note_read(engine, moderator, version_id=1, now=NOW + timedelta(hours=1))
    assert [visit["version_id"] for visit in rows(engine, guidelines_visit, user_id=moderator.user_id)] == [2]
    with pytest.raises(NotFound):
        guidelines.note_read(engine, moderator, version_id=3, now=NOW)


# --- examples -------------------------------------------------------------------------------------------------------


def test_example_has_the_words_and_the_label_that_its_post_has(
    engine: Engine, pool: MakePool, lead: Actor, moderator: Actor
) -> None:
    pool(3)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card, Label.violation))
    guidelines.add_example(engine, lead, card.lease.post_id, note=" contact ", now=NOW)
    (shown,) = guidelines.read_guidelines(engine, moderator).examples
    assert (shown.post.text, shown.label, shown.post.note) == (card.text, Label.violation, "contact")
    places = [(card.lease.post_id, card.text_id)]
    searching.decide_many(engine, lead, places, label=Label.normal, batch="batch-0001", now=NOW)
    assert [example.label for example in guidelines.read_guidelines(engine, moderator).examples] == [Label.normal]
    assert "text" not in guidelines_example.c  # by post, so that nothing of it is left when the post goes


def test_example_whose_decision_is_taken_back_is_shown_to_the_lead_alone(
    engine: Engine, pool: MakePool, lead: Actor, moderator: Actor
) -> None:
    pool(3)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card))
    guidelines.add_example(engine, lead, card.lease.post_id, now=NOW)
    sync(engine, moderator, undo(card))
    assert guidelines.read_guidelines(engine, moderator).examples == ()
    assert [example.label for example in guidelines.list_examples(engine, lead)] == [None]


def test_undecided_post_is_no_example(engine: Engine, pool: MakePool, lead: Actor) -> None:
    pool(1)
    with pytest.raises(Conflict, match="undecided"):
        guidelines.add_example(engine, lead, 1, now=NOW)
    assert rows(engine, guidelines_example) == []


def test_post_that_waits_for_a_second_opinion_gives_nothing_away(
    engine: Engine, pool: MakePool, lead: Actor, moderator: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    pool(1)
    post_id = decided_post(engine, moderator)
    with pytest.raises(Conflict, match="second opinion"):
        guidelines.add_example(engine, lead, post_id, now=NOW)
    with engine.begin() as conn:  # it was one before it was drawn
        conn.execute(guidelines_example.insert().values(post_id=post_id, note="", added_by="lea", added_at=NOW))
    assert guidelines.read_guidelines(engine, moderator).examples == ()
    (listed,) = guidelines.list_examples(engine, lead)
    assert (listed.post.is_waiting, listed.label) == (True, None)


def test_check_post_gives_nothing_away(engine: Engine, pool: MakePool, lead: Actor, moderator: Actor) -> None:
    pool(2)
    card = sync(engine, lead, want=1).cards[0]
    sync(engine, lead, decide(card, Label.violation))
    checks.make_check(engine, lead, card.lease.post_id, text_id=card.text_id, label=Label.violation, now=NOW)
    with pytest.raises(Conflict, match="check post"):
        guidelines.add_example(engine, lead, card.lease.post_id, now=NOW)
    assert guidelines.read_guidelines(engine, moderator).examples == ()


def test_example_that_is_added_again_gets_the_new_note_and_is_removed_once(
    engine: Engine, pool: MakePool, lead: Actor, moderator: Actor
) -> None:
    pool(1)
    post_id = decided_post(engine, moderator)
    guidelines.add_example(engine, lead, post_id, note="first", now=NOW)
    guidelines.add_example(engine, lead, post_id, note="second", now=NOW)
    assert [made["note"] for made in rows(engine, guidelines_example)] == ["second"]
    with pytest.raises(BadInput):
        guidelines.add_example(engine, lead, post_id, note="x" * (MOST_NOTE + 1), now=NOW)
    guidelines.remove_example(engine, lead, post_id, now=NOW)
    guidelines.remove_example(engine, lead, post_id, now=NOW)
    assert rows(engine, guidelines_example) == []
    assert [made["action"] for made in rows(engine, audit_log)].count("remove example") == 1
