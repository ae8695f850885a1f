"""Taking an import back: what it alone brought goes, decided posts stay, the rest is as if it was never read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, LeaseOutcome, Run, RunKind, RunStatus
from core.errors import Cancelled, Conflict
from core.services import annotation, families, importing, queueing, runs, takeback
from core.services import status as status_service
from core.services.cases import Pile
from core.settings import Settings
from core.worker import execute
from db import posts, takebacks
from db import runs as db_runs
from db.engine import migrate, open_engine, read, write
from db.tables import (
    audit_log,
    decision,
    distinct_text,
    family_place,
    hit,
    lease,
    post,
    prediction,
    queue_entry,
    reject,
    sighting,
    skip,
)
from db.tables import run as run_table
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, find_case, import_file, settle, sync
from tests.core.services.conftest import skip as skip_press
from tests.core.services.conftest import undo as undo_press

Row = tuple[object, str, str]
Export = Callable[..., Path]
SPAM = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
OTHER = "下面是另外的一句话，和上面一点关系都没有，不过也很长很长"


@pytest.fixture
def export(tmp_path: Path) -> Export:
    def make(*lines: Row, name: str = "export.tsv") -> Path:
        path = tmp_path / name
        path.write_text("pid\thit_word\tcontext\n" + "".join(f"{pid}\t{word}\t{text}\n" for pid, word, text in lines))
        return path

    return make


@pytest.fixture
def labels(tmp_path: Path) -> Callable[..., Path]:
    def make(*lines: dict[str, str], name: str = "labels.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return make


def take_back(engine: Engine, settings: Settings, run: Run) -> Run:
    queued = takeback.queue_take_back(engine, OPERATOR, run.id, now=NOW)
    ended = execute(settings, engine, queued.id)
    assert ended.status is RunStatus.succeeded, ended.error
    return ended


def visible(engine: Engine) -> dict[str | None, str]:
    """Originals of what people can see, by pid."""
    with read(engine) as conn:
        found = posts.posts_by_id(conn, [row["id"] for row in rows(engine, post)])
    return {p.pid: p.original for p in found.values()}


def decided(engine: Engine, moderator: Actor, post_id: int, label: Label = Label.violation) -> None:
    annotation.decide_post(engine, OPERATOR, user_name=moderator.name, post_id=post_id, label=label, now=NOW)


def standing(engine: Engine) -> list[tuple[int, int]]:
    """(post, label) of the decisions that stand."""
    superseded = {made["supersedes"] for made in rows(engine, decision)}
    return [
        (made["post_id"], made["label"])
        for made in rows(engine, decision)
        if made["id"] not in superseded and made["label"] is not None
    ]


def test_posts_and_hits_that_only_the_import_brought_go_with_all_that_hangs_on_them(
    engine: Engine, settings: Settings, export: Export, moderator: Actor
) -> None:
    kept = import_file(engine, export((1, "a", "stays"), name="kept.tsv"))
    run = import_file(engine, export((2, "a", "goes"), (3, "b", "goes too"), (3, "c", "and that")))
    queueing.renew_queue(engine, now=NOW, seed=1)
    texts = {row["body"]: row["id"] for row in rows(engine, distinct_text)}
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO model_version VALUES (1, 'v', NULL, 'b', 'f', '{}', '{}', '2026-01-01', NULL)"
        )
        for text_id in texts.values():
            conn.exec_driver_sql("INSERT INTO prediction VALUES (1, ?, 1, 0, 0)", (text_id,))
            conn.exec_driver_sql("INSERT OR IGNORE INTO family_place VALUES (?, ?, NULL, NULL)", (text_id, text_id))
    ended = take_back(engine, settings, run)
    assert ended.result == {
        "posts_gone": 2, "posts_decided": 0, "posts_elsewhere": 0, "posts_changed": 0, "hits_gone": 3,
        "decisions_taken_back": 0,
    }  # fmt: skip
    assert visible(engine) == {"1": "stays"}
    assert [row["import_id"] for row in rows(engine, post)] == [kept.id]
    assert [row["post_id"] for row in rows(engine, hit)] == [1]
    assert [row["body"] for row in rows(engine, distinct_text)] == ["stays"]
    for table in (prediction, family_place):
        assert [row["text_id"] for row in rows(engine, table)] == [texts["stays"]]
    assert [row["post_id"] for row in rows(engine, queue_entry)] == [1]
    found = rows(engine, run_table, id=run.id)[0]
    assert found["taken_back_at"] is not None
    assert found["swept_at"] is not None
    assert [row["action"] for row in rows(engine, audit_log)][-1] == "take back import"


def test_family_whose_decided_post_stays_was_first_seen_when_it_came(
    engine: Engine, settings: Settings, export: Export, moderator: Actor
) -> None:
    run = import_file(engine, export((1, "a", "nearly the same text 1"), (2, "a", "nearly the same text 2")))
    came = families.list_families(engine, OPERATOR, limit=1)[0].family
    decided(engine, moderator, 1)
    decided(engine, moderator, 2)
    take_back(engine, settings, run)
    assert families.list_families(engine, OPERATOR, limit=1)[0].family == came


def test_preview_says_what_will_happen_and_changes_nothing(
    engine: Engine, settings: Settings, export: Export, moderator: Actor
) -> None:
    import_file(engine, export((1, "a", "known already"), name="first.tsv"))
    run = import_file(engine, export((1, "b", "one more"), (2, "a", "decided"), (3, "a", "alone"), (4, "a", "in both")))
    import_file(engine, export((4, "a", "in both"), name="third.tsv"))
    decided(engine, moderator, 2)
    before = [rows(engine, table) for table in (post, hit, run_table)]
    preview = takeback.preview_takeback(engine, OPERATOR, run.id)
    assert preview.counts == takebacks.TakebackCounts(
        posts_gone=1, posts_decided=1, posts_elsewhere=1, posts_changed=1, hits_gone=2, decisions_taken_back=0
    )
    staying = [takebacks.StayingPost(2, "2", 1)]
    assert takeback.posts_that_stay(engine, OPERATOR, run.id) == staying
    assert [rows(engine, table) for table in (post, hit, run_table)] == before
    ended = take_back(engine, settings, run)
    assert ended.result["posts_gone"] == 1
    assert visible(engine) == {"1": "known already", "2": "decided", "4": "in both"}
    assert takeback.posts_that_stay(engine, OPERATOR, run.id) == staying
    assert takeback.posts_that_stay(engine, OPERATOR, run.id, after=2) == []


def test_known_post_loses_the_hits_and_reads_as_before_and_a_decision_on_the_longer_text_comes_to_review(
    engine: Engine, settings: Settings, export: Export, moderator: Actor, lead: Actor
) -> None:
    import_file(engine, export((1, "a", "one"), name="first.tsv"))
    run = import_file(engine, export((1, "a", "one"), (1, "b", "two")))
    decided(engine, moderator, 1)
    take_back(engine, settings, run)
    assert visible(engine) == {"1": "one"}
    assert [row["word"] for row in rows(engine, hit)] == ["a"]
    (exhibit,) = find_case(engine, lead, Pile.old_text).exhibits
    assert ([voice.on_text for voice in exhibit.voices], exhibit.text) == (["one …… two"], "one")


def test_post_that_a_later_import_found_too_stays_and_passes_on_to_it(
    engine: Engine, settings: Settings, export: Export
) -> None:
    run = import_file(engine, export((1, "a", "one"), (1, "b", "only here"), (2, "a", "alone")))
    later = import_file(engine, export((1, "a", "one"), (1, "c", "three"), name="later.tsv"))
    take_back(engine, settings, run)
    assert visible(engine) == {"1": "one\n……\nthree"}
    assert [row["import_id"] for row in rows(engine, post)] == [later.id]
    assert {(row["word"], row["import_id"]) for row in rows(engine, hit)} == {("a", later.id), ("c", later.id)}
    assert rows(engine, sighting) == []


def test_same_file_read_twice_and_one_of_them_taken_back_leaves_everything(
    engine: Engine, settings: Settings, export: Export
) -> None:
    path = export((1, "a", "one"), (1, "b", "two"), (2, "a", "three"))
    first, second = import_file(engine, path), import_file(engine, path)
    before = visible(engine)
    assert take_back(engine, settings, first).result["posts_elsewhere"] == 2
    assert visible(engine) == before
    take_back(engine, settings, second)
    assert visible(engine) == {}
    assert [rows(engine, table) for table in (post, hit, distinct_text, sighting)] == [[], [], [], []]


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 12))])
def test_taking_back_leaves_what_reading_the_other_files_alone_would_have_left(
    engine: Engine, settings: Settings, export: Export, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    words, texts = "abc", [f"excerpt number {n}" for n in range(4)] + ["number 1 and more of it", "xx excerpt number"]
    files = [
        export(
            *[(rng.randrange(1, 7), rng.choice(words), rng.choice(texts)) for _ in range(rng.randrange(1, 12))],
            name=f"{k}.tsv",
        )
        for k in range(4)
    ]
    done = [import_file(engine, path) for path in files]
    dropped = rng.sample(range(4), rng.randrange(1, 4))
    for k in dropped:
        take_back(engine, settings, done[k])
    other = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    migrate(other, backups_dir=tmp_path)
    for k, path in enumerate(files):
        if k not in dropped:
            import_file(other, path)
    assert visible(engine) == visible(other)
    assert found_hits(engine) == found_hits(other)
    used = {row["text_id"] for row in rows(engine, post)}
    used |= {row["representative_id"] for row in rows(engine, family_place) if row["text_id"] in used}
    assert {row["id"] for row in rows(engine, distinct_text)} == used


def found_hits(engine: Engine) -> list[Any]:
    pids = {row["id"]: row["pid"] for row in rows(engine, post)}
    return sorted((pids[row["post_id"]], row["word"], row["excerpt"], row["place"]) for row in rows(engine, hit))


# --- decisions ------------------------------------------------------------------------------------------------------


def test_post_with_a_decision_stays_even_when_it_was_undone_and_keeps_its_hits(
    engine: Engine, settings: Settings, pool: Callable[[int], None], moderator: Actor
) -> None:
    pool(4)
    cards = sync(engine, moderator, want=3).cards
    sync(engine, moderator, decide(cards[0]), decide(cards[1]))
    sync(engine, moderator, undo_press(cards[1]))
    with read(engine) as conn:
        run = db_runs.require_run(conn, 1)
    ended = take_back(engine, settings, run)
    assert (ended.result["posts_gone"], ended.result["posts_decided"]) == (2, 2)
    stay = {cards[0].lease.post_id, cards[1].lease.post_id}
    assert {row["id"] for row in rows(engine, post)} == stay == {row["post_id"] for row in rows(engine, hit)}
    assert {row["import_id"] for row in rows(engine, post)} == {ended.id}
    assert len(visible(engine)) == 2
    assert [row["post_id"] for row in rows(engine, queue_entry)] == [cards[1].lease.post_id]
    with read(engine) as conn:
        assert set(posts.hit_words(conn, list(stay))) == stay


def test_cards_in_hand_and_skips_of_posts_that_go_are_ended_and_late_presses_refused_with_a_reason(
    engine: Engine, settings: Settings, pool: Callable[[int], None], moderator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool(5)
    cards = sync(engine, moderator, want=4).cards
    sync(engine, moderator, skip_press(cards[0]))
    queued = takeback.queue_take_back(engine, OPERATOR, 1, now=NOW)
    with monkeypatch.context() as patch:  # killed right after the one transaction that counts
        patch.setattr(takeback, "_finish", lambda *args, **options: (_ for _ in ()).throw(KeyboardInterrupt))
        assert execute(settings, engine, queued.id).status is RunStatus.succeeded
    assert {row["outcome"] for row in rows(engine, lease)} == {LeaseOutcome.skipped, LeaseOutcome.returned}
    answer = sync(engine, moderator, decide(cards[1]), undo_press(cards[0]), holding=[cards[2].lease.id], want=5)
    assert "was taken back" in answer.refused[0].reason
    assert (answer.cards, answer.front, answer.lost) == ([], [], [cards[2].lease.id])
    assert status_service.status_of(engine).posts == 0
    takeback.finish_takebacks(engine)
    assert [rows(engine, table) for table in (post, lease, skip, queue_entry, decision)] == [[], [], [], [], []]


def test_decisions_that_the_file_brought_no_longer_count_and_are_still_there(
    engine: Engine, settings: Settings, export: Export, labels: Callable[..., Path]
) -> None:
    import_file(engine, export((1, "a", "one")))
    run = import_file(
        engine,
        labels({"pid": "1", "text": "one", "label": "violation"}, {"pid": "9", "text": "new", "label": "normal"}),
    )
    ended = take_back(engine, settings, run)
    assert (ended.result["decisions_taken_back"], ended.result["posts_gone"]) == (2, 1)
    assert visible(engine) == {"1": "one"}
    assert standing(engine) == []
    assert [(d["label"], d["supersedes"]) for d in rows(engine, decision)] == [
        (2, None),
        (0, None),
        (None, 1),
        (None, 2),
    ]
    assert status_service.status_of(engine).decided == 0


def test_file_with_other_labels_can_be_read_after_the_wrong_one_was_taken_back(
    engine: Engine, settings: Settings, labels: Callable[..., Path]
) -> None:
    wrong = import_file(engine, labels({"pid": "1", "text": "garbled", "label": "violation"}), source="team")
    take_back(engine, settings, wrong)
    assert visible(engine) == {}
    right = import_file(engine, labels({"pid": "1", "text": "right", "label": "normal"}), source="team")
    assert (right.result["posts_added"], right.result["rows"]) == (1, 1)
    assert visible(engine) == {"1": "right"}
    assert standing(engine) == [(1, 0)]
    same = import_file(engine, labels({"pid": "1", "text": "right", "label": "normal"}), source="team")
    assert same.result["decisions_added"] == 0
    take_back(engine, settings, right)
    assert standing(engine) == []


def test_copy_without_a_pid_that_was_taken_back_can_be_read_again(
    engine: Engine, settings: Settings, labels: Callable[..., Path]
) -> None:
    path = labels({"text": "hello world", "label": "violation"})
    take_back(engine, settings, import_file(engine, path))
    assert visible(engine) == {}
    again = import_file(engine, path)
    assert (again.result["posts_added"], again.result["decisions_added"]) == (1, 1)
    assert visible(engine) == {None: "hello world"}
    assert standing(engine) == [(1, 2)]


def test_what_a_source_said_before_stands_again_when_its_second_file_is_taken_back(
    engine: Engine, settings: Settings, labels: Callable[..., Path]
) -> None:
    first = import_file(engine, labels({"pid": "1", "text": "one", "label": "normal"}), source="team")
    second = import_file(engine, labels({"pid": "1", "text": "one", "label": "violation"}), source="team")
    take_back(engine, settings, second)
    assert standing(engine) == [(1, 0)]
    third = import_file(engine, labels({"pid": "1", "text": "one", "label": "suspicious"}), source="team")
    assert standing(engine) == [(1, 1)]
    take_back(engine, settings, third)
    take_back(engine, settings, first)
    assert standing(engine) == []
    assert visible(engine) == {}


def test_persons_review_of_the_files_label_stays_with_its_post(
    engine: Engine, settings: Settings, labels: Callable[..., Path], export: Export, lead: Actor
) -> None:
    run = import_file(engine, labels({"pid": "1", "text": "one", "label": "normal"}))
    import_file(engine, export((1, "a", "one"), (1, "b", "two")))
    settle(engine, lead, find_case(engine, lead, Pile.old_text), Label.violation)
    ended = take_back(engine, settings, run)
    assert ended.result["decisions_taken_back"] == 1  # the file's own, on the text that it brought
    assert standing(engine) == [(1, 2)]
    assert list(visible(engine)) == ["1"]


# --- refusals -------------------------------------------------------------------------------------------------------


def test_refused_while_an_import_is_under_way_twice_and_for_what_is_no_import(
    engine: Engine, settings: Settings, export: Export
) -> None:
    run = import_file(engine, export((1, "a", "one")))
    waiting = importing.queue_import(
        engine, OPERATOR, importing.ImportRequest(str(export((2, "a", "x"))), "x"), now=NOW
    )
    with pytest.raises(Conflict, match="under way"):
        takeback.queue_take_back(engine, OPERATOR, run.id, now=NOW)
    with pytest.raises(Conflict, match="has not ended"):
        takeback.queue_take_back(engine, OPERATOR, waiting.id, now=NOW)
    runs.cancel_run(engine, OPERATOR, waiting.id, now=NOW)
    with pytest.raises(Conflict, match="nothing to take back"):
        takeback.preview_takeback(engine, OPERATOR, waiting.id)
    queued = takeback.queue_take_back(engine, OPERATOR, run.id, now=NOW)
    with pytest.raises(Conflict, match="under way"):
        takeback.queue_take_back(engine, OPERATOR, run.id, now=NOW)
    execute(settings, engine, queued.id)
    with pytest.raises(Conflict, match="already"):
        takeback.queue_take_back(engine, OPERATOR, run.id, now=NOW)
    with pytest.raises(Conflict, match="no import of a file"):
        takeback.queue_take_back(engine, OPERATOR, queued.id, now=NOW)
    with write(engine) as conn:
        scoring = db_runs.add_run(conn, kind=RunKind.scoring, config={}, created_by="x", now=NOW)
    with pytest.raises(Conflict, match="no import of a file"):
        takeback.queue_take_back(engine, OPERATOR, scoring.id, now=NOW)


def test_cancelled_in_time_it_changes_nothing(engine: Engine, settings: Settings, export: Export) -> None:
    run = import_file(engine, export((1, "a", "one"), (2, "a", "two")))
    queued = takeback.queue_take_back(engine, OPERATOR, run.id, now=NOW)

    def stop(stage: str, *progress: object) -> None:
        if stage == "taking back":
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        takeback.run_take_back(engine, queued, report=stop)
    assert len(visible(engine)) == 2
    assert rows(engine, run_table, id=run.id)[0]["taken_back_at"] is None


# --- killed in the middle -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_killed_while_it_removes_it_is_never_half_visible_and_is_finished_by_the_next_import(
    engine: Engine, settings: Settings, export: Export, moderator: Actor, monkeypatch: pytest.MonkeyPatch, chunks: int
) -> None:
    import_file(engine, export((1, "a", "known"), name="first.tsv"))
    lines = [(1, "b", "more"), *[(n, "a", f"text {n}") for n in range(2, 30)]]
    run = import_file(engine, export(*lines))
    import_file(engine, export((5, "a", "text 5"), (6, "b", "seen"), name="later.tsv"))
    decided(engine, moderator, 3)
    monkeypatch.setattr(takeback, "POSTS_PER_TRANSACTION", 5)
    queued = takeback.queue_take_back(engine, OPERATOR, run.id, now=NOW)
    with write(engine) as conn:
        claimed = db_runs.claim_run(conn, queued.id, pid=2**30, process_started=0.0, now=NOW)
    assert claimed is not None
    left = iter(range(chunks))

    class Killed(BaseException):
        pass

    def die(conn: object, *args: object, **options: object) -> None:
        if next(left, None) is None:
            raise Killed

    with monkeypatch.context() as patch:
        kept = takebacks.remove_alone
        patch.setattr(takebacks, "remove_alone", lambda *a, **o: (die(*a, **o), kept(*a, **o)))
        with pytest.raises(Killed):
            takeback.run_take_back(engine, claimed, report=lambda *progress: None)
    assert set(visible(engine)) == {"1", "3", "5", "6"}
    assert status_service.status_of(engine).posts == 4
    assert [found.status for found in runs.fail_dead_runs(engine, now=NOW)] == [RunStatus.running]
    with read(engine) as conn:
        assert db_runs.require_run(conn, queued.id).status is RunStatus.succeeded
    import_file(engine, export((40, "a", "new"), name="next.tsv"))
    assert visible(engine) == {"1": "known", "3": "text 3", "5": "text 5", "6": "seen", "40": "new"}
    assert len(rows(engine, post)) == len(rows(engine, hit)) == 5
    assert rows(engine, run_table, id=run.id)[0]["swept_at"] is not None
    with read(engine) as conn:
        assert takebacks.unswept(conn) == []


def test_killed_before_new_texts_are_placed_they_join_their_family_when_it_is_finished(
    engine: Engine, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_file(engine, export((1, "a", SPAM.format(1)), name="first.tsv"))
    second = import_file(engine, export((2, "b", OTHER), name="second.tsv"))
    import_file(engine, export((2, "c", SPAM.format(3) + "！"), name="third.tsv"))
    queued = takeback.queue_take_back(engine, OPERATOR, second.id, now=NOW)
    with write(engine) as conn:
        claimed = db_runs.claim_run(conn, queued.id, pid=2**30, process_started=0.0, now=NOW)
    assert claimed is not None

    class Killed(BaseException):
        pass

    def die(*args: object, **options: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(families, "place_new_texts", die)
        with pytest.raises(Killed):
            takeback.run_take_back(engine, claimed, report=lambda *progress: None)
    runs.fail_dead_runs(engine, now=NOW)
    takeback.finish_takebacks(engine)
    texts = {row["pid"]: row["text_id"] for row in rows(engine, post)}
    family_of = {row["text_id"]: row["representative_id"] for row in rows(engine, family_place)}
    assert family_of[texts["2"]] == texts["1"]


def test_round_that_is_built_while_an_import_is_taken_back_leaves_its_posts_out(
    engine: Engine, settings: Settings, pool: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool(10)
    with read(engine) as conn:
        run = db_runs.require_run(conn, 1)
    built = queueing.load_pool

    def then_take_back(*args: Any, **options: Any) -> Any:
        found = built(*args, **options)
        monkeypatch.setattr(queueing, "load_pool", built)
        take_back(engine, settings, run)
        return found

    monkeypatch.setattr(queueing, "load_pool", then_take_back)
    queueing.renew_queue(engine, now=NOW)
    assert rows(engine, queue_entry) == []


# --- rejected lines -------------------------------------------------------------------------------------------------


def test_rejected_lines_are_deleted_after_as_many_days_as_the_policy_says_and_their_count_stays(
    engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("pid\tcontext\n1\thello\nbad\n")
    run = import_file(engine, path)
    importing.sweep_rejects(engine, now=NOW.replace(day=30))
    assert len(rows(engine, reject)) == 1
    importing.sweep_rejects(engine, now=NOW.replace(month=4, day=2))
    assert rows(engine, reject) == []
    assert runs.show_run(engine, OPERATOR, run.id).result["rejected"] == 1


def test_post_whose_words_change_stays_in_the_queue(engine: Engine, settings: Settings, export: Export) -> None:
    import_file(engine, export((1, "a", SPAM.format(1)), (2, "a", "今天天气真好，一起去走走"), name="first.tsv"))
    second = import_file(engine, export((2, "b", OTHER), name="second.tsv"))
    import_file(engine, export((2, "c", "再说一件完全别的事情"), name="third.tsv"))
    take_back(engine, settings, second)
    assert visible(engine)["2"] == "今天天气真好，一起去走走\n……\n再说一件完全别的事情"
    assert {row["post_id"] for row in rows(engine, queue_entry)} == {row["id"] for row in rows(engine, post)}


def test_post_left_with_the_words_of_a_template_joins_its_family(
    engine: Engine, settings: Settings, export: Export
) -> None:
    import_file(engine, export((1, "a", SPAM.format(1)), name="first.tsv"))
    second = import_file(engine, export((2, "b", OTHER), name="second.tsv"))
    import_file(engine, export((2, "c", SPAM.format(3) + "！"), name="third.tsv"))  # none of the texts is held out
    take_back(engine, settings, second)
    texts = {row["pid"]: row["text_id"] for row in rows(engine, post)}
    family_of = {row["text_id"]: row["representative_id"] for row in rows(engine, family_place)}
    assert family_of[texts["2"]] == texts["1"]
    assert len(rows(engine, queue_entry)) == 1
