"""Forgetting for good: nothing of an author is left in the database, its file or the uploads; decisions stay."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, Text, insert, select, update

import db.tables
from core.domain import Actor, Label, RunKind
from core.errors import BadInput, Conflict, NotFound
from core.services import cases, families, forgetting, queueing, runs, searching, status, training
from core.services.annotation import Press
from core.services.forgetting import Target
from core.services.importing import ImportRequest, queue_import
from core.services.launching import Supervisor
from core.services.searching import Query
from core.settings import Settings
from db import forgetting as rows_of
from db import golds
from db.engine import database_path, read, write
from db.tables import (
    audit_log,
    decision,
    distinct_text,
    doubt,
    exploration,
    family_place,
    flag,
    hit,
    metadata,
    post,
    prediction,
    queue_entry,
    reject,
    run,
    source,
)
from db.texts import REFERS_TO_TEXT
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, import_file, sync

SPAM = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
POSTS = {
    "1": ("甲某", "今夜星河倒映旧码头谁在等船"),
    "2": ("甲某", SPAM.format("11111111")),
    "3": ("乙某", SPAM.format("22222222")),
    "4": ("丙某", "今天的天气真好大家出去走走"),
    "5": ("乙某", "同一句话两个人都说过的短句子"),
    "6": ("甲某", "同一句话两个人都说过的短句子"),
}
AUTHOR = Target("author", "甲某")


@pytest.fixture
def forum(engine: Engine, tmp_path: Path) -> Engine:
    """Six posts of three authors, a rejected line, and the queue over them."""
    head = "pid\tauthor\tauthorid\tuseip\thit_word\tcontext\tcity\n"
    lines = [
        f"{pid}\t{name}\t{ord(name[0])}\t198.51.100.{pid}\t词{pid}\t{text}\t城{name}\n"
        for pid, (name, text) in POSTS.items()
    ]
    path = tmp_path / "posts.tsv"
    path.write_text(head + "".join(lines) + "7\t甲某\t一行坏的\n")
    import_file(engine, path)
    searching.index_new_texts(engine, most=1_000)
    queueing.renew_queue(engine, now=NOW, seed=1)
    return engine


def decide_posts(engine: Engine, actor: Actor, *pids: str, note: str | None = None) -> None:
    by_post = {row["id"]: row["pid"] for row in rows(engine, post)}
    for card in sync(engine, actor, want=9).cards:
        if by_post[card.lease.post_id] in pids:
            press = decide(card, Label.violation)
            sync(engine, actor, Press(**{f: getattr(press, f) for f in press.__dataclass_fields__} | {"note": note}))
    sync(engine, actor, holding=[], leaving=True)


def forget(engine: Engine, settings: Settings, target: Target = AUTHOR) -> forgetting.Forgotten:
    return forgetting.forget(engine, OPERATOR, target, settings=settings, now=NOW)


def on_disk(engine: Engine, words: list[str]) -> set[str]:
    """Those of the words that stand in the database's file or its log, as they are or as JSON writes them."""
    path = database_path(engine)
    held = b"".join(p.read_bytes() for p in path.parent.glob(f"{path.name}*"))
    return {word for word in words if word.encode() in held or json.dumps(word)[1:-1].encode() in held}


def is_sound(engine: Engine) -> bool:
    with closing(sqlite3.connect(database_path(engine))) as conn:
        whole = conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return whole and conn.execute("PRAGMA foreign_key_check").fetchall() == []


def test_nothing_of_a_forgotten_author_is_left_in_the_file(forum: Engine, settings: Settings, moderator: Actor) -> None:
    decide_posts(forum, moderator, "1", note="楼主甲某又来了：今夜星河倒映旧码头谁在等船")
    secrets = ["甲某", "今夜星河", "星河", "倒映", "11111111", "198.51.100.1", "198.51.100.2", "城甲某"]
    assert on_disk(forum, secrets) == set(secrets)
    found = forget(forum, settings)
    assert found.is_clean
    assert on_disk(forum, secrets) == set()
    others = ["22222222", "今天的天气真好", "198.51.100.3", "城乙某", "同一句话"]
    assert on_disk(forum, others) == set(others)
    assert is_sound(forum)


