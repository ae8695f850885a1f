"""The report of a version: what it quotes, what it leaves out, and what it says of a version that lacks parts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select

from core.domain import LABEL_NAMES, Label, Prediction, RunKind, Side
from core.errors import NotFound
from core.evaluation import ENOUGH, Aside, evaluate
from core.services import reporting
from core.version_report import page_of
from db import models as model_rows
from db import runs
from db.engine import write
from db.tables import distinct_text, post
from tests.conftest import NOW
from tests.core.services.conftest import OPERATOR, import_file, unlike

EVIL = "<script>alert(1)</script> 加微信领红包 & more"


@pytest.fixture
def forum(engine: Engine, tmp_path: Path) -> list[int]:
    """Decided posts with authors and addresses, all kept aside; one text is hostile. Returns their text ids."""
    path = tmp_path / "labels.jsonl"
    texts = [EVIL, *(unlike(n) for n in range(1, 30))]
    records = [
        {"pid": str(n), "text": text, "label": LABEL_NAMES[n % 3], "author": f"author{n}", "useip": f"192.0.2.{n}"}
        for n, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    import_file(engine, path)
    with write(engine) as conn:
        conn.execute(distinct_text.update().values(side=Side.evaluation))
        return list(conn.execute(select(post.c.text_id).order_by(post.c.id)).scalars())


def figures() -> tuple[dict[str, object], dict[str, object]]:
    """(metrics, calibration) as a version of 300 random texts has them."""
    rng = np.random.default_rng(1)
    truth = np.arange(ENOUGH) % 3
    logits = rng.normal(size=(ENOUGH, 3)) + 2 * np.eye(3)[truth]
    aside = Aside(truth, np.arange(ENOUGH), np.ones(ENOUGH), np.full(ENOUGH, True))
    found = evaluate(logits, aside, trained=np.full(3, 1 / 3), seed=1)
    assert found.correction is not None
    return found.figures, {"temperature": found.correction.temperature, "offset": list(found.correction.offset)}


@pytest.fixture
def version(engine: Engine, forum: list[int]) -> str:
    """It says normal of everything, the surest of it of the first texts."""
    metrics, calibration = figures()
    manifest = {
        "base": {"name": "org/tiny", "sha256": "a" * 64},
        "snapshot": "abc123",
        "warnings": ["A <b>warning</b>."],
        "calibration": calibration,
        "examples": {"training": {"normal": 10, "suspicious": 9, "violation": 8}},
        "hyper_parameters": {"learning_rate": 0.0003, "quick": True},
    }
    with write(engine) as conn:
        run = runs.add_run(conn, kind=RunKind.training, config={}, created_by="x", now=NOW)
        for step in (10, 20, 30):
            runs.add_point(conn, run.id, runs.RunPoint(step, 1 / step, step / 40, (0.5, None, step / 60)))
        made = model_rows.add_version(
            conn, name="v1", run_id=run.id, base="org/tiny", folder="v1", manifest=manifest, metrics=metrics, now=NOW
        )
        sure = [0.98 - 0.01 * n for n in range(len(forum))]
        said = [(p, (1 - p) / 2, (1 - p) / 2) for p in sure]
        found = [Prediction(made.id, text, proba) for text, proba in zip(forum, said, strict=True)]
        model_rows.add_predictions(conn, found)
    return made.name


def report(engine: Engine, name: str, *, language: str = "en") -> str:
    return page_of(reporting.version_report(engine, OPERATOR, name, now=NOW), now=NOW, language=language)


def test_report_shows_figures_curves_calibration_and_settings(engine: Engine, version: str) -> None:
    page = report(engine, version)
    for said in (
        "Model version v1", "drawn at random (audit slice)", "macro-F1", "Confusion matrix", "Temperature",
        "of the most likely label", "share of the violations that passes", "Loss by step",
        "Recall by label and step", "abc123", "a" * 64,
        "0.0003", "normal 10, suspicious 9, violation 8", "It is not the active version",
    ):  # fmt: skip
        assert said in page, said
    assert page.count("<svg") == 4
    assert re.search(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", page)


def test_surest_errors_stand_first_and_are_counted(engine: Engine, version: str) -> None:
    found = reporting.version_report(engine, OPERATOR, version, now=NOW)
    assert (found.error_count, len(found.errors)) == (20, 20)
    assert [error.said for error in found.errors] == [Label.normal] * 20
    assert [error.probability for error in found.errors] == sorted((e.probability for e in found.errors), reverse=True)
    assert all(error.truth is not Label.normal for error in found.errors)


def test_nothing_of_people_and_nothing_that_runs_is_in_the_page(engine: Engine, version: str, forum: list[int]) -> None:
    with write(engine) as conn:  # make the hostile text an error
        conn.execute(
            model_rows.prediction.update()
            .where(model_rows.prediction.c.text_id == forum[0])
            .values(p_normal=0.01, p_suspicious=0.0, p_violation=0.99)
        )
    page = report(engine, version)
    assert "加微信领红包" in page
    assert "<script" not in page
    assert "A &lt;b&gt;warning&lt;/b&gt;." in page
    assert "author" not in page
    assert "192.0.2" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert not re.search(r"\s(src|href|style|on\w+)=", page)


def test_version_that_was_measured_on_nothing_says_so(engine: Engine, forum: list[int]) -> None:
    with write(engine) as conn:
        model_rows.add_version(conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW)
    page = report(engine, "v1")
    assert "Measured on nothing" in page
    assert "Not calibrated" in page
    assert "None are set" in page
    assert "<svg" not in page
    with pytest.raises(NotFound, match="v9"):
        report(engine, "v9")
