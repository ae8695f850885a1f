"""Exported versions in the hands of other programs: the same probabilities, without Tiebreak."""

from __future__ import annotations

import json
import subprocess
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain import LABEL_NAMES
from core.errors import BadInput, Conflict
from core.evaluation import ENOUGH, Aside, Evaluation, evaluate
from core.learning.examples import TrainingExample
from core.settings import PROJECT_DIR, Settings
from tests.conftest import NOW, marked_text
from tests.core.learning.test_adapters import KINDS, save_small, save_tuned
from tests.core.services.conftest import OPERATOR

pytestmark = pytest.mark.training

TEXTS = [marked_text(n % 3, n) for n in range(12)] + ["x" * 200, "好"]
Export = Callable[..., Path]


def measured(logits: np.ndarray) -> Evaluation:
    """Random texts with many normal ones among them: the correction has a temperature and an offset."""
    truth = np.array([0 if n % 4 else n % 3 for n in range(ENOUGH)])
    aside = Aside(truth, np.arange(ENOUGH), np.ones(ENOUGH), np.full(ENOUGH, True))
    return evaluate(logits, aside, trained=np.full(3, 1 / 3), seed=1)


def evaluation_texts() -> list[str]:
    return [marked_text(0 if n % 4 else n % 3, 5_000 + n) for n in range(ENOUGH)]


@pytest.fixture(scope="module", params=["tiny", "starter"])
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(folder of a calibrated version, its base): the tiny random BERT in Hub layout, and the shipped starter."""
    from core.learning.schedules import Schedule
    from core.learning.scoring import load_classifier
    from core.learning.training import TrainingConfig, train

    base = PROJECT_DIR / "models" / "starter" if request.param == "starter" else request.getfixturevalue("tiny_base")
    folder = tmp_path_factory.mktemp("versions") / "v1"
    config = TrainingConfig(
        base_path=base, base_name=str(base), quick=True, seed=1, snapshot_hash="s", learning_rate=3e-3, max_tokens=64
    )

    train(
        [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(60)],
        [],
        config=config,
        out_dir=folder,
        schedule=Schedule(16, 12, evaluates=False, chooses_best=False),  # it is no matter how good it is
        measure=lambda partial: measured(load_classifier(partial, base_path=base).logits(evaluation_texts())),
    )
    return folder, base


@pytest.fixture(scope="module")
def expected(version: tuple[Path, Path]) -> np.ndarray:
    """What Tiebreak says, computed in fp32 by other means than the exports: adapter, then the correction by hand."""
    import torch

    from core.calibration import softmax
    from core.learning.adapters import load_merged
    from core.learning.classifiers import load_tokenizer

    folder, base = version
    manifest = json.loads((folder / "manifest.json").read_text())
    model, tokenizer = load_merged(folder, base_path=base).eval(), load_tokenizer(folder)
    found = manifest["calibration"]
    assert abs(found["temperature"] - 1) > 0.01
    assert max(map(abs, found["offset"])) > 0.1
    with torch.inference_mode():
        logits = [
            model(**tokenizer(text, truncation=True, max_length=64, return_tensors="pt")).logits[0].double().numpy()
            for text in TEXTS
        ]
    return softmax(np.stack(logits) / found["temperature"] + np.array(found["offset"]))


@pytest.fixture
def export(version: tuple[Path, Path], settings: Settings, engine: Any, tmp_path: Path) -> Iterator[Export]:
    """Export the version by the command's own function; its base lies in the folder that the manifest names."""
    from core.shipping import ExportForm, export_model

    def make(form: str, *, of: Path | None = None) -> Path:
        out = tmp_path / "exported"
        export_model(settings, engine, OPERATOR, str(of or version[0]), ExportForm(form), out, now=NOW)
        return out

    return make