def test_decision_stays_without_words_and_teaches_no_later_version(
    forum: Engine, settings: Settings, moderator: Actor
) -> None:
    decide_posts(forum, moderator, "1", "4", note="甲某")
    before = rows(forum, decision)
    found = forget(forum, settings)
    assert (found.counts.posts, found.counts.decided_posts, found.counts.decisions) == (2, 1, 1)
    after = rows(forum, decision)
    fact = ("id", "post_id", "source_id", "label", "lease_id", "decided_at", "rule")
    assert [[row[name] for name in fact] for row in after] == [[row[name] for name in fact] for row in before]
    shell = next(row for row in rows(forum, post) if row["pid"] is None)
    assert {shell[name] for name in ("author", "author_id", "ip", "thread")} == {None}
    assert (shell["original"], shell["extra"]) == ("", {})
    assert next(row for row in after if row["post_id"] == shell["id"])["note"] is None
    assert status.status_of(forum).posts == 3
    with read(forum) as conn:
        assert {gold.post_id for gold in golds.gold_posts(conn)} == {4}
    found_posts = searching.find(forum, OPERATOR, Query(is_decided=None), limit=9)
    assert {found.pid for found in found_posts} == {"3", "4", "5"}
    assert sum(training.count_labels(forum, OPERATOR).train.values()) <= 1


def test_post_that_nobody_decided_goes_with_all_that_hangs_on_it(
    forum: Engine, settings: Settings, moderator: Actor
) -> None:
    gone = {row["id"] for row in rows(forum, post) if row["author"] == "甲某"}
    card = next(card for card in sync(forum, moderator, want=9).cards if card.lease.post_id in gone)
    with write(forum) as conn:
        values = {
            "post_id": card.lease.post_id,
            "user_id": moderator.user_id,
            "note": "看",
            "flagged_at": NOW,
            "answer": "",
        }
        conn.execute(flag.insert().values(values))
    forget(forum, settings)
    for table in (post, hit, queue_entry, flag, db.tables.lease):
        ids = {row["id" if table is post else "post_id"] for row in rows(forum, table)}
        assert not ids & gone, table.name
    answer = sync(forum, moderator, decide(card))
    assert [refused.press.id for refused in answer.refused] == [f"decide-{card.lease.id:06d}"]
    assert rows(forum, decision) == []


def test_card_in_hand_of_a_decided_post_is_lost_and_a_late_press_refused(
    forum: Engine, settings: Settings, moderator: Actor, second_moderator: Actor
) -> None:
    card = next(card for card in sync(forum, second_moderator, want=9).cards if card.lease.post_id == 1)
    sync(forum, moderator, want=1)
    with write(forum) as conn:  # decided beside it, as a second opinion is
        source_id = conn.execute(select(source.c.id).where(source.c.user_id == moderator.user_id)).scalar_one()
        values = {"post_id": 1, "text_id": card.text_id, "source_id": source_id, "label": 2, "decided_at": NOW}
        conn.execute(decision.insert().values(values))
    forget(forum, settings)
    answer = sync(forum, second_moderator, decide(card), holding=[card.lease.id])
    assert [refused.press.id for refused in answer.refused] == [f"decide-{card.lease.id:06d}"]
    assert 1 not in {card.lease.post_id for card in answer.cards}
    assert len(rows(forum, decision)) == 1
    assert is_sound(forum)


def test_text_that_somebody_else_posted_too_stays_theirs(forum: Engine, settings: Settings) -> None:
    forget(forum, settings)
    left = {row["pid"]: row["text_id"] for row in rows(forum, post)}
    bodies = {row["id"]: row["body"] for row in rows(forum, distinct_text)}
    assert set(left) == {"3", "4", "5"}
    assert bodies[left["5"]] == POSTS["5"][1]
    assert len(bodies) == 3


