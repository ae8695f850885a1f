"""Training and scoring with a tiny encoder: it learns, it can be stopped, and what is saved is what was trained."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.calibration import softmax
from core.domain import LABEL_NAMES
from core.errors import BadInput, Cancelled, Conflict
from core.evaluation import ENOUGH, Aside, Evaluation, evaluate
from core.learning import schedules
from core.learning.examples import TrainingExample, class_weights
from core.settings import PROJECT_DIR
from tests.conftest import marked_text

pytestmark = pytest.mark.training

LABELS = (0, 1, 2)


@pytest.fixture(scope="module")
def learning():
    """core.learning.training, imported when a test of it runs."""
    from core.learning import training

    return training


def examples(count: int, *, start: int = 0, labels: tuple[int, ...] = LABELS) -> list[TrainingExample]:
    return [
        TrainingExample(marked_text(labels[n % len(labels)], n), labels[n % len(labels)])
        for n in range(start, start + count)
    ]


def config_for(learning, base: Path, *, quick: bool = True, rate: float = 3e-3):
    return learning.TrainingConfig(
        base_path=base, base_name="tiny", quick=quick, seed=1, snapshot_hash="s", learning_rate=rate, max_tokens=64
    )


@pytest.fixture(scope="module")
def version(learning, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version trained in full on three marked classes, with enough to choose the best epoch by."""
    folder = tmp_path_factory.mktemp("versions") / "v1"
    learning.train(
        examples(240),
        examples(210, start=1_000),
        config=config_for(learning, tiny_base, quick=False),
        out_dir=folder,
        measure=lambda partial: measured(partial, tiny_base),
    )
    return folder


def measured(partial: Path, base: Path, *, random: bool = True) -> Evaluation:
    """What the version says as it stands aside, before anybody can see it, of texts drawn at random or not."""
    from core.learning.scoring import load_classifier

    assert not partial.with_name(partial.name.removesuffix(".partial")).exists()
    truth = np.arange(ENOUGH) % 3
    logits = load_classifier(partial, base_path=base).logits([marked_text(label, n) for n, label in enumerate(truth)])
    aside = Aside(truth, np.arange(ENOUGH), np.ones(ENOUGH), np.full(ENOUGH, random))
    return evaluate(logits, aside, trained=np.full(3, 1 / 3), seed=1)


def probabilities(version: Path, base: Path, texts: list[str]) -> np.ndarray:
    from core.learning.scoring import load_classifier

    return load_classifier(version, base_path=base).probabilities(texts)


def test_it_learns_what_the_labels_say(version: Path, tiny_base: Path) -> None:
    texts = [marked_text(n % 3, n) for n in range(3_000, 3_090)]
    proba = probabilities(version, tiny_base, texts)
    assert proba.shape == (90, 3)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-6
    assert (proba.argmax(axis=1) == np.arange(90) % 3).mean() > 0.9


def test_best_epoch_is_chosen_kept_and_said(version: Path) -> None:
    manifest = json.loads((version / "manifest.json").read_text())
    curve = [point["macro_f1"] for point in manifest["evaluations"]]
    assert manifest["hyper_parameters"]["chooses_best"]
    assert manifest["best_epoch"] == pytest.approx(curve.index(max(curve)) + 1, abs=0.01)


def test_manifest_says_what_the_version_was_made_of_and_names_no_folder(version: Path, tiny_base: Path) -> None:
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["labels"] == list(LABEL_NAMES)
    assert manifest["base"]["name"] == "tiny"
    assert manifest["examples"]["training"] == {"normal": 80, "suspicious": 80, "violation": 80}
    assert {"torch", "transformers", "peft", "accelerate", "datasets", "evaluate"} <= set(manifest["libraries"])
    card = (version / "README.md").read_text()
    assert f"macro-F1 {manifest['metrics']['macro_f1']:.3f}" in card
    assert manifest["metrics"]["judged"] == ENOUGH
    assert "| suspicious | " in card
    for path in version.iterdir():
        if path.suffix in (".json", ".md"):
            assert str(tiny_base.parent) not in path.read_text(), path
    assert not list(version.glob("*.bin"))


def test_probabilities_are_the_same_in_another_process(version: Path, tiny_base: Path) -> None:
    texts = [marked_text(n % 3, n) for n in range(20)]
    here = probabilities(version, tiny_base, texts)
    script = (
        "import json, sys; from pathlib import Path; from core.learning.scoring import load_classifier\n"
        "version, base, texts = json.loads(sys.stdin.read())\n"
        "print(json.dumps(load_classifier(Path(version), base_path=Path(base)).probabilities(texts).tolist()))"
    )
    asked = json.dumps([str(version), str(tiny_base), texts])
    there = subprocess.run(
        [sys.executable, "-c", script], input=asked, capture_output=True, text=True, check=True, cwd=PROJECT_DIR
    )
    assert np.abs(here - np.array(json.loads(there.stdout))).max() < 1e-5


