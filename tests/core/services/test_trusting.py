"""Trusting a version: only judged posts kept aside count, those of the audit slice alone once there are enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from core.domain import LABEL_NAMES, Actor, Label, Prediction
from core.post_filter import PostFilter
from core.services import columns, trusting
from core.services.trusting import Trust
from core.settings import Settings
from core.trust import confusion
from db import models
from db.engine import write
from db.tables import audit_log, distinct_text
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, import_file, unlike
from tests.core.services.test_columns import by_sql

POSTS = 450


@pytest.fixture
def judged(engine: Engine, tmp_path: Path) -> str:
    """A hundred posts trained on, fifty on the evaluation side, the others of the audit slice; all judged, all scored
    but the last ten. The first text of the slice was posted three times."""
    truth = [n % 3 for n in range(POSTS)]
    lines = [f"{n}\t{unlike(n)}\t{LABEL_NAMES[truth[n]]}\tword{n % 2}" for n in range(POSTS)]
    lines += [f"{n}\t{unlike(150)}\t{LABEL_NAMES[truth[150]]}\tword0" for n in (1_000, 1_001)]
    path = tmp_path / "labels.tsv"
    path.write_text("\n".join(["pid\ttext\tlabel\thit_word", *lines]) + "\n")
    import_file(engine, path)
    rng = np.random.default_rng(5)
    with write(engine) as conn:
        for side, first, last in (("train", 1, 100), ("evaluation", 101, 150), ("audit", 151, POSTS)):
            conn.execute(distinct_text.update().where(distinct_text.c.id.between(first, last)).values(side=side))
        made = models.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
        proba = rng.dirichlet((1, 1, 1), size=POSTS - 10).astype(np.float32).tolist()
        models.add_predictions(conn, [Prediction(made.id, n + 1, tuple(row)) for n, row in enumerate(proba)])
    return "v1"


def trust(engine: Engine, settings: Settings) -> Trust:
    """Of columns made anew: a text's side changes with an import, and these tests have none for it."""
    shutil.rmtree(settings.columns_dir, ignore_errors=True)
    columns.make(engine, settings, version="v1")
    made = columns.find(engine, OPERATOR, settings, version="v1")
    assert made is not None
    return trusting.trust(engine, OPERATOR, made)


def test_audit_slice_alone_measures_once_enough_is_judged(engine: Engine, settings: Settings, judged: str) -> None:
    found = trust(engine, settings)
    assert (found.is_random, len(found), found.judged) == (False, 340, 350)  # 290 of the slice are scored
    with write(engine) as conn:
        conn.execute(distinct_text.update().where(distinct_text.c.id.between(101, 110)).values(side="audit"))
    found = trust(engine, settings)
    assert (found.is_random, len(found)) == (True, 300)


def test_a_family_counts_as_one_text_that_stands_for_its_posts(engine: Engine, settings: Settings, judged: str) -> None:
    found = trust(engine, settings)
    sizes = dict(zip(found.post_ids.tolist(), found.sizes.tolist(), strict=True))
    assert sizes[151] == 3
    assert set(sizes.values()) == {1, 3}
    assert 451 not in sizes


def test_cells_and_errors_open_what_sql_finds_the_surest_first(engine: Engine, settings: Settings, judged: str) -> None:
    found = trust(engine, settings)
    top = "max(p_normal, p_suspicious, p_violation)"
    said = f"CASE {top} WHEN p_normal THEN 0 WHEN p_suspicious THEN 1 ELSE 2 END"
    aside = (
        "FROM post JOIN text ON text.id = post.text_id JOIN prediction ON prediction.text_id = text.id"
        f" JOIN decision ON post_id = post.id WHERE side <> 'train' AND post.id <= {POSTS}"
    )
    texts, _posts = confusion(found.truth, found.said, found.sizes)
    for truth in Label:
        for predicted in Label:
            cell = f"SELECT post.id {aside} AND label = {truth} AND {said} = {predicted} ORDER BY {top} DESC"
            total, listed = trusting.judged_posts(
                engine, OPERATOR, found, truth=truth, said=predicted, page=1, page_size=500
            )
            assert total == texts[truth, predicted]
            assert [each.post_id for each in listed] == [row[0] for row in by_sql(engine, cell)]
            assert {(each.truth, each.said) for each in listed} <= {(truth, predicted)}
    errors = [row[0] for row in by_sql(engine, f"SELECT post.id {aside} AND label <> {said} ORDER BY {top} DESC")]
    total, second = trusting.judged_posts(engine, OPERATOR, found, truth=None, said=None, page=2, page_size=20)
    assert (total, [each.post_id for each in second]) == (len(errors), errors[20:40])


def test_a_filter_narrows_what_measures_and_what_is_exported(
    engine: Engine, settings: Settings, judged: str, analyst: Actor
) -> None:
    columns.make(engine, settings, version=judged)
    made = columns.find(engine, analyst, settings, version=judged)
    assert made is not None
    asked = PostFilter(words=("word0",), labels=(Label.violation,))
    found = trusting.trust(engine, analyst, made)
    narrowed = trusting.narrow(found, columns.view(engine, analyst, made, asked))
    expected = "SELECT post_id FROM hit JOIN decision USING (post_id) WHERE word = 'word0' AND label = 2"
    assert set(narrowed.post_ids.tolist()) == {row[0] for row in by_sql(engine, expected)} & set(
        found.post_ids.tolist()
    )
    assert (narrowed.truth == Label.violation).all()
    sheet = trusting.export_judged(engine, analyst, made, version=judged, post_filter=asked, now=NOW)
    exported = [row for batch in sheet.batches for row in batch]
    assert sorted(row[0] for row in exported) == sorted(narrowed.post_ids.tolist())  # type: ignore[type-var]
    is_right = [row[2] == row[3] for row in exported]
    assert is_right == sorted(is_right)
    assert rows(engine, audit_log)[-1]["details"]["what"] == "judged texts beside what v1 says"