def test_family_is_led_by_the_next_and_takes_near_copies_in_as_before(
    forum: Engine, settings: Settings, tmp_path: Path
) -> None:
    text_ids = {row["pid"]: row["text_id"] for row in rows(forum, post)}
    leads = {row["text_id"]: row["representative_id"] for row in rows(forum, family_place)}
    assert leads[text_ids["3"]] == text_ids["2"]
    forget(forum, settings)
    leads = {row["text_id"]: row["representative_id"] for row in rows(forum, family_place)}
    assert leads[text_ids["3"]] == text_ids["3"]
    assert 3 in {entry["post_id"] for entry in rows(forum, queue_entry)}  # it stood behind the one that went
    path = tmp_path / "more.tsv"
    path.write_text(f"pid\tcontext\n8\t{SPAM.format('33333333')}\n")
    import_file(forum, path)
    newest = rows(forum, post)[-1]
    leads = {row["text_id"]: row["representative_id"] for row in rows(forum, family_place)}
    assert leads[newest["text_id"]] == text_ids["3"]


def test_predictions_and_doubts_go_with_the_text(forum: Engine, settings: Settings) -> None:
    with write(forum) as conn:
        version = {"name": "v1", "base": "b", "folder": "v1", "manifest": {}, "metrics": {}, "created_at": NOW}
        conn.execute(db.tables.model_version.insert().values(version))
        for row in rows(forum, distinct_text):
            values = {"version_id": 1, "text_id": row["id"], "p_normal": 1, "p_suspicious": 0, "p_violation": 0}
            conn.execute(prediction.insert().values(values))
            conn.execute(doubt.insert().values(values | {"label": 2, "quality": 0.1}))
            at = {"version_id": values["version_id"], "text_id": values["text_id"], "place": values["text_id"]}
            conn.execute(exploration.insert().values(at))
    forget(forum, settings)
    left = {row["id"] for row in rows(forum, distinct_text)}
    assert {row["text_id"] for row in rows(forum, prediction)} == left
    assert {row["text_id"] for row in rows(forum, doubt)} == left
    assert {row["text_id"] for row in rows(forum, exploration)} == left


def test_what_a_tokenizer_made_of_texts_goes_too(forum: Engine, settings: Settings) -> None:
    kept = settings.tokens_dir / "of-some-tokenizer" / "ids-16"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"\x01\x02")
    forgetting.forget(forum, OPERATOR, AUTHOR, settings=settings, now=NOW)
    assert not kept.exists()


def test_notes_elsewhere_lose_the_name_and_the_quotation_and_nothing_else(
    forum: Engine, settings: Settings, moderator: Actor
) -> None:
    decide_posts(forum, moderator, "4", note="像甲某说的“今夜星河倒映旧码头谁在等船”，放过")
    found = forget(forum, settings)
    assert found.counts.notes == 1
    assert [row["note"] for row in rows(forum, decision)] == ["像[…]说的“[…]”，放过"]


def test_name_within_a_longer_word_is_not_taken_for_the_name() -> None:
    named = forgetting._Named(frozenset({"bob"}), frozenset(), frozenset({"12345"}))
    assert named.without("bob and bobby; Bob_1 bob") == "[…] and bobby; Bob_1 […]"
    assert named.is_in("7\tbob\tx")
    assert named.is_in('{"pid": "12345"}')
    assert not named.is_in("123456\tbobby")


