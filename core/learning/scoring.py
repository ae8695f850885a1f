"""Probabilities of texts by a trained version: adapter merged, texts of a length together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
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
from core.learning.memory import Leftovers
from core.learning.quantising import is_in_8bit
from core.learning.tokens import Ids, TokenCache
from core.wording import _

# Tokens of a batch. On a CPU what a layer works on has to stay in its caches; a GPU wants to be filled.
TOKENS_AT_ONCE = {"cpu": 1_024, "cuda": 32_768}

Encoded = list[int] | Ids  # token ids of a text


def load_classifier(
    version_dir: Path, *, base_path: Path, device: Device | None = None, in_8bit: bool = False
) -> Classifier:
    """Load adapter and head onto the base they were trained on, and that onto the device (the best one by default).

    in_8bit: the base's weights in 8 bits. Raises BadInput when the base in base_path is another one: the adapter would
    turn it into noise.
    """
    refuse_other_base(version_dir, base_path)
    device = device or find_device()
    return Classifier(
        load_merged(version_dir, base_path=base_path, in_8bit_on=device.place if in_8bit else None),
        load_tokenizer(version_dir),
        device,
        **reading_of(version_dir),
    )


def refuse_other_base(version_dir: Path, base_path: Path) -> None:
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


def reading_of(version_dir: Path) -> dict[str, Any]:
    """How the version reads texts, and what its logits mean: max_tokens and correction."""
    manifest = read_manifest(version_dir)
    return {
        "max_tokens": int(manifest["hyper_parameters"]["max_tokens"]),
        "correction": correction_of(manifest),
    }


class Reader:
    """What a version does to texts before its model, and to logits after it; holds no texts."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int, correction: Correction) -> None:
        self._tokenizer, self._max_tokens, self._correction = tokenizer, max_tokens, correction

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return probabilities in Label order, (n_texts, 3), rows sum to 1, in the order of the texts."""
        return self.corrected(self.logits(texts))

    def corrected(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities of logits, both (n_texts, 3) in Label order."""
        # In double precision, so that rows sum to 1 whatever the device computes in.
        return self._correction.probabilities(logits.astype(np.float64)).astype(np.float32)

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return what the head says, (n_texts, 3) in Label order, before any correction."""
        result = np.zeros((len(texts), len(LABEL_NAMES)), dtype=np.float32)
        for places, found in self.stream(self.encode(texts)):
            result[places] = found
        return result

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut at the length that the version was trained with."""
        if not texts:
            return []
        encoded = self._tokenizer(
            list(texts), truncation=True, max_length=self._max_tokens, return_attention_mask=False
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def open_cache(self, folder: Path) -> TokenCache:
        """The cache, among those in the folder, of what `encode` says of texts."""
        written = json.loads(self._tokenizer.backend_tokenizer.to_str())
        written |= {"truncation": self._max_tokens, "padding": None}  # it remembers here how it was called last
        name = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:16]
        return TokenCache(folder / name, vocabulary=len(self._tokenizer))

    def stream(self, encoded: Sequence[Encoded]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield (places, logits) of some texts after the other, each once: (n,) into encoded, and (n, 3)."""
        raise NotImplementedError


class Classifier(Reader):
    """A model ready to score, in the device's fastest precision but for the head.

    The head stays in float32: rounded to 8 bits, logits of many posts would be the same, and their order chance.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        device: Device,
        *,
        max_tokens: int,
        correction: Correction,
    ) -> None:
        super().__init__(tokenizer, max_tokens=max_tokens, correction=correction)
        self._model = model.eval()
        if not is_in_8bit(model):  # which lies there already
            self._model.to(device.place, device.autocast or torch.float32)
        self._model.classifier.float().register_forward_pre_hook(lambda head, given: (given[0].float(), *given[1:]))
        self._device = device
        self._tokens_at_once = TOKENS_AT_ONCE[device.kind]
        self._leftovers = Leftovers()

    def stream(self, encoded: Sequence[Encoded]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield (places, logits) of some texts after the other, each once: (n,) into encoded, and (n, 3)."""
        return self._in_batches(encoded, self._score)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Where the encoder sees each text, (n_texts, hidden): the mean over its tokens."""
        found = np.zeros((len(texts), self._model.config.hidden_size), dtype=np.float32)
        for places, means in self._in_batches(self.encode(texts), self._mean):
            found[places] = means
        return found

    @torch.inference_mode()
    def _in_batches(
        self, encoded: Sequence[Encoded], compute: Callable[[dict[str, torch.Tensor]], torch.Tensor]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Texts of a length stand together, so that hardly anything is padded.

        A batch that does not fit into the device's memory is halved, and so are those after it.
        """
        order = np.argsort([-len(ids) for ids in encoded], kind="stable")
        start = 0
        while start < len(order):
            longest = len(encoded[order[start]])
            places = order[start : start + max(1, self._tokens_at_once // longest)]
            try:
                found = compute(self._padded([encoded[place] for place in places], longest)).cpu().numpy()
            except torch.OutOfMemoryError:
                if len(places) == 1:
                    raise
                self._tokens_at_once = len(places) * longest // 2
                continue
            start += len(places)
            self._leftovers.give_back()
            yield places, found

    def _padded(self, rows: Sequence[Encoded], longest: int) -> dict[str, torch.Tensor]:
        """input_ids and attention_mask, (batch, longest) each; no mask where all are of that length: that is faster."""
        ids = np.full((len(rows), longest), self._tokenizer.pad_token_id, dtype=np.int64)
        is_text = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            is_text[place, : len(row)] = 1
        batch = {"input_ids": ids} if is_text.all() else {"input_ids": ids, "attention_mask": is_text}
        return {
            name: torch.from_numpy(values).to(self._device.place, non_blocking=True) for name, values in batch.items()
        }

    def _score(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        logits: torch.Tensor = self._model(**batch).logits.float()  # (batch, n_labels)
        return logits

    def _mean(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden = self._model.base_model(**batch).last_hidden_state.float()  # (batch, longest, hidden)
        is_text = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).unsqueeze(2)
        return (hidden * is_text).sum(dim=1) / is_text.sum(dim=1)
