"""A version for other programs: as an adapter, merged into its base encoder, or as ONNX.

Temperature and prior correction are folded into the head, so that whoever takes the softmax of its logits gets the
probabilities that Tiebreak stores.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from core.domain import LABEL_NAMES
from core.errors import BadInput, TiebreakError
from core.learning import adapters, baseline
from core.learning.classifiers import load_tokenizer
from core.learning.heads import fold, fold_into
from core.learning.manifests import CARD, correction_of, exported_card, read_manifest, record, with_hashes
from core.wording import _

ONNX = "model.onnx"
OPSET = 18
HEAD = "classifier"  # what the names of a head's tensors begin with
CLOSE = 1e-4
PROBES = ("好", "今天的天气真好，我们去公园看花。", "x " * 60)


def write_adapter(version_dir: Path, folder: Path) -> None:
    """Adapter and head as PEFT reads them, with a manifest: Tiebreak reads the folder as a version too."""
    manifest = _manifest(version_dir)
    if manifest["base"]["name"] == baseline.NAME:
        _write_baseline(version_dir, folder, manifest)
        return
    tensors = adapters.read_tensors(version_dir)
    heads = sorted(name for name in tensors if name.removeprefix(adapters.PREFIX).startswith(f"{HEAD}."))
    weight, bias = (next(name for name in reversed(heads) if name.endswith(f".{kind}")) for kind in ("weight", "bias"))
    tensors[weight], tensors[bias] = fold(tensors[weight], tensors[bias], correction_of(manifest))
    save_file(tensors, folder / adapters.WEIGHTS, {"format": "pt"})
    config = adapters.read_json(version_dir, adapters.CONFIG) | {"base_model_name_or_path": manifest["base"]["name"]}
    _write_json(folder / adapters.CONFIG, config)
    _write_json(folder / adapters.MODEL_CONFIG, _labels())
    load_tokenizer(version_dir).save_pretrained(folder)
    _record(folder, manifest)


def _write_baseline(version_dir: Path, folder: Path, manifest: dict[str, Any]) -> None:
    model, correction = baseline.load_baseline(version_dir), correction_of(manifest)
    model.coefficients = (model.coefficients / correction.temperature).astype(np.float32)
    offset = np.array(correction.offset)
    model.intercepts = (model.intercepts / correction.temperature + offset).astype(np.float32)
    baseline.save_baseline(model, folder)
    _record(folder, manifest)


def write_merged(version_dir: Path, folder: Path, *, base_path: Path) -> None:
    """The whole model in safetensors with config and tokenizer, as `transformers.pipeline` loads it."""
    manifest, model, tokenizer = _corrected(version_dir, base_path)
    model.config._name_or_path = ""  # a folder of this machine
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / CARD).write_text(exported_card(manifest, use=_PIPELINE), encoding="utf-8")


def write_onnx(version_dir: Path, folder: Path, *, base_path: Path) -> None:
    """model.onnx with logits and probabilities for token ids of any length, its tokenizer, and a config with id2label.

    Raises BadInput without the extra, and TiebreakError when onnxruntime does not answer what the model answers.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as err:
        raise BadInput(
            _("ONNX needs an extra that is not installed: pip install 'tiebreak[onnx]' ({missing}).").format(
                missing=err.name
            )
        ) from err
    manifest, model, tokenizer = _corrected(version_dir, base_path)
    _trace(model, tokenizer, folder / ONNX)
    session = onnxruntime.InferenceSession(str(folder / ONNX), providers=["CPUExecutionProvider"])
    _compare(model, tokenizer, lambda names: session.run(["probabilities"], names)[0])
    model.config._name_or_path = ""
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / CARD).write_text(exported_card(manifest, use=_ONNX_RUNTIME), encoding="utf-8")