def without_tiebreak(script: str, folder: Path, *args: str) -> Any:
    """Run a script in a virtual environment without this program, offline, and return the JSON that it prints."""
    guard = "import importlib.util as u\nassert all(u.find_spec(n) is None for n in ('core', 'ui', 'db'))\n"
    path = folder.parent / "script.py"
    path.write_text(guard + script, encoding="utf-8")
    environment = folder.parent / "environment"
    venv.create(environment, symlinks=True)
    # The libraries are those installed here; what hooks an editable install in is read in site folders alone.
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "libraries.pth").write_text(f"{Path(np.__file__).parent.parent}\n")
    done = subprocess.run(
        [environment / "bin" / "python", "-P", path, folder, *args],
        input=json.dumps(TEXTS), capture_output=True, text=True, check=False, cwd=folder.parent,
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


PIPELINE = """
import json, sys
from transformers import pipeline
judge = pipeline("text-classification", model=sys.argv[1], top_k=None, truncation=True)
print(json.dumps([{said["label"]: said["score"] for said in found} for found in judge(json.load(sys.stdin))]))
"""


def test_merged_model_is_a_pipeline_that_says_the_stored_probabilities(export: Export, expected: np.ndarray) -> None:
    folder = export("merged")
    found = without_tiebreak(PIPELINE, folder)
    np.testing.assert_allclose([[said[name] for name in LABEL_NAMES] for said in found], expected, atol=1e-5)
    assert json.loads((folder / "config.json").read_text())["id2label"] == {
        "0": "normal", "1": "suspicious", "2": "violation",
    }  # fmt: skip


ONNX = """
import json, sys
import onnxruntime
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
batch = tokenizer(json.load(sys.stdin), padding=True, truncation=True, return_tensors="np")
inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
print(json.dumps(session.run(["probabilities"], inputs)[0].tolist()))
"""


def test_onnx_says_the_stored_probabilities(export: Export, expected: np.ndarray) -> None:
    pytest.importorskip("onnxruntime")
    folder = export("onnx")
    np.testing.assert_allclose(without_tiebreak(ONNX, folder), expected, atol=1e-4)
    assert json.loads((folder / "config.json").read_text())["id2label"]["2"] == "violation"


PEFT = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer
base = AutoModelForSequenceClassification.from_pretrained(sys.argv[2], num_labels=3, dtype=torch.float32)
model = PeftModel.from_pretrained(base, sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
batch = tokenizer(json.load(sys.stdin), padding=True, truncation=True, max_length=64, return_tensors="pt")
with torch.inference_mode():
    print(json.dumps(model(**batch).logits.softmax(-1).tolist()))
"""


def test_adapter_says_the_stored_probabilities_through_plain_peft(
    export: Export, version: tuple[Path, Path], expected: np.ndarray
) -> None:
    folder = export("adapter")
    np.testing.assert_allclose(without_tiebreak(PEFT, folder, str(version[1])), expected, atol=1e-5)


def test_exported_adapter_is_a_version_that_needs_no_correction_any_more(
    export: Export, version: tuple[Path, Path], expected: np.ndarray
) -> None:
    from core.learning.scoring import load_classifier

    folder = export("adapter")
    said = load_classifier(folder, base_path=version[1]).probabilities(TEXTS)
    np.testing.assert_allclose(said, expected, atol=0.02)  # bf16 where the CPU has it
    before, after = (json.loads((each / "manifest.json").read_text()) for each in (version[0], folder))
    assert (after["calibration"], after["folded"]) == (None, before["calibration"])
    assert after["files"]["adapter_model.safetensors"] != before["files"]["adapter_model.safetensors"]
    assert np.argmax(list(after["training_mix"].values())) == 0  # as the pool is, mostly normal


@pytest.mark.parametrize("form", ["adapter", "merged", "onnx"])
def test_card_has_thresholds_and_no_file_names_a_folder_of_this_machine(
    export: Export, version: tuple[Path, Path], form: str
) -> None:
    folder = export(form)
    card = (folder / "README.md").read_text()
    for said in ("## Thresholds\n\n- ", "Left for moderators", "the head already holds the temperature", "macro-F1"):
        assert said in card
    assert not [path for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    for path in folder.iterdir():
        assert str(version[1].parent).encode() not in path.read_bytes(), path


def test_folder_that_holds_something_is_not_written_over(export: Export, tmp_path: Path) -> None:
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "mine.txt").write_text("x")
    with pytest.raises(Conflict, match="holds something already"):
        export("adapter")
    assert [path.name for path in (tmp_path / "exported").iterdir()] == ["mine.txt"]


# --- other kinds of encoders, whose heads have more layers -----------------------------------------------------------


@KINDS
def test_correction_is_folded_into_the_last_layer_of_any_head(kind: str, tiny_base: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from core.calibration import Correction
    from core.learning import exports
    from core.learning.adapters import load_merged

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    base, version = save_small(kind, tmp_path / kind, tokenizer), tmp_path / "version"
    tuned = save_tuned(base, version)
    tokenizer.save_pretrained(version)
    correction = Correction(1.7, (0.4, -0.3, -1.0))
    manifest = {
        "labels": list(LABEL_NAMES), "base": {"name": kind, "sha256": "0" * 64}, "warnings": [], "metrics": {},
        "calibration": {"temperature": correction.temperature, "offset": correction.offset}, "snapshot": "s",
        "training_mix": dict.fromkeys(LABEL_NAMES, 1 / 3), "hyper_parameters": {"max_tokens": 64},
        "examples": {"training": dict.fromkeys(LABEL_NAMES, 9)},
    }  # fmt: skip
    (version / "manifest.json").write_text(json.dumps(manifest))
    for name in ("adapter", "merged", "onnx"):
        (tmp_path / name).mkdir()
    exports.write_adapter(version, tmp_path / "adapter")
    exports.write_merged(version, tmp_path / "merged", base_path=base)
    exports.write_onnx(version, tmp_path / "onnx", base_path=base)
    batch = tokenizer(TEXTS[:3], padding=True, truncation=True, max_length=64, return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        expected = correction.probabilities(tuned(**inputs).logits.double().numpy())
        for model in (
            load_merged(tmp_path / "adapter", base_path=base).eval(),
            AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged").eval(),
        ):
            np.testing.assert_allclose(model(**inputs).logits.softmax(-1).numpy(), expected, atol=1e-5)
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    (found,) = session.run(["probabilities"], {name: value.numpy() for name, value in inputs.items()})
    np.testing.assert_allclose(found, expected, atol=1e-4)


# --- the baseline -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from core.learning.baseline import load_classifier, make_baseline

    folder = tmp_path_factory.mktemp("versions") / "v1-tfidf"
    make_baseline(
        [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(60)],
        seed=1,
        snapshot_hash="s",
        out_dir=folder,
        measure=lambda partial: measured(load_classifier(partial).logits(evaluation_texts())),
    )
    return folder


SCIKIT = """
import json, re, sys
from pathlib import Path
folder = Path(sys.argv[1])
code = re.search("```python\\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)[1]
texts = json.load(sys.stdin)
import os
os.chdir(folder)
*lines, last = code.replace('["文本"]', "texts").strip().splitlines()
exec("\\n".join(lines))
print(json.dumps(eval(last).tolist()))
"""


@pytest.mark.usefixtures("engine")
def test_baseline_says_the_stored_probabilities_by_the_lines_of_its_card(
    simple: Path, settings: Settings, engine: Any, tmp_path: Path
) -> None:
    from core.learning.baseline import load_classifier
    from core.shipping import ExportForm, export_model

    stored = load_classifier(simple).probabilities(TEXTS)
    out = tmp_path / "exported"
    export_model(settings, engine, OPERATOR, str(simple), ExportForm.adapter, out, now=NOW)
    np.testing.assert_allclose(without_tiebreak(SCIKIT, out), stored, atol=1e-5)
    np.testing.assert_allclose(load_classifier(out).probabilities(TEXTS), stored, atol=1e-5)
    for form in (ExportForm.merged, ExportForm.onnx):
        with pytest.raises(BadInput, match="baseline"):
            export_model(settings, engine, OPERATOR, str(simple), form, tmp_path / "other", now=NOW)
    assert not (tmp_path / "other").exists()


def test_version_whose_files_lead_out_of_its_folder_is_not_read(simple: Path, tmp_path: Path) -> None:
    import shutil

    from core.learning.versions import load_version

    def spoilt(name: str) -> Path:
        return Path(shutil.copytree(simple, tmp_path / name))

    linked, told, coded = spoilt("linked"), spoilt("told"), spoilt("coded")
    shutil.move(linked / "vocabulary.json", tmp_path / "vocabulary.json")
    (linked / "vocabulary.json").symlink_to(tmp_path / "vocabulary.json")
    (told / "tokenizer_config.json").write_text(json.dumps({"tokenizer_file": "/etc/passwd"}))
    (coded / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["x.X", None]}}))
    for folder, says in ((linked, "is a link"), (told, "tokenizer_file"), (coded, "auto_map")):
        with pytest.raises(BadInput, match=says):
            load_version(folder, base_path=lambda name, sha256: tmp_path)
