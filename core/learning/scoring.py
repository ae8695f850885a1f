"""Probabilities of texts by a trained version: adapter merged, sorted by length, padded to the batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase

from core.calibration import Correction
from core.domain import LABEL_NAMES
from core.encoders import weights_hash
from core.errors import BadInput
from core.learning.adapters import load_merged
from core.learning.classifiers import load_tokenizer
from core.learning.device import Device, find_device
from core.learning.manifests import correction_of, read_manifest
from core.wording import _

BATCH_SIZE = 64


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
    return Classifier(
        load_merged(version_dir, base_path=base_path),
        load_tokenizer(version_dir),
        find_device(),
        max_tokens=_max_tokens(manifest),
        correction=correction_of(manifest),
    )


def _max_tokens(manifest: dict[str, Any]) -> int:
    return int(manifest["hyper_parameters"]["max_tokens"])


class Classifier:
    """A model ready to score; holds no texts."""

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        device: Device,
        *,
        max_tokens: int,
        correction: Correction,
    ) -> None:
        self._model = model.to(device.kind).eval()
        self._tokenizer = tokenizer
        self._device = device
        self._max_tokens = max_tokens
        self._correction = correction

    def probabilities(self, texts: Sequence[str], *, batch_size: int = BATCH_SIZE) -> npt.NDArray[np.float32]:
        """Return probabilities in Label order, (n_texts, 3), rows sum to 1, in the order of the texts."""
        # In double precision, so that rows sum to 1 whatever the device computes in.
        logits = self.logits(texts, batch_size=batch_size).astype(np.float64)
        return self._correction.probabilities(logits).astype(np.float32)

    @torch.inference_mode()
    def logits(self, texts: Sequence[str], *, batch_size: int = BATCH_SIZE) -> npt.NDArray[np.float32]:
        """Return what the head says, (n_texts, 3) in Label order, before any correction."""
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
        found: npt.NDArray[np.float32] = logits.float().cpu().numpy()
        return found