class _WithProbabilities(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits  # (batch, n_labels)
        return logits, logits.softmax(dim=-1)


def _trace(model: Any, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    batch = tokenizer(list(PROBES[:2]), padding=True, return_tensors="pt")
    either = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths that a trace might keep: _compare tries others
        torch.onnx.export(
            _WithProbabilities(model).eval(),
            (batch["input_ids"], batch["attention_mask"]),
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits", "probabilities"],
            dynamic_axes={"input_ids": either, "attention_mask": either, "logits": {0: "batch"}}
            | {"probabilities": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,  # the other way needs one library more, and twenty times as long
        )


@torch.inference_mode()
def _compare(
    model: Any, tokenizer: PreTrainedTokenizerBase, answer: Callable[[dict[str, np.ndarray]], np.ndarray]
) -> None:
    for texts in (list(PROBES), [PROBES[2]], [PROBES[0]]):
        batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        expected = model(**inputs).logits.softmax(dim=-1).numpy()
        found = answer({name: value.numpy() for name, value in inputs.items()})
        if np.abs(found - expected).max() > CLOSE:
            raise TiebreakError(
                _("The exported ONNX model answers otherwise than the version (by {difference:.1e}).").format(
                    difference=float(np.abs(found - expected).max())
                )
            )


def _corrected(version_dir: Path, base_path: Path) -> tuple[dict[str, Any], Any, PreTrainedTokenizerBase]:
    """(manifest, model whose head is corrected, tokenizer that cuts where the version does)."""
    manifest = _manifest(version_dir)
    model = adapters.load_merged(version_dir, base_path=base_path).eval()
    fold_into(model, correction_of(manifest))
    tokenizer = load_tokenizer(version_dir)
    tokenizer.model_max_length = int(manifest["hyper_parameters"]["max_tokens"])
    return manifest, model, tokenizer


def _record(folder: Path, manifest: dict[str, Any]) -> None:
    """A manifest that needs no correction any more: as it is, the head speaks of the pool and not of the training."""
    correction = correction_of(manifest)
    mix = np.array([manifest["training_mix"][name] for name in LABEL_NAMES]) * np.exp(correction.offset)
    exported = manifest | {
        "training_mix": dict(zip(LABEL_NAMES, (mix / mix.sum()).tolist(), strict=True)),
        "calibration": None,
        "folded": manifest["calibration"],
    }
    record(folder, with_hashes(folder, exported))
    use = _SCIKIT if manifest["base"]["name"] == baseline.NAME else _PEFT.format(base=manifest["base"]["name"])
    (folder / CARD).write_text(exported_card(manifest, use=use), encoding="utf-8")


def _manifest(version_dir: Path) -> dict[str, Any]:
    """The version's own, but for the folder of this machine that its encoder may have come from: its name is enough."""
    found = read_manifest(version_dir)
    name = str(found["base"]["name"])
    return found | {"base": found["base"] | {"name": Path(name).name if name.startswith("/") else name}}


def _labels() -> dict[str, object]:
    return {
        "id2label": {str(index): name for index, name in enumerate(LABEL_NAMES)},
        "label2id": {name: index for index, name in enumerate(LABEL_NAMES)},
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


_PIPELINE = """```python
from transformers import pipeline

judge = pipeline("text-classification", model="THIS_FOLDER", top_k=None, truncation=True)
judge(["文本"])
```"""
_ONNX_RUNTIME = """```python
import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")
session = onnxruntime.InferenceSession("THIS_FOLDER/model.onnx")
batch = tokenizer(["文本"], padding=True, truncation=True, return_tensors="np")
inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
logits, probabilities = session.run(["logits", "probabilities"], inputs)
```"""
_PEFT = """```python
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

labels = {{0: "normal", 1: "suspicious", 2: "violation"}}
base = AutoModelForSequenceClassification.from_pretrained(
    "{base}", num_labels=3, id2label=labels, dtype=torch.float32
)
model = PeftModel.from_pretrained(base, "THIS_FOLDER")
tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")
```"""
_SCIKIT = """`vocabulary.json` lists the n-grams (characters, 1 to 3); `baseline.safetensors` holds `idf` (n_ngrams),
`coefficients` (3, n_ngrams) and `intercepts` (3). A text is the vector of (1 + log count) × idf of its n-grams, divided
by its length; probabilities are softmax(coefficients · vector + intercepts). In scikit-learn:

```python
import json
from safetensors.numpy import load_file
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer

ngrams, weights = json.load(open("vocabulary.json")), load_file("baseline.safetensors")
vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, vocabulary=ngrams)
vectorizer.idf_ = weights["idf"]
softmax(vectorizer.transform(["文本"]) @ weights["coefficients"].T + weights["intercepts"], axis=1)
```"""
