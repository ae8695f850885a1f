"""The steps of a training: in pieces where memory is short, by several processes, and each time the same."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import Cancelled, TiebreakError
from core.learning.examples import TrainingExample
from core.learning.schedules import Schedule
from core.settings import PROJECT_DIR
from tests.conftest import marked_text

pytestmark = pytest.mark.training

SHORT = Schedule(16, 20, evaluates=False, chooses_best=False)


@pytest.fixture(scope="module")
def learning():
    """core.learning.training, imported when a test of it runs."""
    from core.learning import training

    return training


@pytest.fixture(scope="module")
def cpu():
    """A CPU that computes in full precision, whatever this one can do."""
    from core.learning.device import find_device

    return replace(find_device(), kind="cpu", precision="fp32", place="cpu")


@pytest.fixture(scope="module")
def steady_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder without dropout: what comes out depends on the order of examples alone."""
    folder = shutil.copytree(tiny_base, tmp_path_factory.mktemp("steady") / "base")
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def examples(count: int, *, start: int = 0) -> list[TrainingExample]:
    return [
        TrainingExample(marked_text(n % 3, n), n % 3, weight=1.0 + n % 2 * 0.5) for n in range(start, start + count)
    ]


def config_for(learning, base: Path):
    return learning.TrainingConfig(
        base_path=base, base_name="b", quick=True, seed=1, snapshot_hash="s", learning_rate=3e-3, max_tokens=64,
        dropout=0.0,
    )  # fmt: skip


def train(learning, base: Path, out_dir: Path, *, schedule: Schedule = SHORT, **options: Any) -> list[float]:
    """Returns the loss of each step, in order."""
    losses: list[float] = []

    def note(progress: Any) -> None:
        if progress.loss is not None:
            losses.append(progress.loss)
        options.get("report", lambda progress: None)(progress)

    learning.train(
        options.get("training", examples(100)),
        options.get("evaluation", []),
        config=config_for(learning, base),
        out_dir=out_dir,
        schedule=schedule,
        devices=options["devices"],
        report=note,
        is_cancelled=options.get("is_cancelled", lambda: False),
    )
    return losses


def with_memory_for(monkeypatch: pytest.MonkeyPatch, learning, most: int) -> list[int]:
    """A device that holds so many examples at once; returns the sizes that were tried, as they come."""
    import torch

    tried: list[int] = []
    add_lora = learning.add_lora

    def refuse_more(module: object, args: object, kwargs: dict[str, Any]) -> None:
        size = len(kwargs["input_ids"])
        tried.append(size)
        if size > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    def add_lora_and_limit(base: Any, config: Any) -> Any:
        model = add_lora(base, config)
        model.register_forward_pre_hook(refuse_more, with_kwargs=True)
        return model

    monkeypatch.setattr(learning, "add_lora", add_lora_and_limit)
    return tried


