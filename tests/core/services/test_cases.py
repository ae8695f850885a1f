"""Cases: everything that waits for a lead's word lies in a pile, and one word settles what was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, Policy, Role, SkipKind
from core.errors import Conflict
from core.services import annotation, cases, flags, queueing, rules, searching
from core.services.annotation import Press, PressKind
from core.services.cases import Pile
from db import golds
from db.doubts import Doubt, add_doubts
from db.engine import read, write
from db.tables import audit_log, decision, flag, source
from tests.conftest import NOW, add_user, rows
from tests.core.services.conftest import OPERATOR, decide, find_case, import_file, next_posts, settle, sync, unlike

SPAM = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
HOUR = timedelta(hours=1)
MakePool = Callable[[int], None]
Say = Callable[..., None]


@pytest.fixture
def say(engine: Engine, tmp_path: Path) -> Say:
    """Import labels of posts, (text, label) by pid, as a source."""

    def labels(name: str, said: dict[int, tuple[str, str]]) -> None:
        path = tmp_path / f"{name}.jsonl"
        lines = [{"pid": str(pid), "text": text, "label": label} for pid, (text, label) in said.items()]
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        import_file(engine, path, source=name)
        queueing.renew_queue(engine, now=NOW, seed=1)

    return labels


def gold(engine: Engine) -> dict[int, Label]:
    with read(engine) as conn:
        return {found.post_id: found.label for found in golds.gold_posts(conn)}


def test_disagreement_is_settled_with_its_reason_and_undone_in_one_go(engine: Engine, say: Say, lead: Actor) -> None:
    say("one", {1: (unlike(1), "normal"), 2: (unlike(2), "normal")})
    say("other", {1: (unlike(1), "violation"), 2: (unlike(2), "normal")})
    assert cases.count_cases(engine, lead)[Pile.disagreement] == 1
    found = find_case(engine, lead, Pile.disagreement)
    (exhibit,) = found.exhibits
    assert [(voice.source, voice.vote.label) for voice in exhibit.voices] == [("one", 0), ("other", 2)]
    assert exhibit.gold is None
    assert settle(engine, lead, found, Label.violation, rule="politics", note="it names a party") == 1
    assert gold(engine) == {1: Label.violation, 2: Label.normal}
    made = rows(engine, decision)[-1]
    assert (made["settles"], made["rule"], made["note"]) == (True, "politics", "it names a party")
    logged = rows(engine, audit_log, action="settle")[0]["details"]
    assert (logged["rule"], logged["posts"]) == ("politics", [1])
    assert "note" not in logged  # it may quote what is to be forgotten one day: it stands on the decision alone
    assert cases.find_case(engine, lead, Pile.disagreement, place=0) is None
    assert settle(engine, lead, found, Label.violation) == 0  # sent twice
    assert searching.undo_many(engine, lead, "settle-000001", now=NOW) == 1
    assert gold(engine) == {2: Label.normal}
    assert cases.count_cases(engine, lead)[Pile.disagreement] == 1


def test_rule_is_not_kept_of_what_is_normal(engine: Engine, say: Say, lead: Actor) -> None:
    say("one", {1: (unlike(1), "normal")})
    say("other", {1: (unlike(1), "violation")})
    settle(engine, lead, find_case(engine, lead, Pile.disagreement), Label.normal, rule="politics")
    assert rows(engine, decision)[-1]["rule"] is None


def test_what_was_said_after_reading_is_read_before_it_is_settled(
    engine: Engine, say: Say, lead: Actor, moderator: Actor
) -> None:
    say("one", {1: (unlike(1), "normal")})
    say("other", {1: (unlike(1), "violation")})
    found = find_case(engine, lead, Pile.disagreement)
    annotation.decide_post(engine, OPERATOR, user_name="mo", post_id=1, label=Label.suspicious, now=NOW)
    with pytest.raises(Conflict, match="said something about post 1"):
        settle(engine, lead, found, Label.violation)
    assert not any(made["settles"] for made in rows(engine, decision))


def test_family_whose_posts_contradict_one_another_is_settled_as_a_whole(engine: Engine, say: Say, lead: Actor) -> None:
    texts = [SPAM.format(10_000_000 + 7 * n) for n in range(15)]
    labels = {n + 1: (text, "violation") for n, text in enumerate(texts)}
    labels[3] = (texts[2], "normal")
    labels[99] = (unlike(99), "normal")
    say("team", labels)
    assert cases.count_cases(engine, lead)[Pile.family] == 1
    found = find_case(engine, lead, Pile.family)
    assert len(found.exhibits) + len(found.unseen) == 15
    assert {exhibit.gold for exhibit in found.exhibits[:2]} == {Label.normal, Label.violation}
    assert settle(engine, lead, found, Label.violation) == 15
    assert set(gold(engine).values()) == {Label.violation, Label.normal}
    assert gold(engine)[3] is Label.violation
    assert cases.count_cases(engine, lead)[Pile.family] == 0


def test_family_in_which_only_one_post_is_disputed_and_settled_is_no_contradiction(
    engine: Engine, say: Say, lead: Actor
) -> None:
    texts = [SPAM.format(10_000_000 + 7 * n) for n in range(2)]
    say("team", {1: (texts[0], "violation"), 2: (texts[1], "violation")})
    say("other", {1: (texts[0], "normal")})
    settle(engine, lead, find_case(engine, lead, Pile.disagreement), Label.violation)
    assert cases.count_cases(engine, lead)[Pile.family] == 0


def test_doubts_come_least_likely_first_until_a_lead_settles_them(engine: Engine, say: Say, lead: Actor) -> None:
    say("team", {n: (unlike(n), "normal") for n in (1, 2, 3)})
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO model_version (id, name, run_id, base, folder, manifest, metrics, created_at) "
            "VALUES (1, 'v1', NULL, 'b', 'f', '{}', '{}', '2026-01-01')"
        )
        conn.exec_driver_sql(
            "INSERT INTO model_version (id, name, run_id, base, folder, manifest, metrics, created_at) "
            "VALUES (2, 'v2', NULL, 'b', 'f', '{}', '{}', '2026-01-02')"
        )
        add_doubts(conn, 1, [Doubt(3, Label.normal, 0.01, (0.01, 0.0, 0.99))])
        add_doubts(
            conn, 2, [Doubt(1, Label.normal, 0.2, (0.2, 0.0, 0.8)), Doubt(2, Label.normal, 0.1, (0.1, 0.1, 0.8))]
        )
    assert cases.doubting_version(engine, lead) == "v2"
    assert cases.count_cases(engine, lead)[Pile.doubt] == 2
    first = find_case(engine, lead, Pile.doubt)
    assert first.exhibits[0].post_id == 2
    assert first.doubt is not None
    assert first.doubt.probabilities == (0.1, 0.1, 0.8)
    settle(engine, lead, first, Label.normal)  # it was right
    assert find_case(engine, lead, Pile.doubt).exhibits[0].post_id == 1
    assert cases.find_case(engine, lead, Pile.doubt, place=1) is None


def test_text_that_changed_is_settled_and_the_earlier_decisions_stay_in_the_history(
    engine: Engine, say: Say, lead: Actor, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        say(name, {1: ("the text", "normal")})
    export = tmp_path / "export.tsv"
    export.write_text("pid\tcontext\n1\tquite another ending of it\n")
    import_file(engine, export)
    found = find_case(engine, lead, Pile.old_text)
    assert {voice.on_text for voice in found.exhibits[0].voices} == {"the text"}
    assert found.exhibits[0].gold is None
    settle(engine, lead, found, Label.violation)
    assert cases.count_cases(engine, lead)[Pile.old_text] == 0
    assert gold(engine) == {1: Label.violation}
    assert [made["supersedes"] for made in rows(engine, decision)] == [None] * 3
    searching.undo_many(engine, lead, "settle-000001", now=NOW)
    assert cases.count_cases(engine, lead)[Pile.old_text] == 1


def test_flag_is_answered_by_the_word_that_settles_its_post(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(2)
    card = sync(engine, moderator, want=1).cards[0]
    held = card.lease
    sync(engine, moderator, Press("flag-0001", PressKind.flag, held.id, held.post_id, note="new trick"))
    found = find_case(engine, lead, Pile.flag)
    assert (found.flag and found.flag.note, found.exhibits[0].post_id) == ("new trick", held.post_id)
    with pytest.raises(Conflict, match="on somebody's card"):
        settle(engine, lead, found, Label.violation)
    sync(engine, moderator, leaving=True, holding=[held.id])
    settle(engine, lead, found, Label.violation, note="yes, an old one")
    assert [(f["closed_by"], f["answer"]) for f in rows(engine, flag)] == [("lea", "yes, an old one")]
    assert held.post_id not in next_posts(engine, moderator)
    assert cases.count_cases(engine, lead)[Pile.flag] == 0
    searching.undo_many(engine, lead, "settle-000001", now=NOW)
    again = find_case(engine, lead, Pile.flag)
    assert (again.flag and again.flag.note, again.exhibits[0].voices) == ("new trick", ())
    assert [(f["closed_by"], f["closed_at"], f["answer"]) for f in rows(engine, flag)] == [(None, None, "")]


def test_undo_reopens_the_flag_that_it_answered_and_no_other(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(1)
    held = sync(engine, moderator, want=1).cards[0].lease
    sync(engine, moderator, Press("flag-0001", PressKind.flag, held.id, held.post_id, note="first"))
    flags.close_flag(engine, lead, 1, answer="seen", now=NOW - timedelta(hours=1))
    sync(engine, moderator, Press("flag-0002", PressKind.flag, held.id, held.post_id, note="second"))
    sync(engine, moderator, leaving=True, holding=[held.id])
    settle(engine, lead, find_case(engine, lead, Pile.flag), Label.violation)
    searching.undo_many(engine, lead, "settle-000001", now=NOW)
    assert [(f["note"], f["closed_at"] is None) for f in rows(engine, flag)] == [("first", False), ("second", True)]


def test_post_that_cannot_be_judged_waits_with_the_names_of_who_could_not(
    engine: Engine, pool: MakePool, moderator: Actor, lead: Actor
) -> None:
    pool(1)
    card = sync(engine, moderator, want=1).cards[0]
    sync(
        engine, moderator,
        Press("skip-0001", PressKind.skip, card.lease.id, card.lease.post_id, skip_kind=SkipKind.cannot_judge),
    )  # fmt: skip
    found = find_case(engine, lead, Pile.unjudged)
    assert found.skipped_by == ("mo",)
    settle(engine, lead, found, Label.suspicious)
    assert cases.count_cases(engine, lead)[Pile.unjudged] == 0
    assert gold(engine) == {1: Label.suspicious}
    assert next_posts(engine, moderator) == []
    searching.undo_many(engine, lead, "settle-000001", now=NOW)
    assert find_case(engine, lead, Pile.unjudged).skipped_by == ("mo",)
    assert next_posts(engine, moderator) == []  # it is the lead's again


def test_undo_of_a_settlement_leaves_another_leads_word_as_it_was_said(engine: Engine, say: Say, lead: Actor) -> None:
    say("one", {1: (unlike(1), "normal")})
    say("other", {1: (unlike(1), "violation")})
    boss = add_user(engine, "boss", Role.lead)
    settle(engine, boss, find_case(engine, boss, Pile.disagreement), Label.suspicious, note="first word")
    export = [(1, rows(engine, decision)[0]["text_id"])]
    searching.decide_many(engine, lead, export, label=Label.violation, batch="batch-0001", now=NOW + HOUR)
    assert gold(engine) == {1: Label.violation}
    searching.undo_many(engine, lead, "batch-0001", now=NOW + 2 * HOUR)
    assert gold(engine) == {1: Label.suspicious}
    names = {found["id"]: found["name"] for found in rows(engine, source)}
    made = [(names[m["source_id"]], m["label"], m["decided_at"]) for m in rows(engine, decision)][2:]
    assert made == [("boss", 1, NOW), ("lea", 2, NOW + HOUR), ("lea", None, NOW + 2 * HOUR)]


def test_word_that_another_lead_had_overruled_does_not_settle_again_by_an_undo(
    engine: Engine, say: Say, lead: Actor
) -> None:
    say("one", {1: (unlike(1), "normal")})
    say("other", {1: (unlike(1), "violation")})
    boss = add_user(engine, "boss", Role.lead)
    read_so = [(1, rows(engine, decision)[0]["text_id"])]
    settle(engine, lead, find_case(engine, lead, Pile.disagreement), Label.violation)
    searching.decide_many(engine, boss, read_so, label=Label.suspicious, batch="batch-0001", now=NOW)
    searching.decide_many(engine, lead, read_so, label=Label.normal, batch="batch-0002", now=NOW)
    assert gold(engine) == {1: Label.normal}
    searching.undo_many(engine, lead, "batch-0002", now=NOW)
    assert gold(engine) == {1: Label.suspicious}


def test_post_that_waited_for_another_opinion_waits_for_it_again_after_an_undo(
    engine: Engine, pool: MakePool, moderator: Actor, second_moderator: Actor, lead: Actor
) -> None:
    rules.change_policy(engine, lead, Policy(second_share=1.0), now=NOW)
    pool(1)
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card, Label.violation))
    posts = [(card.lease.post_id, card.text_id)]
    searching.decide_many(engine, lead, posts, label=Label.normal, batch="batch-0001", now=NOW)
    assert next_posts(engine, second_moderator) == []
    searching.undo_many(engine, lead, "batch-0001", now=NOW)
    assert next_posts(engine, second_moderator) == [card.lease.post_id]