def test_rejected_lines_and_uploads_go_and_what_is_out_of_reach_is_named(forum: Engine, settings: Settings) -> None:
    for folder in (settings.uploads_dir, settings.inbox_dir, settings.backups_dir):
        folder.mkdir(parents=True)
    (settings.uploads_dir / "a.upload").write_text("pid\tauthor\n9\t甲某\n", encoding="gb18030")
    (settings.uploads_dir / "b.upload").write_text("pid\tauthor\n9\t乙某\n")
    (settings.inbox_dir / "posts.tsv").write_text("pid\tcontext\n1\t今夜\n")
    (settings.inbox_dir / "others.tsv").write_text("pid\tcontext\n11\t今夜\n")
    (settings.backups_dir / "tiebreak-1.db").write_bytes(b"x")
    with write(forum) as conn:
        conn.execute(update(post).where(post.c.pid == "4").values(original="[quote]甲某 发表于[/quote]顶"))
    assert len(rows(forum, reject)) == 1
    found = forget(forum, settings)
    assert (found.counts.rejects, rows(forum, reject)) == (1, [])
    assert found.uploads == ("a.upload",)
    assert [path.name for path in settings.uploads_dir.iterdir()] == ["b.upload"]
    assert (found.inbox, found.backups, found.posts_that_name) == (("posts.tsv",), ("tiebreak-1.db",), 1)


def test_short_names_and_numbers_take_nothing_of_other_people_along() -> None:
    named = forgetting._Named(frozenset({"小"}), frozenset({"12"}), frozenset({"9"}))
    assert named.without("1. 小心广告：12 次以上，见 9") == "1. 小心广告：12 次以上，见 9"
    assert not named.is_in("77\t小明\t512\t19")
    assert named.is_in("77\t小\t512\t19")
    assert named.is_in('{"authorid": "12"}')


def test_uploads_of_others_stay_whatever_numbers_stand_in_them(forum: Engine, settings: Settings) -> None:
    settings.uploads_dir.mkdir(parents=True)
    head = "pid\tauthor\tauthorid\tcontext\n"
    number = str(ord("甲"))
    (settings.uploads_dir / "others.upload").write_text(f"{head}8\t丁某\t{number}1\t他说 1 和 2 和 {number}\n")
    (settings.uploads_dir / "theirs.upload").write_text(f"{head}9\t\t{number}\t别的话\n")
    assert forget(forum, settings).uploads == ("theirs.upload",)
    assert [path.name for path in settings.uploads_dir.iterdir()] == ["others.upload"]


def test_author_forgotten_by_number_loses_the_name_too(forum: Engine, settings: Settings, moderator: Actor) -> None:
    decide_posts(forum, moderator, "4", note="像甲某说的")
    forget(forum, settings, Target("author", str(ord("甲"))))
    assert [row["note"] for row in rows(forum, decision)] == ["像[…]说的"]
    assert rows(forum, reject) == []


def test_preview_says_what_will_go_and_changes_nothing(forum: Engine, settings: Settings, moderator: Actor) -> None:
    decide_posts(forum, moderator, "1", "4", note="甲某")
    before = {table.name: rows(forum, table) for table in metadata.sorted_tables}
    seen = forgetting.preview(forum, OPERATOR, AUTHOR, settings=settings, now=NOW)
    assert {table.name: rows(forum, table) for table in metadata.sorted_tables} == before
    assert forget(forum, settings).counts == seen.counts


def test_one_post_is_forgotten_by_its_pid_and_an_author_by_number(forum: Engine, settings: Settings) -> None:
    forget(forum, settings, Target("pid", "4"))
    assert [row["pid"] for row in rows(forum, post)] == ["1", "2", "3", "5", "6"]
    forget(forum, settings, Target("author", str(ord("乙"))))
    assert [row["pid"] for row in rows(forum, post)] == ["1", "2", "6"]


