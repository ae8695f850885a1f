"""Probabilities of texts by a trained version: adapter merged, sorted by length, padded to the batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.learning.classifiers import load_base, load_tokenizer, weights_hash
from core.learning.device import Device, find_device
from core.wording import _

BATCH_SIZE = 64


def read_manifest(version_dir: Path) -> dict[str, Any]:
    """Raises BadInput when the folder is no version, or its labels are not ours in our order."""
    try:
        manifest: dict[str, Any] = json.loads((version_dir / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise BadInput(
            _("{version_dir} holds no model version (manifest.json: {err}).").format(version_dir=version_dir, err=err)
        ) from err
    if manifest.get("labels") != list(LABEL_NAMES):
        raise BadInput(
            _("{version_dir} has labels {labels}, expected {expected} in this order.").format(
                version_dir=version_dir, labels=manifest.get("labels"), expected=list(LABEL_NAMES)
            )
        )
    return manifest


def load_classifier(version_dir: Path, *, base_path: Path) -> Classifier:
    """Load adapter and head onto the base they were trained on.

    Raises BadInput when the base in base_path is another one: the adapter would turn it into noise.
    """
    manifest = read_manifest(version_dir)
    expected, found = manifest["base"]["sha256"], weights_hash(base_path)
    if found != expected:
        raise BadInput(
            _(
                "{name} was trained on {base} with weights {expected}…, but {base_path} holds {found}…; "
                "put the original base encoder back."
            ).format(
                name=version_dir.name,
                base=manifest["base"]["name"],
                expected=expected[:12],
                base_path=base_path,
                found=found[:12],
            )
        )
    model = PeftModel.from_pretrained(load_base(base_path), version_dir, is_trainable=False, local_files_only=True)
    return Classifier(model.merge_and_unload(), load_tokenizer(version_dir), find_device(), _max_tokens(manifest))


def _max_tokens(manifest: dict[str, Any]) -> int:
    return int(manifest["hyper_parameters"]["max_tokens"])


class Classifier:
    """A model ready to score; holds no texts."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, device: Device, max_tokens: int) -> None:
        self._model = model.to(device.kind).eval()
        self._tokenizer = tokenizer
        self._device = device
        self._max_tokens = max_tokens

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str], *, batch_size: int = BATCH_SIZE) -> npt.NDArray[np.float32]:
        """Return probabilities in Label order, (n_texts, 3), rows sum to 1, in the order of the texts."""
        result = np.zeros((len(texts), len(LABEL_NAMES)), dtype=np.float32)
        if not texts:
            return result
        encoded = self._tokenizer(
            list(texts), truncation=True, max_length=self._max_tokens, return_attention_mask=False
        )["input_ids"]
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]), reverse=True)
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            result[places] = self._score([encoded[place] for place in places])
        return result

    def _score(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        batch = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._device.kind)
        with torch.autocast(self._device.kind, self._device.autocast, enabled=self._device.autocast is not None):
            logits = self._model(**batch).logits  # (batch, n_labels)
        # Softmax in double precision, so that rows sum to 1 whatever the device computes in.
        proba: npt.NDArray[np.float32] = logits.double().softmax(dim=1).float().cpu().numpy()
        return proba
