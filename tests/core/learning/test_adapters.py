"""Adapters that plain PEFT saved, as anybody's script does: what is read of them, and what is not."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain import LABEL_NAMES
from core.errors import BadInput

pytestmark = pytest.mark.training

THEIR_ORDER = ("normal", "violation", "suspicious")  # as an older script numbers them
TEXTS = ["今天去公园看花", "坏坏坏的话", "疑疑疑"]
Make = Callable[..., Path]


def peft_model(base: Path, *, modules: Sequence[str] = ("classifier", "pooler")) -> Any:
    """What a script with transformers and peft alone would train: an adapter with weights that say something."""
    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(3)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
    targets = ["q_lin", "v_lin"] if model.config.model_type == "distilbert" else ["query", "value"]
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=4, lora_alpha=8, target_modules=targets, modules_to_save=list(modules)
    )
    tuned = get_peft_model(model, config)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return tuned.eval()


def their_probabilities(model: Any, base: Path, texts: Sequence[str]) -> np.ndarray:
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    with torch.inference_mode():
        return np.stack([model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0].numpy() for text in texts])


@pytest.fixture
def adapter(tiny_base: Path, tmp_path: Path) -> Make:
    """Save such an adapter in a folder; its base is named by a path on another machine."""

    def make(base: Path = tiny_base, *, labels: Sequence[str] | None = THEIR_ORDER, **options: Any) -> Path:
        folder = tmp_path / "adapter"
        model = peft_model(base, **options)
        model.peft_config["default"].base_model_name_or_path = "/root/models/tiny"
        model.save_pretrained(folder)
        if labels is not None:
            (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels))}))
        return folder

    return make


def say(folder: Path, base: Path, *, order: Sequence[str] = ()) -> np.ndarray:
    from core.learning.foreign import load_adapter

    return load_adapter(folder, base_path=base, order=order).probabilities(TEXTS)


def in_label_order(proba: np.ndarray, order: Sequence[str] = THEIR_ORDER) -> np.ndarray:
    return proba[:, [list(order).index(name) for name in LABEL_NAMES]]


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Within what bf16 on a CPU that has it makes of them."""
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_it_says_what_plain_peft_says_with_labels_in_our_order(adapter: Make, tiny_base: Path) -> None:
    expected = in_label_order(their_probabilities(peft_model(tiny_base), tiny_base, TEXTS))
    assert np.ptp(expected) > 0.2
    assert_close(say(adapter(), tiny_base), expected)


def test_labels_that_are_not_named_have_to_be_said(adapter: Make, tiny_base: Path) -> None:
    folder = adapter(labels=None)
    with pytest.raises(BadInput, match="--label-order"):
        say(folder, tiny_base)
    expected = in_label_order(their_probabilities(peft_model(tiny_base), tiny_base, TEXTS))
    assert_close(say(folder, tiny_base, order=THEIR_ORDER), expected)


def test_chinese_labels_are_read_and_those_of_nobody_are_not(adapter: Make, tiny_base: Path) -> None:
    from core.learning.adapters import label_order

    assert label_order(adapter(labels=("合规", "违规", "疑似"))) == THEIR_ORDER
    assert label_order(adapter(labels=("LABEL_0", "LABEL_1", "LABEL_2"))) is None
    with pytest.raises(BadInput, match="unknown label 'spam'"):
        say(adapter(labels=("normal", "spam", "violation")), tiny_base)
    with pytest.raises(BadInput, match="once each"):
        say(adapter(labels=("normal", "violation")), tiny_base)


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"megatron_config": {"a": 1}, "megatron_core": "os"}, "megatron_config, which is not understood"),
        ({"eva_config": {"rho": 2}}, "eva_config"),
        ({"anything_new": True}, "anything_new"),
        ({"peft_type": "IA3"}, "no LoRA adapter"),
        ({"task_type": "CAUSAL_LM"}, "no LoRA adapter"),
        ({"target_modules": ["nothing_like_it"]}, "does not fit"),
        ({"r": "many"}, "adapter"),
        ({"r": 8}, "does not fit"),
    ],
)
def test_config_that_asks_for_something_else_is_refused(
    adapter: Make, tiny_base: Path, changes: dict[str, object], says: str
) -> None:
    folder = adapter()
    change_config(folder, **changes)
    with pytest.raises(BadInput, match=says):
        say(folder, tiny_base)


def test_pickled_weights_are_not_read(adapter: Make, tiny_base: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (tmp_path / "ran",))

    folder = adapter()
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({"x": Evil()}))
    with pytest.raises(BadInput, match=r"no file adapter_model\.safetensors"):
        say(folder, tiny_base)
    (folder / "adapter_model.bin").rename(folder / "adapter_model.safetensors")
    with pytest.raises(BadInput, match="cannot be read as safetensors"):
        say(folder, tiny_base)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "config.json"])
def test_link_out_of_the_folder_is_not_followed(adapter: Make, tiny_base: Path, tmp_path: Path, name: str) -> None:
    folder = adapter()
    shutil.move(folder / name, tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(BadInput, match="is a link"):
        say(folder, tiny_base)


def test_head_that_was_not_saved_is_not_replaced_by_chance(adapter: Make, tiny_base: Path) -> None:
    """The tiny base is saved from masked language modelling: it brings no pooler."""
    with pytest.raises(BadInput, match=r"bert\.pooler.*would be chance"):
        say(adapter(modules=("classifier",)), tiny_base)


def test_base_is_known_by_the_last_part_of_its_name_alone(adapter: Make) -> None:
    from core.learning.foreign import base_name

    assert base_name(adapter()) == "/root/models/tiny"


SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


def save_small(kind: str, folder: Path, tokenizer: Any) -> Path:
    """An encoder of that kind with random weights, from masked language modelling, in Hub layout."""
    import torch
    from transformers import AutoConfig, AutoModelForMaskedLM

    small = {"n_layers": 2, "dim": 32, "n_heads": 2, "hidden_dim": 64} if kind == "distilbert" else SMALL
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), max_position_embeddings=70, pad_token_id=0, **small)
    torch.manual_seed(1)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tuned(base: Path, folder: Path) -> Any:
    """What our own training would save of it in the folder; returns the model that says something."""
    import torch

    from core.learning.classifiers import load_base
    from core.learning.training import TrainingConfig, add_lora

    settings = TrainingConfig(base_path=base, base_name="small", quick=True, seed=1, snapshot_hash="s")
    tuned = add_lora(load_base(base), settings).eval()
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    tuned.save_pretrained(folder, save_embedding_layers=False)
    return tuned


KINDS = pytest.mark.parametrize("kind", ["roberta", "electra", "distilbert", "ernie"])


@KINDS
def test_other_bert_like_encoders_are_saved_and_loaded_alike(kind: str, tiny_base: Path, tmp_path: Path) -> None:
    """What our own training saves of them is all that it needs: the layers beside the head come along."""
    import torch
    from transformers import AutoTokenizer

    from core.learning.adapters import load_merged

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    base = save_small(kind, tmp_path / kind, tokenizer)
    tuned = save_tuned(base, tmp_path / "saved")
    merged = load_merged(tmp_path / "saved", base_path=base).eval()
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    with torch.inference_mode():
        assert (merged(input_ids=ids).logits - tuned(input_ids=ids).logits).abs().max() < 1e-5