def test_record_says_how_much_and_not_whom(forum: Engine, settings: Settings, lead: Actor) -> None:
    found = forgetting.forget(forum, lead, AUTHOR, settings=settings, now=NOW)
    logged = rows(forum, audit_log)[-1]
    assert (logged["actor"], logged["action"], logged["details"]["posts"]) == ("lea", "forget", 3)
    made = runs.show_run(forum, OPERATOR, found.run_id or 0)
    assert (made.kind, made.result["posts"]) == (RunKind.importing, 3)
    assert "甲某" not in str(rows(forum, run)) + str(rows(forum, audit_log))
    assert [r.id for r in forgetting.list_forgotten(forum, lead)] == [found.run_id]


def test_killed_before_the_file_was_written_anew_it_is_at_the_servers_next_start(
    forum: Engine, settings: Settings, moderator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_posts(forum, moderator, "1")

    def killed(engine: Engine) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "rewrite", killed)
        with pytest.raises(KeyboardInterrupt):
            forget(forum, settings)
    assert [row["pid"] for row in rows(forum, post)] == [None, "3", "4", "5"]
    supervisor = Supervisor(forum, settings, launch=lambda *_: pytest.fail("nothing to run"))
    supervisor.step(now=NOW + timedelta(days=1))
    assert on_disk(forum, ["今夜星河", "甲某"]) == set()
    with read(forum) as conn:
        assert rows_of.uncleaned(conn) == []
    assert len(rows(forum, decision)) == 1  # and the shell is not swept away as what an import left
    supervisor.step(now=NOW + timedelta(days=3))
    assert len(rows(forum, post)) == 4


