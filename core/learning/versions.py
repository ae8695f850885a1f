"""Any version, ready to score: a fine-tuned encoder or the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from core.errors import BadInput
from core.learning import baseline
from core.learning.manifests import read_manifest
from core.learning.tokens import TokenCache
from core.wording import _


class Classifier(Protocol):
    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 3) in Label order, before any correction."""
        ...

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 3) in Label order, corrected, rows sum to 1, in the order of the texts."""
        ...

    def corrected(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities of logits, both (n_texts, 3) in Label order."""
        ...

    def encode(self, texts: Sequence[str]) -> Sequence[Any]:
        """What the model reads of each text."""
        ...

    def open_cache(self, folder: Path) -> TokenCache | None:
        """The cache, among those in the folder, of what `encode` says of texts; None where there is nothing to keep."""
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Where each text lies beside the others, (n_texts, n_dimensions)."""
        ...

    def stream(self, encoded: Sequence[Any]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield (places, logits) of some texts after the other, each once: (n,) into encoded, and (n, 3)."""
        ...


def load_version(folder: Path, *, base_path: Callable[[str, str], Path], in_8bit: bool = False) -> Classifier:
    """Load the version in a folder.

    base_path: (name, SHA-256 of its weights) → where that encoder lies; the baseline needs none.
    in_8bit: its weights in 8 bits. Raises BadInput when the folder holds no version that can be read, or not with that
    encoder.
    """
    base = read_manifest(folder)["base"]
    if base["name"] == baseline.NAME and in_8bit:
        raise BadInput(_("The baseline has no encoder to be loaded in 8 bits; leave --load-in-8bit out."))
    if base["name"] == baseline.NAME:
        return baseline.load_classifier(folder)
    from core.learning.scoring import load_classifier  # torch, which the baseline can do without

    return load_classifier(folder, base_path=base_path(str(base["name"]), str(base["sha256"])), in_8bit=in_8bit)
