"""Thresholds on the real schema: what they are tried on, how they are kept, and the export that goes by them."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select

from core.domain import LABEL_NAMES, Actor, Label, Prediction, Side
from core.errors import BadInput, NotAllowed, NotFound
from core.services import columns, exporting, thresholding
from core.services.exporting import Authors, Content, Wanted
from core.settings import Settings
from core.sheets import SheetForm, write_sheet
from core.thresholds import Thresholds, Verdict
from core.tsv import split_fields
from db import models
from db.engine import write
from db.tables import audit_log, distinct_text, post, run, threshold_policy
from tests.conftest import NOW, rows
from tests.core.services.conftest import import_file, unlike

CHOSEN = Thresholds(removes=0.9, passes=0.95)


def bring(engine: Engine, path: Path, first: int, count: int) -> None:
    """Labelled posts of every label, all of the audit slice."""
    records = [{"pid": str(n), "text": unlike(n), "label": LABEL_NAMES[n % 3]} for n in range(first, first + count)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    import_file(engine, path)
    with write(engine) as conn:
        conn.execute(distinct_text.update().values(side=Side.audit))


def score(engine: Engine, *, manifest: dict[str, object] | None = None, name: str = "v1", share: float = 1.0) -> None:
    """A version that is active, has scored a share of the posts, and is right as a rule."""
    rng = np.random.default_rng(1)
    with write(engine) as conn:
        made = models.add_version(
            conn, name=name, run_id=None, base="b", folder=name, manifest=manifest or {}, metrics={}, now=NOW
        )
        models.promote(conn, made.id, promoted_by="lea", now=NOW)
        texts = list(conn.execute(select(post.c.text_id).order_by(post.c.id)).scalars())
        said = rng.dirichlet((0.3, 0.3, 0.3), size=len(texts))
        found = [Prediction(made.id, text, tuple(p)) for text, p in zip(texts, said.tolist(), strict=True)]
        models.add_predictions(conn, found[: round(len(found) * share)])


def try_on(engine: Engine, settings: Settings, actor: Actor, version: str) -> thresholding.Trial:
    columns.make(engine, settings, version=version)
    pool = columns.find(engine, actor, settings, version=version)
    assert pool is not None
    return thresholding.trial(engine, actor, pool, version=version)


def test_trial_counts_the_pool_and_takes_the_judged_audit_slice_for_its_sample(
    engine: Engine, settings: Settings, tmp_path: Path, analyst: Actor
) -> None:
    bring(engine, tmp_path / "a.jsonl", 1, 40)
    with write(engine) as conn:  # what is not of the slice measures nothing
        conn.execute(distinct_text.update().where(distinct_text.c.id <= 10).values(side=Side.train))
    score(engine, share=0.5)
    found = try_on(engine, settings, analyst, "v1")
    with engine.connect() as conn:
        removed = conn.exec_driver_sql(
            "SELECT count(*) FROM post JOIN prediction USING (text_id) WHERE p_violation >= 0.9"
        ).scalar_one()
        passed = conn.exec_driver_sql(
            "SELECT count(*) FROM post JOIN prediction USING (text_id) WHERE p_violation < 0.9 AND p_normal >= 0.95"
        ).scalar_one()
    assert found.pool.posts == 20
    assert found.pool.at(CHOSEN) == {
        Verdict.passes: passed, Verdict.removed: removed, Verdict.moderators: 20 - passed - removed,
    }  # fmt: skip
    assert len(found.sample) == 10
    assert found.sample.truth.tolist() == [n % 3 for n in range(11, 21)]


def test_probabilities_of_the_sample_come_from_corrections_of_other_families(
    engine: Engine, settings: Settings, tmp_path: Path, analyst: Actor
) -> None:
    bring(engine, tmp_path / "a.jsonl", 1, 60)
    manifest = {
        "calibration": {"temperature": 1.5, "offset": [0.3, -0.2, 0.1]},
        "training_mix": {"normal": 0.4, "suspicious": 0.3, "violation": 0.3},
    }
    score(engine, name="v1")
    score(engine, name="v2", manifest=manifest)
    plain, refitted = (try_on(engine, settings, analyst, name).sample.proba for name in ("v1", "v2"))
    with engine.connect() as conn:
        said = np.array(conn.exec_driver_sql(
            "SELECT p_normal, p_suspicious, p_violation FROM post JOIN prediction USING (text_id) "
            "WHERE version_id = 2 ORDER BY post.id"
        ).all())  # fmt: skip
    assert np.allclose(plain, said)
    assert not np.allclose(refitted, said, atol=0.02)
    assert np.allclose(refitted.sum(axis=1), 1)


def test_pace_is_what_came_after_the_first_import_and_unknown_before(
    engine: Engine, settings: Settings, tmp_path: Path, analyst: Actor
) -> None:
    bring(engine, tmp_path / "a.jsonl", 1, 20)
    score(engine)
    assert try_on(engine, settings, analyst, "v1").pace is None
    bring(engine, tmp_path / "b.jsonl", 21, 9)
    assert try_on(engine, settings, analyst, "v1").pace is None  # on the same day
    with write(engine) as conn:
        first, second = conn.execute(select(run.c.id).order_by(run.c.id)).scalars()
        for run_id, at in ((first, NOW), (second, NOW + timedelta(days=3))):
            conn.execute(run.update().where(run.c.id == run_id).values(published_at=at))
    pace = try_on(engine, settings, analyst, "v1").pace
    assert pace is not None
    assert (pace.posts, pace.days, pace.a_day) == (9, 3.0, 3.0)


def test_thresholds_are_kept_under_a_name_with_who_and_when_and_replaced_by_the_same_name(
    engine: Engine, tmp_path: Path, analyst: Actor, lead: Actor, moderator: Actor
) -> None:
    bring(engine, tmp_path / "a.jsonl", 1, 3)
    score(engine)
    thresholding.save_policy(engine, analyst, " careful  ones ", CHOSEN, version="v1", now=NOW)
    later = NOW + timedelta(days=1)
    thresholding.save_policy(engine, lead, "careful ones", Thresholds(None, 0.5), version="v1", now=later)
    found = thresholding.list_policies(engine, analyst)
    assert [(p.name, p.passes, p.removes, p.saved_by, p.saved_at, p.version) for p in found] == [
        ("careful ones", 0.5, None, "lea", later, "v1"),
        ("careful ones", 0.95, 0.9, "ana", NOW, "v1"),
    ]
    assert [row["details"]["removes"] for row in rows(engine, audit_log, action="save thresholds")] == [0.9, None]
    for name in ("", "  ", "x" * 41):
        with pytest.raises(BadInput, match="1 to 40"):
            thresholding.save_policy(engine, lead, name, CHOSEN, version="v1", now=NOW)
    with pytest.raises(NotFound, match="v9"):
        thresholding.save_policy(engine, lead, "x", CHOSEN, version="v9", now=NOW)
    with pytest.raises(NotAllowed):
        thresholding.save_policy(engine, moderator, "x", CHOSEN, version="v1", now=NOW)
    assert len(rows(engine, threshold_policy)) == 2


def test_export_by_thresholds_has_the_columns_that_came_in_a_row_for_each_hit_and_the_verdict_beside(
    engine: Engine, settings: Settings, tmp_path: Path, lead: Actor, analyst: Actor
) -> None:
    path = tmp_path / "forum.tsv"
    path.write_text(
        "pid\tauthor\tauthorid\tuseip\thit_word\tcontext\tversion\n"
        "1\tbob\t7\t192.0.2.1\t微信\t加微信\\t领红包\t\\N\n"
        "1\tbob\t7\t192.0.2.1\t红包\t领红包吧各位\told\n"
        "2\tamy\t8\t192.0.2.2\t天气\t天气真好\t\\N\n"
        "3\tamy\t8\t\\N\t车\t出售自行车\t\\N\n"
    )
    import_file(engine, path)
    labels = tmp_path / "labels.jsonl"
    labels.write_text(json.dumps({"pid": "2", "text": "天气真好", "label": "normal"}) + "\n")
    import_file(engine, labels)
    with write(engine) as conn:
        made = models.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
        models.promote(conn, made.id, promoted_by="lea", now=NOW)
        first, second = conn.execute(select(post.c.text_id).order_by(post.c.id).limit(2)).scalars()
        said = [Prediction(made.id, first, (0.05, 0.05, 0.9)), Prediction(made.id, second, (0.5, 0.25, 0.25))]
        models.add_predictions(conn, said)
    thresholding.save_policy(engine, lead, "careful", CHOSEN, version="v1", now=NOW)

    def exported(actor: Actor, authors: Authors) -> list[list[str | None]]:
        wanted = Wanted(Content.verdicts, SheetForm.tsv, authors, policy="careful")
        sheet = exporting.open_sheet(engine, actor, wanted, settings=settings, now=NOW)
        lines = b"".join(write_sheet(sheet, SheetForm.tsv)).decode().splitlines()
        return [split_fields(line) for line in lines]

    header, *found = exported(lead, Authors.plain)
    assert header == [
        "pid", "author", "authorid", "useip", "hit_word", "context", "version (file)",
        "label", "predicted", "p_normal", "p_suspicious", "p_violation", "version", "verdict",
    ]  # fmt: skip
    assert found == [
        ["1", "bob", "7", "192.0.2.1", "微信", "加微信\t领红包", found[0][6],
         None, "violation", "0.05", "0.05", "0.9", "v1", "removed"],
        ["1", "bob", "7", "192.0.2.1", "红包", "领红包吧各位", found[0][6],
         None, "violation", "0.05", "0.05", "0.9", "v1", "removed"],
        ["2", "amy", "8", "192.0.2.2", "天气", "天气真好", None,
         "normal", "normal", "0.5", "0.25", "0.25", "v1", "moderators"],
        ["3", "amy", "8", None, "车", "出售自行车", None, None, None, None, None, None, "v1", None],
    ]  # fmt: skip
    assert exported(analyst, Authors.left_out)[0][:3] == ["pid", "hit_word", "context"]
    with pytest.raises(NotFound, match="'other'"):
        exporting.open_sheet(
            engine, lead, Wanted(Content.verdicts, SheetForm.tsv, policy="other"), settings=settings, now=NOW
        )
    with pytest.raises(BadInput, match="Thresholds page"):
        Wanted(Content.verdicts, SheetForm.csv)


def test_thresholds_of_one_version_are_tried_on_another(
    engine: Engine, settings: Settings, tmp_path: Path, lead: Actor
) -> None:
    bring(engine, tmp_path / "a.jsonl", 1, 30)
    score(engine, name="v1")
    thresholding.save_policy(engine, lead, "careful", CHOSEN, version="v1", now=NOW)
    with write(engine) as conn:
        made = models.add_version(conn, name="v2", run_id=None, base="b", folder="v2", manifest={}, metrics={}, now=NOW)
        texts = conn.execute(select(post.c.text_id)).scalars()
        models.add_predictions(conn, [Prediction(made.id, text, (0.01, 0.01, 0.98)) for text in texts])
    wanted = Wanted(Content.verdicts, SheetForm.csv, version="v2", policy="careful")
    sheet = exporting.open_sheet(engine, lead, wanted, settings=settings, now=NOW)
    text = b"".join(write_sheet(sheet, SheetForm.csv)).decode()
    assert {(row["version"], row["verdict"]) for row in csv.DictReader(io.StringIO(text))} == {("v2", "removed")}
    assert rows(engine, audit_log, action="export")[-1]["details"]["what"] == "verdicts of v2 by careful as csv"
    assert Label.violation.name in text