def test_killed_within_the_transaction_nothing_has_changed(
    forum: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(forum, post)
    files = lay_files(settings)
    monkeypatch.setattr(forgetting.audit, "record_action", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        forget(forum, settings)
    assert rows(forum, post) == before
    assert all(path.exists() for path in files)


def lay_files(settings: Settings) -> list[Path]:
    """An upload, a run's log and what a tokenizer made: all of them hold the author."""
    files = [settings.uploads_dir / "1.upload", settings.logs_dir / "run-7.log", settings.tokens_dir / "cache"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("pid\tauthor\tcontext\n8\t甲某\t别的话\n")
    (settings.logs_dir / "run-8.log").write_text("post 1 of 2 by 乙某\n")
    return files


def test_killed_after_the_transaction_the_files_go_at_the_servers_next_start(
    forum: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = lay_files(settings)

    def killed(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "finish_forgetting", killed)
        with pytest.raises(KeyboardInterrupt):
            forget(forum, settings)
    assert all(path.exists() for path in files)
    supervisor = Supervisor(forum, settings, launch=lambda *_: pytest.fail("nothing to run"))
    supervisor.step(now=NOW + timedelta(days=1))
    assert not any(path.exists() for path in files)
    assert (settings.logs_dir / "run-8.log").exists()
    with read(forum) as conn:
        assert rows_of.uncleaned(conn) == []


def test_file_that_cannot_be_removed_is_tried_again(
    forum: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = lay_files(settings)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError("read-only")))
        found = forget(forum, settings)
    assert (found.is_clean, found.uploads, found.logs) == (False, ("1.upload",), ("run-7.log",))
    assert forgetting.finish_forgetting(forum, settings, now=NOW)
    assert not any(path.exists() for path in files)


def test_messages_of_runs_and_reasons_of_promotions_are_looked_at_for_the_name(
    forum: Engine, settings: Settings, moderator: Actor
) -> None:
    with write(forum) as conn:
        conn.execute(
            update(run).values(
                message="甲某的帖子", error="line 7: 甲某", traceback="ValueError: 甲某\n",
                config={"name": "甲某的帖子.tsv", "path": "x"},
            )
        )  # fmt: skip
        details = {"version": "v1", "reason": "甲某的帖子判错了，但别的更好"}
        conn.execute(insert(audit_log).values(happened_at=NOW, actor="lea", action="promote", details=details))
        conn.execute(insert(reject).values(run_id=1, line=90, reason="no text by 甲某", raw="cut off"))
        conn.execute(insert(reject).values(run_id=1, line=91, reason="1 field where the header has 6", raw="别的"))
    assert forget(forum, settings).is_clean
    found = rows(forum, run)[0]
    assert (found["message"], found["error"]) == ("[…]的帖子", "line 7: […]")
    assert (found["traceback"], found["config"]) == ("ValueError: […]\n", {"name": "[…]的帖子.tsv", "path": "x"})
    promoted = rows(forum, audit_log, action="promote")[0]
    assert promoted["details"] == {"version": "v1", "reason": "[…]的帖子判错了，但别的更好"}
    assert [line["line"] for line in rows(forum, reject)] == [91]
    assert on_disk(forum, ["甲某"]) == set()


def test_disk_without_room_for_the_file_twice_is_tried_again_later(
    forum: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        full = sqlite3.OperationalError("database or disk is full")
        patch.setattr(forgetting, "rewrite", lambda engine: (_ for _ in ()).throw(full))
        assert not forget(forum, settings).is_clean
    assert forgetting.finish_forgetting(forum, settings, now=NOW)


def test_run_under_way_is_waited_for(forum: Engine, settings: Settings, tmp_path: Path) -> None:
    queue_import(forum, OPERATOR, ImportRequest(str(tmp_path / "posts.tsv"), "posts.tsv"), now=NOW)
    with pytest.raises(Conflict, match="under way"):
        forget(forum, settings)
    with pytest.raises(Conflict, match="under way"):
        forgetting.preview(forum, OPERATOR, AUTHOR, settings=settings, now=NOW)


@pytest.mark.parametrize("target", [Target("author", "无名"), Target("pid", "99")])
def test_nobody_and_nothing_are_not_forgotten(forum: Engine, settings: Settings, target: Target) -> None:
    with pytest.raises(NotFound, match="There is no post"):
        forget(forum, settings, target)
    assert [row["action"] for row in rows(forum, audit_log)] == ["import"]
    with pytest.raises(BadInput):
        forget(forum, settings, Target(target.by, " "))


def test_export_that_still_holds_the_post_brings_a_new_one_and_leaves_the_shell(
    forum: Engine, settings: Settings, moderator: Actor, tmp_path: Path
) -> None:
    decide_posts(forum, moderator, "1")
    forget(forum, settings)
    path = tmp_path / "again.tsv"
    path.write_text(f"pid\tauthor\tcontext\n1\t甲某\t{POSTS['1'][1]}\n")
    import_file(forum, path)
    assert [row["pid"] for row in rows(forum, post)] == [None, "3", "4", "5", "1"]
    assert [row["post_id"] for row in rows(forum, decision)] == [1]


def test_every_table_that_holds_posts_texts_or_notes_is_dealt_with() -> None:
    refers = {
        table.name
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in ("post", "text")
    }
    known = {table.name for table in (*rows_of.GOES, *rows_of.GOES_UNDECIDED, *REFERS_TO_TEXT)}
    assert refers == known | {"family_place", "prediction", "doubt", "exploration"}  # these go with their text
    written = {(column.table.name, column.name) for column, _ in rows_of.NOTES}
    notes = {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name in ("note", "answer")
    }
    assert notes <= written
    # Words stand in columns that are looked at, in tables that go with their post, or in those named here.
    texts = {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Text)
    }
    go = {(table.name, column.name) for table in rows_of.GOES for column in table.columns}
    emptied = {("post", name) for name in ("original", "author", "author_id", "ip", "thread")} | {("text", "body")}
    dropped = {("reject", "reason"), ("reject", "raw")}
    of_models = {("model_version", "base"), ("model_version", "folder")}
    assert texts == (written & texts) | (go & texts) | emptied | dropped | of_models


def test_families_that_are_left_are_whole(forum: Engine, settings: Settings) -> None:
    forget(forum, settings)
    assert families.count_families(forum, OPERATOR).families == 0
    assert set(cases.count_cases(forum, OPERATOR).values()) == {0}
    assert is_sound(forum)