def test_version_says_by_which_correction_its_probabilities_came_about_and_applies_it(
    version: Path, tiny_base: Path
) -> None:
    from core.learning.scoring import load_classifier

    found = json.loads((version / "manifest.json").read_text())["calibration"]
    assert len(found["offset"]) == 3
    classifier = load_classifier(version, base_path=tiny_base)
    texts = [marked_text(n % 3, n) for n in range(30)]
    logits = classifier.logits(texts).astype(float)
    expected = softmax(logits / found["temperature"] + np.array(found["offset"]))
    np.testing.assert_allclose(classifier.probabilities(texts), expected, atol=1e-6)
    assert "the temperature" in (version / "README.md").read_text()


def test_order_of_texts_and_size_of_batches_change_no_probability(version: Path, tiny_base: Path) -> None:
    from core.learning.scoring import load_classifier

    texts = [marked_text(n % 3, n) for n in range(30)]
    classifier = load_classifier(version, base_path=tiny_base)
    whole = classifier.probabilities(texts)
    assert np.abs(classifier.probabilities(texts[::-1])[::-1] - whole).max() < 1e-3
    alone = np.concatenate([classifier.probabilities([text]) for text in texts])
    assert np.abs(alone - whole).max() < 2e-2
    assert classifier.probabilities([]).shape == (0, 3)


def test_version_on_another_base_is_refused(version: Path, tiny_base: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = shutil.copytree(tiny_base, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    save_file({name: value + 0.01 for name, value in weights.items()}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match="put the original base encoder back"):
        probabilities(version, other, ["x"])


def test_base_with_bin_weights_is_read_and_one_that_would_run_code_is_not(
    learning, tiny_base: Path, tmp_path: Path
) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file

    base = shutil.copytree(tiny_base, tmp_path / "with-bin")
    torch.save(load_file(base / "model.safetensors"), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    learning.train(
        examples(60),
        [],
        config=config_for(learning, base),
        out_dir=tmp_path / "v",
        is_cancelled=lambda: False,
    )
    assert probabilities(tmp_path / "v", base, ["好好好"]).shape == (1, 3)

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    (base / "pytorch_model.bin").write_bytes(pickle.dumps({"bert": Evil()}))
    with pytest.raises(BadInput, match="cannot be loaded"):
        learning.train(examples(60), [], config=config_for(learning, base), out_dir=tmp_path / "w")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "w").exists()


def test_cancelled_training_leaves_nothing_behind(learning, tiny_base: Path, tmp_path: Path) -> None:
    asked: list[int] = []
    with pytest.raises(Cancelled):
        learning.train(
            examples(60),
            [],
            config=config_for(learning, tiny_base),
            out_dir=tmp_path / "v",
            report=lambda progress: asked.append(progress.done),
            is_cancelled=lambda: bool(asked) and asked[-1] >= 10,
        )
    assert list(tmp_path.iterdir()) == []
    assert max(asked) < 20


def test_fewer_than_two_classes_with_eight_labels_are_refused_before_it_starts(
    learning, tiny_base: Path, tmp_path: Path
) -> None:
    few = examples(30, labels=(0,)) + examples(7, labels=(2,))
    with pytest.raises(Conflict, match="normal 30, suspicious 0, violation 7"):
        learning.train(few, [], config=config_for(learning, tiny_base), out_dir=tmp_path / "v")
    assert list(tmp_path.iterdir()) == []


def test_class_without_labels_is_a_warning_on_the_version(learning, tiny_base: Path, tmp_path: Path) -> None:
    result = learning.train(
        examples(40, labels=(0, 2)), [], config=config_for(learning, tiny_base), out_dir=tmp_path / "v"
    )
    assert ["suspicious" in warning for warning in result.warnings] == [True]
    assert "suspicious" in (tmp_path / "v" / "README.md").read_text()


def test_best_epoch_is_chosen_only_when_there_is_enough_to_choose_by(learning) -> None:
    plenty, rare = examples(210), examples(210, labels=(0,)) + examples(19, labels=(2,))
    assert schedules.plan(plenty, plenty, quick=False).chooses_best
    assert not schedules.plan(plenty, rare, quick=False).chooses_best
    assert not schedules.plan(plenty, plenty[:199], quick=False).chooses_best
    assert not schedules.plan(plenty, plenty, quick=True).evaluates


def test_class_weights_are_mild_and_bounded() -> None:
    weights = class_weights(examples(99, labels=(0,)) + examples(1, labels=(2,)))
    assert weights == pytest.approx([1.005, 1.0, 5.0], abs=1e-3)


def test_metric_needs_no_network_and_agrees_with_ours(tmp_path: Path) -> None:
    from core.learning.metric import compute_metrics
    from core.metrics import measure

    truth, said = [0, 1, 2, 0, 0, 1], [0, 1, 0, 0, 2, 1]
    assert compute_metrics(truth, said, cache_dir=str(tmp_path))["macro_f1"] == measure(truth, said).macro_f1


def test_device_module_answers_in_one_json_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "core.learning.device"], capture_output=True, text=True, check=True, cwd=PROJECT_DIR
    ).stdout
    assert json.loads(said)["kind"] in ("cpu", "cuda")
