"""The pool as arrays: they say what the database says, narrow as SQL does, and never outlive what they were made of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from core import columns as files
from core.column_writer import Writing
from core.domain import Actor, Label, Policy, Prediction, RunKind, RunStatus, Side
from core.errors import NotAllowed, NotFound
from core.post_filter import Portion, PostFilter
from core.services import columns, forgetting, takeback
from core.services.columns import Columns
from core.services.forgetting import Target
from core.services.rules import change_policy
from core.settings import Settings
from db import models, runs
from db.engine import write
from tests.conftest import NOW
from tests.core.services.conftest import OPERATOR, decide, import_file, sync, unlike

POSTS = 40


@pytest.fixture
def scored(engine: Engine, pool: Callable[[int], None]) -> str:
    """A version that has scored all texts but each seventh."""
    pool(POSTS)
    return add_version(engine, "v1", seed=1)


def add_version(engine: Engine, name: str, *, seed: int) -> str:
    rng = np.random.default_rng(seed)
    with write(engine) as conn:
        version = models.add_version(
            conn, name=name, run_id=None, base="b", folder=name, manifest={}, metrics={}, now=NOW
        )
        texts = [row[0] for row in conn.exec_driver_sql("SELECT id FROM text WHERE id % 7 > 0").all()]
        made_up = rng.dirichlet((2, 1, 1), size=len(texts)).astype(np.float32).tolist()
        models.add_predictions(
            conn, [Prediction(version.id, text, tuple(row)) for text, row in zip(texts, made_up, strict=True)]
        )
    return name


def opened(engine: Engine, settings: Settings, version: str | None = "v1") -> Columns:
    columns.make(engine, settings, version=version)
    found = columns.find(engine, OPERATOR, settings, version=version)
    assert found is not None
    return found


def by_sql(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.exec_driver_sql(query)]


def chosen(engine: Engine, actor: Actor, found: Columns, asked: PostFilter) -> list[int]:
    seen = columns.view(engine, actor, found, asked)
    return found.posts.post_ids[seen.is_chosen].tolist()


def test_columns_say_of_each_visible_post_what_the_database_says(
    engine: Engine, settings: Settings, scored: str
) -> None:
    found = opened(engine, settings)
    posts = found.posts
    rows = by_sql(
        engine,
        "SELECT post.id, text_id, import_id, representative_id, side, p_normal, p_suspicious, p_violation FROM post"
        " JOIN text ON text.id = text_id JOIN family_place USING (text_id) LEFT JOIN prediction USING (text_id)"
        " ORDER BY post.id",
    )
    assert len(posts) == len(rows) == POSTS
    for place, (post_id, text_id, import_id, family, side, *proba) in enumerate(rows):
        said = (posts.post_ids[place], posts.text_ids[place], posts.imports[place], posts.families[place])
        assert said == (post_id, text_id, import_id, family)
        assert files.SIDES[posts.sides[place]] == side
        expected = [np.nan if p is None else p for p in proba]
        np.testing.assert_array_equal(found.proba[:, place], np.array(expected, dtype=np.float32))
    words = by_sql(engine, "SELECT word, group_concat(post_id) FROM hit GROUP BY word ORDER BY word")
    for word, listed in words:
        positions = posts.with_word(str(word))
        assert posts.post_ids[positions].tolist() == sorted(int(each) for each in str(listed).split(","))
    assert posts.with_word("unknown").tolist() == []


def test_family_sizes_count_visible_posts(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "copies.tsv"
    path.write_text("pid\tcontext\n" + "".join(f"{n}\t{unlike(n // 3)}\n" for n in range(10)))
    import_file(engine, path)
    found = opened(engine, settings, None)
    assert found.posts.family_sizes.tolist() == [3] * 9 + [1]
    assert chosen(engine, OPERATOR, found, PostFilter(family_sizes=(1, 2))) == [10]
    assert chosen(engine, OPERATOR, found, PostFilter(family_sizes=(3, None))) == list(range(1, 10))
    assert np.isnan(found.proba).all()


def test_filters_leave_what_sql_finds(
    engine: Engine, settings: Settings, scored: str, moderator: Actor, lead: Actor, tmp_path: Path
) -> None:
    cards = sync(engine, moderator, want=8).cards
    for card, label in zip(cards[:5], (0, 1, 2, 2, 2), strict=True):
        others = [each.lease.id for each in cards]
        sync(engine, moderator, decide(card, Label(label)), holding=others)
    path = tmp_path / "more.tsv"
    path.write_text("pid\tcontext\n" + "".join(f"{n + 900}\t{unlike(n + 900)}\n" for n in range(5)))
    import_file(engine, path)
    found = opened(engine, settings)
    decided = "SELECT post_id FROM decision"
    held = "SELECT post_id FROM lease WHERE ended_at IS NULL"
    scored_post = "SELECT post.id FROM post JOIN prediction USING (text_id)"
    cases = {
        PostFilter(): "SELECT id FROM post",
        PostFilter(imports=(2,)): "SELECT id FROM post WHERE import_id = 2",
        PostFilter(imports=(1, 2)): "SELECT id FROM post",
        PostFilter(imports=(9,)): "SELECT id FROM post WHERE 0",
        PostFilter(words=("word3", "word4")): "SELECT DISTINCT post_id FROM hit WHERE word IN ('word3', 'word4')",
        PostFilter(author="author7"): "SELECT id FROM post WHERE author = 'author7'",
        PostFilter(author="nobody"): "SELECT id FROM post WHERE 0",
        PostFilter(labels=(Label.violation,)): f"{decided} WHERE label = 2",
        PostFilter(portions=(Portion.decided,)): decided,
        PostFilter(portions=(Portion.leased,)): held,
        PostFilter(portions=(Portion.undecided,)): (
            f"SELECT id FROM post WHERE id NOT IN ({decided}) AND id NOT IN ({held})"
        ),
        PostFilter(sides=(Side.evaluation, Side.audit)): (
            "SELECT post.id FROM post JOIN text ON text.id = text_id WHERE side <> 'train'"
        ),
        PostFilter(predicted=(Label.violation,)): (
            f"{scored_post} WHERE p_violation > p_normal AND p_violation > p_suspicious"
        ),
        PostFilter(predicted=(Label.normal,), words=("word3",)): (
            f"{scored_post} WHERE p_normal >= p_suspicious AND p_normal >= p_violation"
            " AND post.id IN (SELECT post_id FROM hit WHERE word = 'word3')"
        ),
        PostFilter(since=NOW.date(), until=date(2100, 1, 1)): "SELECT id FROM post",
        PostFilter(until=date(2000, 1, 1)): "SELECT id FROM post WHERE 0",
    }
    for asked, query in cases.items():
        assert chosen(engine, lead, found, asked) == sorted(int(str(row[0])) for row in by_sql(engine, query)), asked


def test_decisions_and_leases_are_those_of_now(
    engine: Engine, settings: Settings, scored: str, moderator: Actor
) -> None:
    found = opened(engine, settings)
    card = sync(engine, moderator, want=1).cards[0]
    place = int(found.posts.positions([card.lease.post_id])[0][0])
    assert columns.view(engine, OPERATOR, found, PostFilter()).portions[place] == Portion.leased
    sync(engine, moderator, decide(card, Label.suspicious))
    seen = columns.view(engine, OPERATOR, found, PostFilter())
    assert (seen.portions[place], seen.labels[place]) == (Portion.decided, Label.suspicious)
    assert (seen.labels != columns.UNDECIDED).sum() == 1
    assert columns.find(engine, OPERATOR, settings, version="v1") is not None  # it still fits


def test_authors_are_asked_for_by_leads_and_else_where_the_policy_shows_them(
    engine: Engine, settings: Settings, scored: str, analyst: Actor
) -> None:
    found, asked = opened(engine, settings), PostFilter(author="author7")
    with pytest.raises(NotAllowed):
        columns.view(engine, analyst, found, asked)
    assert not columns.may_ask_authors(engine, analyst)
    change_policy(engine, OPERATOR, Policy(show_author=True), now=NOW)
    assert chosen(engine, analyst, found, asked) == [8]
    assert columns.may_ask_authors(engine, analyst)


def test_unknown_version_is_named(engine: Engine, settings: Settings) -> None:
    with pytest.raises(NotFound, match="'v9'"):
        columns.find(engine, OPERATOR, settings, version="v9")


# --- files ------------------------------------------------------------------------------------------------------------


def test_nothing_is_found_before_it_is_made_and_an_empty_pool_has_columns(engine: Engine, settings: Settings) -> None:
    assert columns.find(engine, OPERATOR, settings, version=None) is None
    found = opened(engine, settings, None)
    assert len(found.posts) == 0
    assert chosen(engine, OPERATOR, found, PostFilter(author="a", words=("w",), since=NOW.date())) == []


def test_an_import_makes_columns_past_and_the_next_ones_replace_them(
    engine: Engine, settings: Settings, scored: str, tmp_path: Path
) -> None:
    opened(engine, settings)
    before = {path.name for path in settings.columns_dir.iterdir()}
    path = tmp_path / "more.tsv"
    path.write_text(f"pid\tcontext\n900\t{unlike(900)}\n")
    import_file(engine, path)
    assert columns.find(engine, OPERATOR, settings, version="v1") is None
    assert len(opened(engine, settings).posts) == POSTS + 1
    assert not before & {path.name for path in settings.columns_dir.iterdir()}


def test_scoring_makes_a_versions_columns_past_once_it_has_ended_or_doubled(
    engine: Engine, settings: Settings, scored: str
) -> None:
    opened(engine, settings)
    with write(engine) as conn:
        run = runs.add_run(conn, kind=RunKind.scoring, config={"version": "v1"}, created_by="x", now=NOW)
        other = runs.add_run(conn, kind=RunKind.scoring, config={"version": "v2"}, created_by="x", now=NOW)
        runs.finish_run(conn, other.id, status=RunStatus.succeeded, now=NOW)
        runs.claim_run(conn, run.id, pid=1, process_started=0.0, now=NOW)
    opened(engine, settings)
    for done, still_fits in ((3_000, True), (9_000, False), (15_000, True), (17_000, False)):
        with write(engine) as conn:
            conn.exec_driver_sql("UPDATE run SET done = ? WHERE id = ?", (done, run.id))
        assert (columns.find(engine, OPERATOR, settings, version="v1") is not None) == still_fits
        opened(engine, settings)
    with write(engine) as conn:
        runs.finish_run(conn, run.id, status=RunStatus.cancelled, now=NOW)
    assert columns.find(engine, OPERATOR, settings, version="v1") is None
    opened(engine, settings)
    assert len(list(settings.columns_dir.glob("*/version-1-*"))) == 1


def test_what_was_forgotten_is_in_no_file(engine: Engine, settings: Settings, scored: str) -> None:
    opened(engine, settings)
    forgetting.forget(engine, OPERATOR, Target("author", "author7"), settings=settings, now=NOW)
    assert not settings.columns_dir.exists()
    assert columns.find(engine, OPERATOR, settings, version="v1") is None
    assert 8 not in opened(engine, settings).posts.post_ids


def test_what_was_forgotten_while_columns_were_made_is_not_left_behind(
    engine: Engine, settings: Settings, scored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file is written anew when nobody reads an older state, and the columns' view is open until this is done.
    monkeypatch.setattr("db.engine.BUSY_TIMEOUT_MS", 50)

    def forget_meanwhile(stage: str, done: int, total: int) -> None:
        if stage == "reading predictions":
            forgetting.forget(engine, OPERATOR, Target("author", "author7"), settings=settings, now=NOW)

    columns.make(engine, settings, version="v1", report=forget_meanwhile)
    assert list(settings.columns_dir.iterdir()) == []


def test_an_import_that_was_taken_back_leaves_the_columns_but_for_decided_posts(
    engine: Engine, settings: Settings, scored: str, moderator: Actor
) -> None:
    card = sync(engine, moderator, want=1).cards[0]
    sync(engine, moderator, decide(card))
    opened(engine, settings)
    queued = takeback.queue_take_back(engine, OPERATOR, 1, now=NOW)
    with write(engine) as conn:
        runs.claim_run(conn, queued.id, pid=1, process_started=0.0, now=NOW)
    takeback.run_take_back(engine, queued, report=lambda *progress: None)
    assert columns.find(engine, OPERATOR, settings, version="v1") is None
    assert opened(engine, settings).posts.post_ids.tolist() == [card.lease.post_id]


def test_a_killed_write_leaves_nothing_that_is_found_and_is_swept_after_a_while(
    engine: Engine, settings: Settings, scored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.Path, "rename", die)
        patch.setattr(files.shutil, "rmtree", lambda *given, **named: None)  # as if killed: nothing is tidied up
        with pytest.raises(KeyboardInterrupt):
            columns.make(engine, settings, version="v1")
    left = next(settings.columns_dir.glob("*/*.partial"))
    assert columns.find(engine, OPERATOR, settings, version="v1") is None
    opened(engine, settings)
    assert left.exists()
    old = time.time() - 2 * files.ABANDONED_AFTER_S
    os.utime(left, (old, old))
    files.sweep(left.parent, kind="nothing", kept="")
    assert not left.exists()


def test_another_process_writes_them_and_says_how_far_it_is(engine: Engine, settings: Settings, scored: str) -> None:
    writing = Writing.start(settings, "v1")
    assert writing.wait(60)
    assert (writing.process.returncode, writing.error) == (0, "")
    assert (writing.stage, writing.share > 0.5) == ("reading predictions", True)
    assert columns.find(engine, OPERATOR, settings, version="v1") is not None
    failed = Writing.start(settings, "v9")
    assert failed.wait(60)
    assert failed.process.returncode != 0
    assert "v9" in failed.error


def test_columns_hold_no_words_of_posts_and_no_authors(engine: Engine, settings: Settings, scored: str) -> None:
    opened(engine, settings)
    written = b"".join(path.read_bytes() for path in settings.columns_dir.rglob("*") if path.is_file())
    assert b"word3" in written
    assert b"author7" not in written
    assert unlike(7).encode() not in written