def test_batch_that_does_not_fit_is_computed_in_halves_and_nothing_else_changes(
    learning, cpu, steady_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(learning, steady_base, tmp_path / "whole", devices=[cpu])
    tried = with_memory_for(monkeypatch, learning, 5)
    setups: list[Any] = []
    pieces = train(
        learning, steady_base, tmp_path / "pieces", devices=[cpu], report=lambda progress: setups.append(progress.setup)
    )
    assert [tried[0], tried[1], tried[2]] == [16, 8, 4]
    assert max(tried[3:]) == 4
    assert len(pieces) == 20
    np.testing.assert_allclose(pieces, whole, atol=1e-4)
    manifest = json.loads((tmp_path / "pieces" / "manifest.json").read_text())["hyper_parameters"]
    assert (manifest["batch_size"], manifest["computed_at_once"]) == (16, 4)
    assert [setup.at_once for setup in setups if setup is not None] == [16, 16, 8, 4]


def test_training_fails_in_a_sentence_only_where_a_single_example_does_not_fit(
    learning, cpu, steady_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory_for(monkeypatch, learning, 1)
    train(learning, steady_base, tmp_path / "one", devices=[cpu], schedule=replace(SHORT, steps=2))
    tried = with_memory_for(monkeypatch, learning, 0)
    with pytest.raises(TiebreakError, match="too little memory for a single example"):
        train(learning, steady_base, tmp_path / "none", devices=[cpu])
    assert tried[-1] == 1
    assert not (tmp_path / "none").exists()


def test_evaluation_goes_on_in_halves_too(
    learning, cpu, steady_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = with_memory_for(monkeypatch, learning, 20)
    found: list[Any] = []
    train(
        learning,
        steady_base,
        tmp_path / "v",
        devices=[cpu],
        schedule=Schedule(16, 7, evaluates=True, chooses_best=False),
        evaluation=examples(70, start=1_000),
        report=lambda progress: found.append(progress) if progress.macro_f1 is not None else None,
    )
    assert 64 in tried
    assert [progress.done for progress in found] == [7]
    assert found[0].recall == tuple(
        json.loads((tmp_path / "v" / "manifest.json").read_text())["evaluations"][0]["recall"].values()
    )


def test_other_errors_of_the_libraries_are_not_taken_for_a_lack_of_memory(
    learning, cpu, steady_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("core.learning.fitting.cross_entropy", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(learning, steady_base, tmp_path / "v", devices=[cpu])
    assert list(tmp_path.iterdir()) == []


def test_frozen_weights_in_half_precision_change_no_loss(
    learning, cpu, steady_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = replace(cpu, precision="bf16")
    held = train(learning, steady_base, tmp_path / "held", devices=[device])
    monkeypatch.setattr(learning, "hold_frozen", lambda model, kind: model)
    monkeypatch.setattr("core.learning.fitting.disable_input_dtype_casting", nullcontext)
    np.testing.assert_allclose(train(learning, steady_base, tmp_path / "whole", devices=[device]), held, atol=1e-3)


def test_two_processes_learn_what_one_does(learning, cpu, steady_base: Path, tmp_path: Path) -> None:
    alone = train(learning, steady_base, tmp_path / "one", devices=[cpu])
    together = train(learning, steady_base, tmp_path / "two", devices=[cpu, cpu])
    assert len(alone) == len(together) == 20
    np.testing.assert_allclose(together, alone, atol=1e-3)
    assert alone[-1] < alone[0]
    assert json.loads((tmp_path / "two" / "manifest.json").read_text())["device"]["count"] == 2
    np.testing.assert_allclose(logits_in_a_new_process(tmp_path / "two", steady_base), logits_in_a_new_process(
        tmp_path / "one", steady_base), atol=1e-2)  # fmt: skip


def test_two_processes_evaluate_each_text_once_and_choose_the_same_epoch(
    learning, cpu, steady_base: Path, tmp_path: Path
) -> None:
    schedule = Schedule(16, 21, evaluates=True, chooses_best=True)
    curves = []
    for name, devices in (("one", [cpu]), ("two", [cpu, cpu])):
        train(
            learning,
            steady_base,
            tmp_path / name,
            devices=devices,
            schedule=schedule,
            evaluation=examples(71, start=1_000),
        )
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        curves.append((manifest["best_epoch"], [round(each["macro_f1"], 2) for each in manifest["evaluations"]]))
    assert curves[0] == curves[1]
    assert len(curves[0][1]) == 3


def interrupted(
    learning, cpu, base: Path, out_dir: Path, *, when: Callable[[], None], **options: Any
) -> type[TiebreakError] | None:
    """Train long by two processes, do something once they have begun, and return what it ended with."""
    begun = threading.Event()
    ended: list[type[TiebreakError]] = []

    def note(progress: Any) -> None:
        if progress.done >= 3:
            begun.set()

    def work() -> None:
        try:
            train(
                learning,
                base,
                out_dir,
                devices=[cpu, cpu],
                schedule=replace(SHORT, steps=100_000),
                report=note,
                **options,
            )
        except TiebreakError as err:
            ended.append(type(err))

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(120)
    when()
    thread.join(30)
    assert not thread.is_alive()
    assert multiprocessing.active_children() == []
    return ended[0] if ended else None


def test_cancelled_training_of_two_processes_ends_both_and_leaves_nothing(
    learning, cpu, steady_base: Path, tmp_path: Path
) -> None:
    asked: list[bool] = []
    ended = interrupted(
        learning,
        cpu,
        steady_base,
        tmp_path / "v",
        when=lambda: asked.append(True),
        is_cancelled=lambda: bool(asked),
    )
    assert ended is Cancelled
    assert list(tmp_path.iterdir()) == []


def test_training_whose_second_process_is_killed_ends_readably_and_leaves_nothing(
    learning, cpu, steady_base: Path, tmp_path: Path
) -> None:
    def kill_second() -> None:
        second = next(child for child in multiprocessing.active_children() if child.name == "seat-1")
        assert second.pid is not None
        os.kill(second.pid, signal.SIGKILL)

    begun = time.monotonic()
    assert interrupted(learning, cpu, steady_base, tmp_path / "v", when=kill_second) is TiebreakError
    assert time.monotonic() - begun < 150
    assert list(tmp_path.iterdir()) == []


TEXTS = [marked_text(n % 3, n) for n in range(12)]


def logits_in_a_new_process(version: Path, base: Path) -> np.ndarray:
    script = (
        "import json, sys, torch; from pathlib import Path\n"
        "from core.learning.adapters import load_merged\n"
        "from core.learning.classifiers import load_tokenizer\n"
        "version, base, texts = json.loads(sys.stdin.read())\n"
        "model = load_merged(Path(version), base_path=Path(base)).eval()\n"
        "batch = load_tokenizer(Path(version))(texts, padding=True, return_tensors='pt')\n"
        "print(json.dumps(model(**batch).logits.tolist()))"
    )
    asked = json.dumps([str(version), str(base), TEXTS])
    there = subprocess.run(
        [sys.executable, "-c", script], input=asked, capture_output=True, text=True, check=True, cwd=PROJECT_DIR
    )
    return np.array(json.loads(there.stdout))


@pytest.fixture(params=["starter", "safetensors", "bin"])
def some_base(request: pytest.FixtureRequest, tiny_base: Path, tmp_path: Path) -> Path:
    """The shipped encoder, and a tiny BERT in Hub layout with its weights either way."""
    if request.param == "starter":
        return PROJECT_DIR / "models" / "starter"
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    if request.param == "bin":
        import torch
        from safetensors.torch import load_file

        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return folder


def test_version_loaded_in_a_new_process_says_what_the_trained_model_said_head_included(
    learning, cpu, some_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    save, said = learning._save, []

    def save_and_ask(model: Any, tokenizer: Any, folder: Path, config: Any) -> None:
        save(model, tokenizer, folder, config)
        with torch.inference_mode():
            said.append(model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy())

    monkeypatch.setattr(learning, "_save", save_and_ask)
    train(learning, some_base, tmp_path / "v", devices=[cpu], schedule=replace(SHORT, steps=5))
    found = logits_in_a_new_process(tmp_path / "v", some_base)
    assert found.shape == (12, 3)
    assert np.abs(found).max() > 0.01
    np.testing.assert_allclose(found, said[0], atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_same_seed_on_the_same_device_gives_the_same_figures_in_any_precision(
    learning, cpu, tiny_base: Path, tmp_path: Path, precision: str
) -> None:
    device = replace(cpu, precision=precision)
    schedule = Schedule(16, 40, evaluates=True, chooses_best=False)
    found = []
    for name in ("a", "b"):
        losses = train(
            learning,
            tiny_base,
            tmp_path / name,
            devices=[device],
            schedule=schedule,
            evaluation=examples(60, start=500),
        )
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        found.append((losses, manifest["evaluations"]))
        assert manifest["device"]["precision"] == precision
    assert found[0] == found[1]
    assert sum(found[0][0][-8:]) < sum(found[0][0][:8])
