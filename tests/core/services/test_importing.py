"""Imports against the real database: counts add up, nothing twice, nothing half-visible, nothing lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Actor, Label, RunStatus, Side
from core.errors import BadInput, Cancelled, Conflict
from core.services import annotation, cases, importing
from core.services.cases import Pile
from core.services.runs import cancel_run
from core.services.status import status_of
from core.settings import Settings
from db import decisions, golds, runs, staging
from db.engine import open_engine, read, write
from db.tables import decision, distinct_text, hit, post, prediction, reject, source
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, find_case, import_file, settle

HEADER = "pid\tauthor\tauthorid\tuseip\thit_word\tcontext\n"
Write = Callable[..., Path]


@pytest.fixture
def export(tmp_path: Path) -> Write:
    """Write an export of the given rows (pid, word, context) and return its path."""

    def make(*lines: tuple[object, str, str], name: str = "export.tsv") -> Path:
        path = tmp_path / name
        body = "".join(f"{pid}\tauthor\t7\t192.0.2.1\t{word}\t{context}\n" for pid, word, context in lines)
        path.write_text(HEADER + body, encoding="utf-8")
        return path

    return make


def adds_up(result: dict[str, object]) -> bool:
    parts = ("posts_added", "hits_added", "repeats", "rejected")
    return result["rows"] == sum(int(str(result[name])) for name in parts)


def test_rows_of_a_pid_become_one_post_with_its_hits(engine: Engine, export: Write) -> None:
    run = import_file(engine, export((1, "a", "first excerpt"), (2, "a", "other post"), (1, "b", "second excerpt")))
    assert run.result == {
        "rows": 3, "posts_added": 2, "hits_added": 1, "repeats": 0, "rejected": 0, "posts_changed": 0,
        "decisions_added": 0, "split_overlaps": 0, "contradictions": 0,
    }  # fmt: skip
    assert [found["pid"] for found in rows(engine, post)] == ["1", "2"]
    assert sorted((found["post_id"], found["word"]) for found in rows(engine, hit)) == [(1, "a"), (1, "b"), (2, "a")]
    assert rows(engine, post, id=1)[0]["original"] == "first excerpt\n……\nsecond excerpt"


def test_overlapping_excerpts_are_joined(engine: Engine, export: Write) -> None:
    import_file(engine, export((1, "a", "abcdefghij klmnopq"), (1, "b", "ghij klmnopq rstuv")))
    assert rows(engine, post)[0]["original"] == "abcdefghij klmnopq rstuv"


def test_reading_a_file_twice_adds_nothing(engine: Engine, export: Write) -> None:
    path = export((1, "a", "one"), (1, "b", "two"), (2, "a", "three"))
    import_file(engine, path)
    before = [rows(engine, table) for table in (post, hit, distinct_text)]
    again = import_file(engine, path)
    assert (again.result["posts_added"], again.result["hits_added"], again.result["repeats"]) == (0, 0, 3)
    assert adds_up(again.result)
    assert [rows(engine, table) for table in (post, hit, distinct_text)] == before


def test_longer_export_adds_only_what_is_new(engine: Engine, export: Write) -> None:
    import_file(engine, export((1, "a", "one")))
    longer = import_file(engine, export((1, "a", "one"), (1, "b", "two"), (2, "a", "three")))
    assert (longer.result["posts_added"], longer.result["hits_added"], longer.result["repeats"]) == (1, 1, 1)
    assert longer.result["posts_changed"] == 1
    assert rows(engine, post, id=1)[0]["original"] == "one\n……\ntwo"


def test_bad_rows_are_rejected_with_line_and_reason_and_the_rest_goes_in(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_bytes(
        HEADER.encode()
        + "1\ta\t7\tip\tw\t好的内容\n".encode()
        + b"2\ttoo few\n"
        + b"\ta\t7\tip\tw\tno pid\n"
        + b"4\ta\t7\tip\tw\t\xff\xff\n"
        + b"5\ta\t7\tip\tw\t\n"
        + b"6\ta\t7\tip\tw\tgood again\n"
    )
    run = import_file(engine, path)
    assert (run.status, run.result["posts_added"], run.result["rejected"]) == (RunStatus.succeeded, 2, 4)
    assert adds_up(run.result)
    rejected = list(importing.list_rejects(engine, OPERATOR, run.id))
    assert [line for line, _, _ in rejected] == [3, 4, 5, 6]
    assert rejected[0][2] == "2\ttoo few"
    assert rejected[1][1] == "no pid"


def test_surrogates_nul_and_control_characters_do_no_harm(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text('{"text": "a\\ud800b\\u0000c\\u001bd", "label": "normal"}\n')
    assert import_file(engine, path).result["decisions_added"] == 1
    assert rows(engine, distinct_text)[0]["body"] == "abcd"


def test_extra_columns_are_kept(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "extra.tsv"
    path.write_text("Context\tPID\tfid\nhello\t1\t36\n")
    import_file(engine, path)
    assert rows(engine, post)[0]["extra"] == {"fid": "36"}


def test_file_that_cannot_be_read_leaves_a_sentence_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("id\tbody\n1\tx\n")
    with pytest.raises(BadInput, match="names no column"):
        import_file(engine, path)
    with pytest.raises(BadInput, match="is not a file"):
        import_file(engine, tmp_path / "nowhere.tsv")
    assert rows(engine, post) == []


# --- labelled files -------------------------------------------------------------------------------------------------


def test_labels_become_decisions_of_a_named_source(engine: Engine, export: Write, tmp_path: Path) -> None:
    import_file(engine, export((1, "a", "one"), (2, "a", "two")))
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"pid": "1", "text": "one", "label": "违规"}\n{"pid": "9", "text": "new", "label": "normal"}\n')
    run = import_file(engine, labels, source="old team")
    assert (run.result["posts_added"], run.result["repeats"], run.result["decisions_added"]) == (1, 1, 2)
    assert [(found["kind"], found["name"]) for found in rows(engine, source)] == [("file", "old team")]
    assert sorted((made["post_id"], made["label"]) for made in rows(engine, decision)) == [(1, 2), (3, 0)]
    assert import_file(engine, labels, source="old team").result["decisions_added"] == 0


def test_source_that_changes_its_mind_supersedes_what_it_said(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    for label in ("normal", "violation", "normal"):
        path.write_text(f'{{"pid": "1", "text": "one", "label": "{label}"}}\n')
        assert import_file(engine, path).result["decisions_added"] == 1
    assert [(made["label"], made["supersedes"]) for made in rows(engine, decision)] == [(0, None), (2, 1), (0, 2)]


def test_labelled_text_without_a_pid_joins_the_post_with_the_same_normalised_text(
    engine: Engine, export: Write, tmp_path: Path
) -> None:
    import_file(engine, export((1, "a", "Ｈello, world！")))
    labels = tmp_path / "labels.csv"
    labels.write_text('text,label\n"hello world",suspicious\nanother one,normal\n')
    run = import_file(engine, labels)
    assert (run.result["posts_added"], run.result["repeats"]) == (1, 1)
    assert [(found["pid"], found["text_identity"] is None) for found in rows(engine, post)] == [
        ("1", True),
        (None, False),
    ]
    again = import_file(engine, labels)
    assert (again.result["posts_added"], again.result["decisions_added"]) == (0, 0)


def test_unknown_label_is_rejected_and_never_normal(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"text": "x", "label": "2"}\n{"text": "y", "label": "normal"}\n')
    run = import_file(engine, path)
    assert (run.result["rejected"], run.result["decisions_added"]) == (1, 1)
    assert "unknown label '2'" in str(rows(engine, reject)[0]["reason"])


# --- known posts whose text changes ---------------------------------------------------------------------------------


def decided_post_with_a_new_text(engine: Engine, export: Write, moderator: Actor) -> None:
    import_file(engine, export((1, "a", "one")))
    annotation.decide_post(engine, OPERATOR, user_name=moderator.name, post_id=1, label=Label.violation, now=NOW)
    import_file(engine, export((1, "a", "one"), (1, "b", "two")))


def test_decided_post_whose_text_changed_keeps_its_decision_and_leaves_training_until_confirmed(
    engine: Engine, export: Write, moderator: Actor, lead: Actor
) -> None:
    decided_post_with_a_new_text(engine, export, moderator)
    with read(engine) as conn:
        assert list(golds.gold_posts(conn)) == []
    assert status_of(engine).decided == 1
    old = find_case(engine, lead, Pile.old_text)
    (exhibit,) = old.exhibits
    (voice,) = exhibit.voices
    assert (voice.vote.label, voice.source, voice.on_text) == (Label.violation, "mo", "one")
    assert exhibit.text == "one …… two"
    settle(engine, lead, old, Label.suspicious)
    with read(engine) as conn:
        assert [gold.label for gold in golds.gold_posts(conn)] == [Label.suspicious]
    assert cases.count_cases(engine, lead)[Pile.old_text] == 0
    with pytest.raises(Conflict):
        settle(engine, lead, old, Label.normal, batch="settle-000002")


def test_changed_text_has_no_prediction_until_it_is_made_again(engine: Engine, export: Write, moderator: Actor) -> None:
    import_file(engine, export((1, "a", "one")))
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO model_version (name, base, folder, manifest, metrics, created_at) "
            "VALUES ('v1', 'b', 'v1', '{}', '{}', '2026-01-01')"
        )
        conn.exec_driver_sql("INSERT INTO prediction VALUES (1, 1, 0.2, 0.3, 0.5)")
    import_file(engine, export((1, "a", "one"), (1, "b", "two")))
    now_has = rows(engine, post)[0]["text_id"]
    assert rows(engine, prediction, text_id=now_has) == []


def test_copies_stand_on_one_side_of_the_split(engine: Engine, export: Write) -> None:
    import_file(engine, export(*((n, "a", f"{'！' * (n % 3)}text {n % 50}") for n in range(1, 151))))
    sides: dict[str, set[str]] = {}
    for text in rows(engine, distinct_text):
        sides.setdefault(str(text["normal_hash"]), set()).add(str(text["side"]))
    assert len(sides) == 50
    assert all(len(found) == 1 for found in sides.values())
    assert {side for found in sides.values() for side in found} <= set(Side)


# --- imports that end early -----------------------------------------------------------------------------------------


def test_rows_of_a_pid_far_apart_in_the_file_become_one_post(engine: Engine, export: Write) -> None:
    between = [(n, "w", f"another post, number {n}") for n in range(10, 5_010)]
    run = import_file(engine, export((1, "a", "the first part"), *between, (1, "b", "the second part"), *between[:1]))
    assert (run.result["posts_added"], run.result["hits_added"], run.result["repeats"]) == (5_001, 1, 1)
    assert rows(engine, post, pid="1")[0]["original"] == "the first part\n……\nthe second part"
    assert [text for text in rows(engine, distinct_text) if text["body"] == "the first part"] == []


def many(export: Write) -> Path:
    return export(*((n // 3 + 1, f"w{n % 3}", f"excerpt {n} of a long file") for n in range(4_500)))


@pytest.mark.parametrize("stage", ["reading", "publishing"])
def test_import_cancelled_at_any_stage_leaves_nothing_and_can_be_run_again(
    engine: Engine, export: Write, stage: str
) -> None:
    path = many(export)
    queued = importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(path), path.name), now=NOW)
    with write(engine) as conn:
        runs.claim_run(conn, queued.id, pid=1, process_started=0.0, now=NOW)

    def stop(at: str, done: int, total: int | None, message: str) -> None:
        if at == stage and (done > 800 or at == "publishing"):
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        importing.run_import(engine, queued, report=stop)
    with write(engine) as conn:
        runs.finish_run(conn, queued.id, status=RunStatus.cancelled, now=NOW)
    assert [rows(engine, table) for table in (post, hit, distinct_text)] == [[], [], []]
    assert import_file(engine, path).result["posts_added"] == 1_500


def _import_until_killed(database_url: str, run_id: int, stage: str) -> None:
    engine = open_engine(database_url)
    with read(engine) as conn:
        run = runs.require_run(conn, run_id)

    def die(at: str, done: int, total: int | None, message: str) -> None:
        if at == stage and (done > 800 or at == "publishing"):
            os.kill(os.getpid(), signal.SIGKILL)

    importing.run_import(engine, run, report=die)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["reading", "publishing"])
def test_killed_import_leaves_nothing_half_visible_and_is_simply_run_again(
    engine: Engine, settings: Settings, export: Write, stage: str
) -> None:
    path = many(export)
    queued = importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(path), path.name), now=NOW)
    with write(engine) as conn:
        runs.claim_run(conn, queued.id, pid=1, process_started=0.0, now=NOW)
    worker = multiprocessing.get_context("spawn").Process(
        target=_import_until_killed, args=(settings.database_url, queued.id, stage)
    )
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert len(rows(engine, post)) > 0
    assert status_of(engine).posts == 0
    with write(engine) as conn:
        runs.finish_run(conn, queued.id, status=RunStatus.failed, now=NOW)
    again = import_file(engine, path)
    assert (again.result["posts_added"], again.result["hits_added"]) == (1_500, 3_000)
    assert len(rows(engine, post)) == status_of(engine).posts == 1_500


def _import_until_killed_after_publishing(database_url: str, run_id: int, step: str) -> None:
    engine = open_engine(database_url)
    with read(engine) as conn:
        run = runs.require_run(conn, run_id)
    importing.POSTS_PER_TRANSACTION = 100
    publish, calls = getattr(staging, step), []

    def publish_once(*args: object, **options: object) -> object:
        if calls:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(1)
        return publish(*args, **options)

    setattr(staging, step, publish_once)
    importing.run_import(engine, run, report=lambda *progress: None)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["publish_changes", "publish_decisions"])
def test_import_killed_after_it_was_published_is_finished_by_the_next(
    engine: Engine, settings: Settings, export: Write, tmp_path: Path, step: str
) -> None:
    import_file(engine, export(*((n, "a", f"text {n}") for n in range(300))))
    path = export(*((n, "b", f"another excerpt {n}") for n in range(300)))
    if step == "publish_decisions":
        path = tmp_path / "labels.csv"
        path.write_text("pid,text,label\n" + "".join(f"{n},text {n},violation\n" for n in range(300)))
    queued = importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(path), path.name), now=NOW)
    with write(engine) as conn:
        runs.claim_run(conn, queued.id, pid=1, process_started=0.0, now=NOW)
    worker = multiprocessing.get_context("spawn").Process(
        target=_import_until_killed_after_publishing, args=(settings.database_url, queued.id, step)
    )
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    changed = [found for found in rows(engine, post) if "another" in found["original"]]
    assert len(changed if step == "publish_changes" else rows(engine, decision)) == 100
    with write(engine) as conn:
        runs.finish_run(conn, queued.id, status=RunStatus.succeeded, now=NOW)
    importing.sweep_leftovers(engine)
    with read(engine) as conn:
        result = runs.require_run(conn, queued.id).result
    if step == "publish_changes":
        assert {found["original"] for found in rows(engine, post)} == {
            f"text {n}\n……\nanother excerpt {n}" for n in range(300)
        }
        assert result["posts_changed"] == 300
    else:
        assert [found["label"] for found in rows(engine, decision)] == [Label.violation] * 300
        assert {found["decided_at"] for found in rows(engine, decision)} == {_published_at(engine, queued.id)}
        assert result["decisions_added"] == 300


def _published_at(engine: Engine, run_id: int) -> object:
    with read(engine) as conn:
        return runs.require_run(conn, run_id).published_at


# --- uploads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["pid\tcontext\n1\thello\n", "id\tbody\n1\tnothing to read\n"])
def test_upload_is_deleted_however_its_import_ends(engine: Engine, tmp_path: Path, body: str) -> None:
    path = tmp_path / "x.upload"
    path.write_text(body)
    with suppress(BadInput):
        import_file(engine, path, delete_after=True)
    assert not path.exists()


def test_old_uploads_that_nobody_waits_for_are_swept(engine: Engine, tmp_path: Path) -> None:
    now = utc_now()
    for name, hours in (("new", 2), ("old", 48), ("waiting", 48), ("broken.partial", 2), ("arriving.partial", 0)):
        (tmp_path / name).write_text("pid\tcontext\n")
        os.utime(tmp_path / name, (now.timestamp() - hours * 3_600,) * 2)
    importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(tmp_path / "waiting"), "w"), now=now)
    importing.sweep_uploads(engine, tmp_path, now=now)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["arriving.partial", "new", "waiting"]


def test_upload_of_a_cancelled_import_that_was_still_waiting_is_deleted(engine: Engine, tmp_path: Path) -> None:
    for name, delete_after in (("upload", True), ("own.tsv", False)):
        (tmp_path / name).write_text("pid\tcontext\n")
        request = importing.ImportRequest(str(tmp_path / name), name, delete_after=delete_after)
        queued = importing.queue_import(engine, OPERATOR, request, now=NOW)
        assert cancel_run(engine, OPERATOR, queued.id, now=NOW).status is RunStatus.cancelled
    assert [(tmp_path / name).exists() for name in ("upload", "own.tsv")] == [False, True]


def test_lead_settles_several_decisions_on_an_old_text_with_one_vote(
    engine: Engine, export: Write, moderator: Actor, lead: Actor, tmp_path: Path
) -> None:
    import_file(engine, export((1, "a", "one")))
    for name, label in (("first.jsonl", "normal"), ("second.jsonl", "violation")):
        (tmp_path / name).write_text(f'{{"pid": "1", "text": "one", "label": "{label}"}}\n')
        import_file(engine, tmp_path / name)
    import_file(engine, export((1, "a", "one"), (1, "b", "two")))
    settle(engine, lead, find_case(engine, lead, Pile.old_text), Label.violation)
    with read(engine) as conn:
        assert [gold.label for gold in golds.gold_posts(conn)] == [Label.violation]
        said = [(name, made.text_id) for made, _, name in decisions.standing_on_post(conn, 1)]
    assert said == [("first.jsonl", 1), ("second.jsonl", 1), ("lea", 2)]  # what was said of the old text stays there
