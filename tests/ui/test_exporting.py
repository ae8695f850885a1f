"""`tiebreak export` and `tiebreak report version` as their users meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.domain import LABEL_NAMES
from core.evaluation import NOTHING
from core.learning.baseline import load_classifier, make_baseline
from core.learning.examples import TrainingExample
from core.settings import Settings
from db import models
from db.engine import write
from db.tables import audit_log
from tests.conftest import NOW, marked_text, rows
from tests.ui.test_cli import Terminal

pytestmark = pytest.mark.slow


@pytest.fixture
def tiebreak(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(settings.home, monkeypatch)


@pytest.fixture
def version(engine: Engine, settings: Settings) -> str:
    """A baseline, which takes no encoder, as a version of the installation."""
    known = [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(60)]
    folder = settings.versions_dir / "v1"
    manifest = make_baseline(known, seed=1, snapshot_hash="s", out_dir=folder, measure=lambda partial: NOTHING)
    with write(engine) as conn:
        models.add_version(
            conn, name="v1", run_id=None, base="tfidf", folder="v1", manifest=manifest, metrics={}, now=NOW
        )
    return "v1"


def test_version_is_exported_by_its_name_or_its_folder_and_on_record(
    tiebreak: Terminal, engine: Engine, settings: Settings, version: str, tmp_path: Path
) -> None:
    for place, asked in (("a", version), ("b", str(settings.versions_dir / version))):
        made = tiebreak.json("export", "model", asked, "--format", "adapter", "--out", str(tmp_path / place))
        assert made["files"] == ["README.md", "baseline.safetensors", "manifest.json", "vocabulary.json"]
        assert load_classifier(tmp_path / place).probabilities(["x"]).shape == (1, 3)
    assert [row["details"]["what"] for row in rows(engine, audit_log, action="export")] == ["model v1 as adapter"] * 2
    assert "## Thresholds\n\nNone have been set" in (tmp_path / "a" / "README.md").read_text()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("v1", "--format", "onnx", "--out", "{}/x"), 1, "no ONNX form"),
        (("v1", "--format", "pickle", "--out", "{}/x"), 2, "pickle"),
        (("v9", "--format", "adapter", "--out", "{}/x"), 1, "no model version 'v9'"),
        (("v1", "--format", "adapter", "--out", "{}"), 1, "holds something already"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(
    tiebreak: Terminal, version: str, tmp_path: Path, args: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "mine.txt").touch()
    done = tiebreak("export", "model", *(each.format(tmp_path) for each in args), code=code)
    assert says in done.stderr
    assert not (tmp_path / "x").exists()


def test_snapshot_without_labels_is_refused(tiebreak: Terminal, tmp_path: Path) -> None:
    assert "at least two classes" in tiebreak("export", "snapshot", "--out", str(tmp_path / "s"), code=1).stderr


def test_report_is_written_into_a_file(
    tiebreak: Terminal, engine: Engine, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tiebreak.json("report", "version", version) == {"version": "v1", "out": "v1.html"}
    page = (tmp_path / "v1.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "Model version v1" in page
    assert tiebreak.json("report", "version", version, "--out", "other.html")["out"] == "other.html"
    assert "no model version 'v9'" in tiebreak("report", "version", "v9", code=1).stderr
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"v1.html", "other.html"}


def test_tables_are_written_to_a_file_or_to_standard_output(
    tiebreak: Terminal, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = [{"pid": str(n), "text": marked_text(n % 3, n), "label": LABEL_NAMES[n % 3]} for n in range(6)]
    Path("labels.jsonl").write_text("".join(json.dumps(each) + "\n" for each in labels))
    tiebreak("import", "labels.jsonl")
    assert tiebreak.json("export", "gold") == {"content": "gold", "format": "csv", "out": "gold.csv", "rows": 6}
    assert tiebreak.json("export", "gold", "--format", "label-studio")["out"] == "gold.label-studio.json"
    tiebreak("import", "gold.label-studio.json")
    assert tiebreak.json("export", "decisions", "--format", "parquet", "--out", "d.parquet")["rows"] == 12
    for content in ("families", "agreement", "audit"):
        assert tiebreak.json("export", content)["out"] == f"{content}.csv"
    assert "takes gold labels" in tiebreak("export", "families", "--format", "doccano", code=2).stderr
    assert "No model version is active" in tiebreak("export", "predictions", code=1).stderr
    assert not list(tmp_path.glob("*.partial"))


def test_report_of_a_week_is_written_into_a_file(
    tiebreak: Terminal, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tiebreak.json("report", "week", "--week", "2026-W10") == {"week": "2026-W10", "out": "2026-W10.html"}
    assert "Week 2026-W10" in (tmp_path / "2026-W10.html").read_text(encoding="utf-8")
    assert tiebreak.json("report", "week", "--out", "last.html")["out"] == "last.html"
    assert "write it like 2026-W47" in tiebreak("report", "week", "--week", "10", code=2).stderr
