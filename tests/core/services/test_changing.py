"""What changed between versions and weeks: counted and listed as SQL says, compared on the same judged texts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from core.comparison import Verdict
from core.distributions import Quantity
from core.domain import LABEL_NAMES, Actor, Label, Prediction, Side
from core.post_filter import PostFilter
from core.services import changing, columns
from core.services.columns import Columns
from core.settings import Settings
from db import models
from db.engine import write
from db.tables import audit_log, distinct_text, run
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, import_file, unlike
from tests.core.services.test_columns import add_version, by_sql

TOP = "max({0}.p_normal, {0}.p_suspicious, {0}.p_violation)"
SAID = f"CASE {TOP} WHEN {{0}}.p_normal THEN 0 WHEN {{0}}.p_suspicious THEN 1 ELSE 2 END"
BOTH = (
    "FROM post JOIN prediction a ON a.text_id = post.text_id AND a.version_id = 1"
    " JOIN prediction b ON b.text_id = post.text_id AND b.version_id = 2"
)


def opened(engine: Engine, settings: Settings, version: str) -> Columns:
    columns.make(engine, settings, version=version)
    found = columns.find(engine, OPERATOR, settings, version=version)
    assert found is not None
    return found


@pytest.fixture
def two(engine: Engine, settings: Settings, pool: Callable[[int], None]) -> tuple[Columns, Columns]:
    pool(100)
    for name, seed in (("v1", 1), ("v2", 2)):
        add_version(engine, name, seed=seed)
    with write(engine) as conn:
        conn.exec_driver_sql("DELETE FROM prediction WHERE version_id = 2 AND text_id IN (3, 4, 5)")
    return opened(engine, settings, "v1"), opened(engine, settings, "v2")


def test_change_is_of_posts_that_both_have_scored(engine: Engine, two: tuple[Columns, Columns]) -> None:
    found = changing.change(engine, OPERATOR, *two, of=Quantity.violation, post_filter=PostFilter())
    assert found.posts == by_sql(engine, f"SELECT count(*) {BOTH}")[0][0]
    for version, counts in (("a", found.first), ("b", found.second)):
        bins = by_sql(
            engine, f"SELECT min(CAST({version}.p_violation * 50 AS INTEGER), 49), count(*) {BOTH} GROUP BY 1"
        )
        assert {bin_: int(n) for bin_, n in enumerate(counts) if n} == dict(bins)
    assert found.ks is not None
    assert found.psi is not None
    same = changing.change(engine, OPERATOR, two[1], two[1], of=Quantity.margin, post_filter=PostFilter())
    assert (same.psi, same.ks, same.flips.sum() - same.flips.trace()) == (0, 0, 0)


def test_few_posts_have_no_index(engine: Engine, two: tuple[Columns, Columns]) -> None:
    narrowed = PostFilter(words=("word3",))
    found = changing.change(engine, OPERATOR, *two, of=Quantity.violation, post_filter=narrowed)
    assert 0 < found.posts < 50
    assert (found.psi, found.ks) == (None, None)


def test_flips_are_counted_by_direction_and_listed_by_how_much_changed(
    engine: Engine, two: tuple[Columns, Columns]
) -> None:
    found = changing.change(engine, OPERATOR, *two, of=Quantity.violation, post_filter=PostFilter())
    gap = " + ".join(f"abs(a.p_{name} - b.p_{name})" for name in LABEL_NAMES)
    for was in Label:
        for now in Label:
            listed = by_sql(
                engine,
                f"SELECT post.id {BOTH} WHERE {SAID.format('a')} = {was} AND {SAID.format('b')} = {now}"
                f" ORDER BY {gap} DESC",
            )
            assert found.flips[was, now] == len(listed)
            if was is now:
                continue
            total, page = changing.flipped_posts(
                engine, OPERATOR, *two, was=was, now=now, post_filter=PostFilter(), page=1, page_size=500
            )
            assert total == len(listed)
            assert [each.post_id for each in page] == [row[0] for row in listed]
            for each in page:
                assert each.change == pytest.approx(np.abs(np.subtract(each.was, each.now)).sum() / 2, abs=1e-6)


def test_exports_hold_all_flips_and_are_on_record(engine: Engine, two: tuple[Columns, Columns], analyst: Actor) -> None:
    sheet = changing.export_flips(engine, analyst, *two, post_filter=PostFilter(), now=NOW)
    exported = [row for batch in sheet.batches for row in batch]
    expected = by_sql(engine, f"SELECT post.id {BOTH} WHERE {SAID.format('a')} <> {SAID.format('b')} ORDER BY 1")
    assert [row[0] for row in exported] == [row[0] for row in expected]
    assert all(row[2] != row[3] for row in exported)
    bars = changing.export_change(engine, analyst, *two, of=Quantity.margin, post_filter=PostFilter(), now=NOW)
    counted = [row for batch in bars.batches for row in batch]
    assert sum(row[2] for row in counted) == sum(row[3] for row in counted) > 0  # type: ignore[misc]
    said = [row["details"]["what"] for row in rows(engine, audit_log, actor="ana")]
    assert said == ["posts whose predicted label changed", "change of margin"]


def test_weeks_are_those_of_imports_and_a_week_that_differs_shows(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    for week in range(3):
        path = tmp_path / f"week{week}.tsv"
        path.write_text("pid\tcontext\n" + "".join(f"{n}\t{unlike(n)}\n" for n in range(week * 60, week * 60 + 60)))
        found = import_file(engine, path)
        day = NOW + timedelta(days=7 * week + 2)
        with write(engine) as conn:
            conn.execute(run.update().where(run.c.id == found.id).values(published_at=day))
    with write(engine) as conn:
        made = models.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
        rng = np.random.default_rng(7)
        usual, other = rng.dirichlet((8, 1, 1), size=120), rng.dirichlet((1, 1, 8), size=60)
        proba = np.concatenate((usual, other)).astype(np.float32).tolist()
        models.add_predictions(conn, [Prediction(made.id, n + 1, tuple(row)) for n, row in enumerate(proba)])
    weeks = changing.weeks(
        engine, OPERATOR, opened(engine, settings, "v1"), of=Quantity.violation, post_filter=PostFilter()
    )
    assert [week.begins for week in weeks] == [date(2026, 3, 2), date(2026, 3, 9), date(2026, 3, 16)]
    assert [week.posts for week in weeks] == [60, 60, 60]
    said = np.argmax(proba, axis=1).reshape(3, 60)
    assert [week.shares for week in weeks] == [tuple((np.bincount(row, minlength=3) / 60).tolist()) for row in said]
    assert weeks[2].psi is not None
    assert weeks[2].psi > 0.25
    few = PostFilter(since=date(2026, 3, 9), sides=(Side.evaluation,), until=date(2026, 3, 30))
    narrowed = changing.weeks(engine, OPERATOR, opened(engine, settings, "v1"), of=Quantity.margin, post_filter=few)
    aside = "SELECT count(*) FROM post JOIN text ON text.id = text_id WHERE side = 'evaluation' AND import_id > 1"
    assert [(sum(week.posts for week in narrowed),)] == by_sql(engine, aside)
    assert {week.psi for week in narrowed} == {None}


def test_versions_are_compared_on_the_judged_texts_that_both_have_scored(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    truth = [n % 3 for n in range(120)]
    path = tmp_path / "labels.tsv"
    lines = [f"{n}\t{unlike(n)}\t{LABEL_NAMES[truth[n]]}" for n in range(120)]
    path.write_text("\n".join(["pid\ttext\tlabel", *lines]) + "\n")
    import_file(engine, path)
    with write(engine) as conn:
        conn.execute(distinct_text.update().values(side="audit"))
        for name, right in (("v1", 0), ("v2", 1)):
            made = models.add_version(
                conn, name=name, run_id=None, base="b", folder=name, manifest={}, metrics={}, now=NOW
            )
            said = [np.eye(3)[(truth[n] + (right if n % 4 else 0)) % 3].tolist() for n in range(120 - 10 * right)]
            models.add_predictions(conn, [Prediction(made.id, n + 1, tuple(row)) for n, row in enumerate(said)])
    first, second = opened(engine, settings, "v1"), opened(engine, settings, "v2")
    found = changing.compare_judged(engine, OPERATOR, first, second)
    assert found.texts == 110
    assert found.gaps["accuracy"].verdict is Verdict.worse
    assert changing.compare_judged(engine, OPERATOR, second, first).gaps["macro_f1"].verdict is Verdict.better
    same = changing.compare_judged(engine, OPERATOR, first, first).gaps["accuracy"]
    assert same.verdict is Verdict.cannot_tell
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE decision SET label = 0 WHERE label = 1")
    moved = changing.compare_judged(engine, OPERATOR, first, second)
    assert moved.gaps["accuracy"].value != found.gaps["accuracy"].value, "decisions are those of now"
    with write(engine) as conn:
        conn.exec_driver_sql("DELETE FROM decision WHERE post_id > 40")
    assert changing.compare_judged(engine, OPERATOR, first, second).gaps == {}
