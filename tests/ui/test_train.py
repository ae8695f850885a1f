"""`tiebreak train`: from two files to a version that can be used, without a database; or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.domain import LABEL_NAMES
from core.settings import PROJECT_DIR, Settings
from tests.conftest import marked_text
from tests.ui.test_cli import Terminal

pytestmark = pytest.mark.slow


@pytest.fixture
def tiebreak(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(settings.home, monkeypatch)


def write(path: Path, count: int, *, start: int = 0, **more: Any) -> Path:
    records = ({"text": marked_text(n % 3, n), "label": LABEL_NAMES[n % 3]} | more for n in range(start, start + count))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def asked(train: Path, evaluation: Path, out: Path) -> list[str]:
    return ["train", "--train", str(train), "--eval", str(evaluation), "--out", str(out), "--quick"]


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.training
def test_files_become_a_version_that_predicts_and_a_baseline_beside_it(
    tiebreak: Terminal, settings: Settings, tiny_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    train, evaluation = write(tmp_path / "t.jsonl", 90), write(tmp_path / "e.jsonl", 30, start=500)
    out = tmp_path / "made" / "ckpt"
    made = tiebreak.json(*asked(train, evaluation, out), "--base", "tiny")
    assert made["folder"] == str(out)
    assert made["metrics"]["judged"] == 30
    assert made["metrics"]["measured_on"] == "file"
    manifest = json.loads((out / "manifest.json").read_text())
    hyper = manifest["hyper_parameters"]
    assert (hyper["batch_size"], hyper["steps"], hyper["evaluates"]) == (8, 12, False)
    assert manifest["base"]["name"] == "tiny"
    assert "of an evaluation file" in (out / "README.md").read_text()
    assert not settings.database_path.exists()
    for folder in (made["folder"], made["baseline"]):
        found = tiebreak.json("predict", "--model", folder, "--text", "今天好好好")
        assert found["label"] in LABEL_NAMES
    assert {path.name for path in out.parent.iterdir()} == {"ckpt", "ckpt-tfidf"}
    assert not {name for name in everything(out) if name.endswith((".bin", ".pt", ".pkl")) or "/" in name}


@pytest.mark.training
def test_full_mode_evaluates_each_epoch_and_keeps_the_best_where_there_is_enough_to_choose_by(
    tiebreak: Terminal, settings: Settings, tiny_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    train = write(tmp_path / "t.jsonl", 4_000)
    for name, count in (("enough", 210), ("few", 60)):
        evaluation = write(tmp_path / "e.jsonl", count, start=9_000)
        command = asked(train, evaluation, tmp_path / name)[:-1]
        done = tiebreak(*command, "--base", "tiny")
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert (manifest["hyper_parameters"]["batch_size"], manifest["hyper_parameters"]["steps"]) == (32, 375)
        assert [each["step"] for each in manifest["evaluations"]] == [125, 250, 375]
        assert (manifest["best_epoch"] is not None) == (name == "enough")
        assert ("was the best on these texts" in done.stdout) == (name == "enough")
        assert ("Too few posts are kept aside" in done.stdout) == (name == "few")
        assert "class weights: normal 1.73" in done.stderr


def test_without_the_reference_encoder_the_starter_is_taken_and_said(
    tiebreak: Terminal, settings: Settings, tiny_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_base, settings.models_dir / "base" / "another")
    nothing = tmp_path / "nothing.jsonl"
    assert "Base encoder: starter (shipped" in tiebreak(*asked(nothing, nothing, tmp_path / "v"), code=1).stderr
    shutil.copytree(tiny_base, settings.models_dir / "base" / "hfl" / "chinese-roberta-wwm-ext")
    said = tiebreak(*asked(nothing, nothing, tmp_path / "v"), code=1).stderr
    assert "Base encoder: hfl/chinese-roberta-wwm-ext" in said


@pytest.mark.parametrize("bad", ["train", "evaluation"])
def test_bad_line_of_either_file_is_named_and_nothing_is_written(tiebreak: Terminal, tmp_path: Path, bad: str) -> None:
    files = {name: write(tmp_path / "in" / f"{name}.jsonl", 40) for name in ("train", "evaluation")}
    with files[bad].open("a") as lines:
        lines.write('{"text": "x", "label": "maybe"}\n')
    done = tiebreak(*asked(files["train"], files["evaluation"], tmp_path / "out" / "v"), code=1)
    assert f"{files[bad]}, line 41: unknown label 'maybe'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_too_few_labels_are_refused_before_anything_is_written(tiebreak: Terminal, tmp_path: Path) -> None:
    few = write(tmp_path / "in" / "t.jsonl", 12)
    done = tiebreak(*asked(few, few, tmp_path / "out" / "v"), code=1)
    assert "two classes with at least 8 labels" in done.stderr
    assert not (tmp_path / "out").exists()


def test_folder_with_something_else_in_it_is_never_overwritten_and_a_version_only_when_told_so(
    tiebreak: Terminal, tmp_path: Path
) -> None:
    file = write(tmp_path / "t.jsonl", 40)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "manifest.json").write_text("{}")
    for more in ([], ["--force"]):
        assert "is no version" in tiebreak(*asked(file, file, tmp_path / "photos"), *more, code=1).stderr
    assert "--force to replace it" in tiebreak(*asked(file, file, tmp_path / "v"), code=1).stderr
    assert (tmp_path / "photos" / "cat.jpg").exists()


def test_number_of_gpus_is_one_or_all(tiebreak: Terminal) -> None:
    assert "give 1 or all" in tiebreak("train", "--gpus", "3", code=2).stderr
    assert "give 1 or all" in tiebreak("retrain", "--gpus", "0", code=2).stderr


@pytest.mark.training
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped_training_leaves_nothing_behind(settings: Settings, tmp_path: Path, stop: signal.Signals) -> None:
    train, evaluation = write(tmp_path / "t.jsonl", 3_000), write(tmp_path / "e.jsonl", 30, start=5_000)
    before = everything(tmp_path)
    command = [sys.executable, "-m", "ui.cli", *asked(train, evaluation, tmp_path / "new" / "v")]
    environ = os.environ | {"TIEBREAK_HOME": str(settings.home)}
    process = subprocess.Popen(command, cwd=PROJECT_DIR, env=environ, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = ""
    deadline = time.monotonic() + 120
    while "class weights" not in said and time.monotonic() < deadline:
        said += process.stderr.readline()
    process.send_signal(stop)
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 1, said
    assert "stopped" in said
    assert "Traceback" not in said
    assert everything(tmp_path) - {"models", "data"} == before
