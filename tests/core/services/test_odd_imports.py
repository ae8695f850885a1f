"""Odd imports against the real database: encodings, copies within a file, mixed identities, poison rows."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, insert

from core.domain import Actor, Label, RunStatus
from core.errors import Cancelled
from core.services import annotation, importing
from db import golds, posts, runs, voices
from db.engine import open_engine, read, write
from db.tables import (
    decision,
    distinct_text,
    hit,
    post,
    reject,
    run,
    staged_change,
    staged_decision,
)
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, import_file

Report = Callable[[str, int, int | None, str], None]
VISIBLE = (post, hit, decision)
STAGED = (staged_change, staged_decision)


def write_export(path: Path, lines: Sequence[tuple[object, str, str]], *, encoding: str = "utf-8") -> Path:
    body = "".join(f"{pid}\t{word}\t{context}\n" for pid, word, context in lines)
    path.write_bytes(f"pid\thit_word\tcontext\n{body}".encode(encoding))
    return path


def write_jsonl(path: Path, *lines: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def start(engine: Engine, path: Path, *, report: Report) -> None:
    """Claim and run an import as the worker does, without marking its end."""
    queued = importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(path), path.name), now=NOW)
    with write(engine) as conn:
        runs.claim_run(conn, queued.id, pid=1, process_started=0.0, now=NOW)
    importing.run_import(engine, queued, report=report)


def end_running(engine: Engine, status: RunStatus) -> None:
    for running in rows(engine, run, status="running"):
        with write(engine) as conn:
            runs.finish_run(conn, running["id"], status=status, now=NOW)


def adds_up(result: dict[str, object]) -> bool:
    parts = ("posts_added", "hits_added", "repeats", "rejected")
    return result["rows"] == sum(int(str(result[name])) for name in parts)


# --- counts -----------------------------------------------------------------------------------------------------------


line = st.tuples(
    st.sampled_from(["1", "2", "3", "", "x", "007", "7"]),
    st.sampled_from(["", "w", "v"]),
    st.sampled_from(["one text", "one text that is longer", "another", "", "[b][/b]", "too\tmany", "字" * 12]),
)


@given(st.lists(st.lists(line, max_size=8), min_size=1, max_size=2))
@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_add_up_whatever_is_in_the_file_and_in_the_database(
    migrated: Path, tmp_path: Path, files: list[list[tuple[str, str, str]]]
) -> None:
    shutil.copy(migrated, tmp_path / "one.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'one.db'}")
    for lines in files:
        before = (len(rows(engine, post)), len(rows(engine, hit)))
        ended = import_file(engine, write_export(tmp_path / "x.tsv", lines))
        result = {name: int(str(count)) for name, count in ended.result.items()}
        assert result["rows"] == len(lines)
        assert adds_up(ended.result)
        added = (len(rows(engine, post)) - before[0], len(rows(engine, hit)) - before[1])
        assert added == (result["posts_added"], result["posts_added"] + result["hits_added"])
        assert len(rows(engine, reject, run_id=ended.id)) == result["rejected"]
        again = import_file(engine, tmp_path / "x.tsv")
        assert [again.result[name] for name in ("posts_added", "hits_added", "posts_changed")] == [0, 0, 0]
    engine.dispose()
    for left in tmp_path.glob("one.db*"):
        left.unlink()


# --- encodings and escapes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_file_in_any_usual_encoding_becomes_the_same_posts(engine: Engine, tmp_path: Path, encoding: str) -> None:
    lines = [(n, "贷款", f"有人知道银行贷款利率吗 {n}") for n in range(1, 30)]
    ended = import_file(engine, write_export(tmp_path / "x.tsv", lines, encoding=encoding))
    assert (ended.result["posts_added"], ended.result["rejected"]) == (29, 0)
    assert rows(engine, post, pid="7")[0]["original"] == "有人知道银行贷款利率吗 7"
    assert rows(engine, hit, post_id=1)[0]["word"] == "贷款"


def test_export_in_another_encoding_of_the_same_text_adds_nothing(engine: Engine, tmp_path: Path) -> None:
    lines = [(n, "贷款", f"有人知道银行贷款利率吗 {n}") for n in range(1, 30)]
    import_file(engine, write_export(tmp_path / "a.tsv", lines))
    again = import_file(engine, write_export(tmp_path / "b.tsv", lines, encoding="gb18030"))
    assert (again.result["posts_added"], again.result["hits_added"], again.result["repeats"]) == (0, 0, 29)


def test_byte_order_mark_of_gb18030_is_no_part_of_the_first_name(engine: Engine, tmp_path: Path) -> None:
    path = write_export(tmp_path / "x.tsv", [(1, "词", "正文的内容")])
    path.write_bytes(("\ufeff" + path.read_text(encoding="utf-8")).encode("gb18030"))
    assert import_file(engine, path).result["posts_added"] == 1


def test_escapes_and_null_reach_the_database_as_mysql_meant_them(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    header = "pid\tauthor\tuseip\tcontext\n"
    path.write_text(header + "1\t\\N\t192.0.2.1\tone\\\ntwo\\\tthree\\\\four\\0\n", encoding="utf-8")
    import_file(engine, path)
    (made,) = rows(engine, post)
    assert (made["author"], made["ip"], made["original"]) == (None, "192.0.2.1", "one\ntwo\tthree\\four")


def test_replacement_character_that_stands_in_the_file_is_a_character(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("text,label\n早就是乱码的帖子 \ufffd\ufffd,violation\n别的正常的内容,normal\n", encoding="utf-8")
    ended = import_file(engine, path)
    assert (ended.result["rejected"], ended.result["decisions_added"]) == (0, 2)


# --- a row that must not stop the file --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "poison",
    [
        "&#" + "9" * 5_000 + ";",
        "&amp;#" + "1" * 5_000 + ";",
        "&#x" + "f" * 5_000 + ";",
        "[" * 20_000,
        "[quote]" * 5_000,
        "\\0\\0\\Z\\b",
        "&#55296;&#0;&#1114112;",
        "\u202e\u200b\ufeff text",
    ],
)
def test_row_with_odd_content_never_stops_the_rows_after_it(engine: Engine, tmp_path: Path, poison: str) -> None:
    ended = import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", f"a{poison}b"), (2, "w", "fine")]))
    assert adds_up(ended.result)
    assert [made["original"] for made in rows(engine, post, pid="2")] == ["fine"]


# --- labelled files ---------------------------------------------------------------------------------------------------


def test_copies_within_a_labelled_file_are_one_post_and_can_be_read_again(engine: Engine, tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "labels.jsonl",
        {"text": "加微信领红包", "label": "violation"},
        {"text": "加微信，领红包！", "label": "violation"},
    )
    first = import_file(engine, path)
    assert (first.result["posts_added"], adds_up(first.result)) == (1, True)
    with read(engine) as conn:
        assert [gold.label for gold in golds.gold_posts(conn)] == [Label.violation]
        assert golds.posts_on_old_texts(conn) == []
    again = import_file(engine, path)
    assert (again.result["posts_added"], again.result["decisions_added"]) == (0, 0)


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("others", [2, 900])
def test_row_with_a_pid_and_its_copy_without_one_do_not_stop_each_other(
    engine: Engine, tmp_path: Path, is_known: bool, others: int
) -> None:
    if is_known:
        import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", "the same words")]))
    fill: list[dict[str, object]] = [{"pid": str(n), "text": f"text {n}", "label": "normal"} for n in range(2, others)]
    path = write_jsonl(
        tmp_path / "labels.jsonl",
        {"pid": "1", "text": "the same words", "label": "violation"},
        *fill,
        {"text": "the same words", "label": "violation"},
    )
    ended = import_file(engine, path)
    assert (ended.status, adds_up(ended.result)) == (RunStatus.succeeded, True)
    assert len(rows(engine, post)) == len({line["text"] for line in [*fill, {"text": "the same words"}]})
    again = import_file(engine, path)
    assert (again.result["posts_added"], again.result["decisions_added"]) == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("label\tpid\ttext\n违规\t1\tx\nspam\t2\ty\n".encode("utf-16"), id="UTF-16 with its mark"),
        pytest.param("\nlabel\tpid\ttext\n违规\t1\tx\nspam\t2\ty\n".encode(), id="blank line before the header"),
    ],
)
def test_unknown_label_of_a_tsv_is_rejected_however_the_file_begins(
    engine: Engine, tmp_path: Path, body: bytes
) -> None:
    path = tmp_path / "labels.tsv"
    path.write_bytes(body)
    ended = import_file(engine, path)
    assert (ended.result["rejected"], ended.result["decisions_added"]) == (1, 1)
    assert [made["label"] for made in rows(engine, decision)] == [Label.violation]


def test_label_for_a_text_that_very_many_posts_share_joins_the_first_of_them(engine: Engine, tmp_path: Path) -> None:
    """The most frequent reply of a forum (`顶`) has more copies than a query takes variables (32,766, by default)."""
    import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", "顶")]))
    first = rows(engine, post)[0]
    values = {name: first[name] for name in ("text_identity", "text_id", "import_id", "original", "extra")}
    with write(engine) as conn:
        conn.execute(insert(post), [values | {"pid": str(n)} for n in range(2, 2_500)])
    engine.dispose()
    event.listen(engine, "connect", lambda raw, _: raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2_000))
    ended = import_file(engine, write_jsonl(tmp_path / "labels.jsonl", {"text": "顶", "label": "normal"}))
    assert (ended.result["posts_added"], ended.result["decisions_added"]) == (0, 1)
    assert rows(engine, decision)[0]["post_id"] == first["id"]


def test_label_that_joins_a_copy_teaches_that_post(engine: Engine, tmp_path: Path) -> None:
    import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", "Ｈello, world！")]))
    import_file(engine, write_jsonl(tmp_path / "labels.jsonl", {"text": "hello world", "label": "violation"}))
    with read(engine) as conn:
        assert [(gold.post_id, gold.label) for gold in golds.gold_posts(conn)] == [(1, Label.violation)]
        assert golds.posts_on_old_texts(conn) == []


# --- what a post is made of -------------------------------------------------------------------------------------------


def test_new_excerpt_shows_on_the_card_though_the_model_reads_the_same(engine: Engine, tmp_path: Path) -> None:
    import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", "my own answer")]))
    longer = "[quote]what somebody else said[/quote]my own answer"
    import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", "my own answer"), (1, "v", longer)]))
    (made,) = rows(engine, post)
    assert made["original"] == longer
    assert len(rows(engine, distinct_text)) == 1


def test_new_hit_word_in_a_known_excerpt_changes_no_text(engine: Engine, tmp_path: Path, moderator: Actor) -> None:
    import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", "the text")]))
    annotation.decide_post(engine, OPERATOR, user_name=moderator.name, post_id=1, label=Label.normal, now=NOW)
    ended = import_file(engine, write_export(tmp_path / "x.tsv", [(1, "v", "the text")]))
    assert (ended.result["hits_added"], ended.result["posts_changed"]) == (1, 0)
    with read(engine) as conn:
        assert [gold.label for gold in golds.gold_posts(conn)] == [Label.normal]


def test_other_columns_survive_in_the_writing_of_the_header(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("Forum Name\tCONTEXT\tPid\tempty\n大厅\thello\t1\t\\N\n", encoding="utf-8")
    import_file(engine, path)
    assert rows(engine, post)[0]["extra"] == {"Forum Name": "大厅"}


# --- what an import does before it is published -----------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["publishing"])
def test_nothing_of_an_import_is_seen_before_it_is_published(engine: Engine, tmp_path: Path, stage: str) -> None:
    import_file(engine, write_export(tmp_path / "x.tsv", [(1, "old", "one")]))
    seen: list[tuple[int, list[tuple[int, str]], dict[int, tuple[str, ...]], str]] = []

    def look(at: str, done: int, total: int | None, message: str) -> None:
        if at == stage:
            with read(engine) as conn:
                words = [tuple(row) for row in posts.hits_with_words(conn)]
                shown = posts.hit_words(conn, [1, 2])
                seen.append((posts.count_posts(conn), words, shown, posts.require_post(conn, 1).original))

    start(engine, write_export(tmp_path / "x.tsv", [(1, "new", "two"), (2, "new", "three")]), report=look)
    assert seen[0] == (1, [(1, "old")], {1: ("old",)}, "one")


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.csv"])
@pytest.mark.filterwarnings("error")
def test_cancelled_labelled_file_leaves_no_post_no_decision_and_no_source(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("text,label\n" + "".join(f"text {n},normal\n" for n in range(5_000)))
    else:
        write_jsonl(path, *({"text": f"text {n}", "label": "normal"} for n in range(5_000)))

    def stop(at: str, done: int, total: int | None, message: str) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        start(engine, path, report=stop)
    end_running(engine, RunStatus.cancelled)
    assert all(rows(engine, table) == [] for table in (*VISIBLE, *STAGED))
    assert import_file(engine, path).result["decisions_added"] == 5_000


def test_changes_staged_by_a_killed_import_are_neither_published_nor_in_the_way(
    engine: Engine, tmp_path: Path, moderator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_file(engine, write_export(tmp_path / "x.tsv", [(1, "w", "one")]))
    annotation.decide_post(engine, OPERATOR, user_name=moderator.name, post_id=1, label=Label.violation, now=NOW)
    path = write_export(tmp_path / "x.tsv", [(1, "w", "one"), (1, "v", "two"), (2, "w", "three")])

    def die(at: str, done: int, total: int | None, message: str) -> None:
        if at == "publishing":
            raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(importing, "_sweep", lambda *_, **__: None)  # killed: no chance to clean up
        with pytest.raises(SystemExit):
            start(engine, path, report=die)
    end_running(engine, RunStatus.failed)
    assert len(rows(engine, staged_change)) == 1
    with read(engine) as conn:
        assert posts.require_post(conn, 1).original == "one"
        assert posts.count_posts(conn) == 1
        assert [gold.label for gold in golds.gold_posts(conn)] == [Label.violation]
    ended = import_file(engine, path)
    assert (ended.result["posts_added"], ended.result["hits_added"], ended.result["posts_changed"]) == (1, 1, 1)
    with read(engine) as conn:
        assert list(golds.gold_posts(conn)) == []
        (old,) = voices.exhibits_of(conn, golds.posts_on_old_texts(conn))
    assert [(voice.vote.label, voice.on_text) for voice in old.voices] == [(Label.violation, "one")]
    assert all(rows(engine, table) == [] for table in STAGED)
