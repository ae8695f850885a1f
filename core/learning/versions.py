"""Any version, ready to score: a fine-tuned encoder or the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.learning import baseline
from core.learning.manifests import read_manifest


class Classifier(Protocol):
    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 3) in Label order, before any correction."""
        ...

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 3) in Label order, corrected, rows sum to 1, in the order of the texts."""
        ...


def load_version(folder: Path, *, base_path: Callable[[str, str], Path]) -> Classifier:
    """Load the version in a folder.

    base_path: (name, SHA-256 of its weights) → where that encoder lies; the baseline needs none.
    Raises BadInput when the folder holds no version that can be read, or not with that encoder.
    """
    base = read_manifest(folder)["base"]
    if base["name"] == baseline.NAME:
        return baseline.load_classifier(folder)
    from core.learning.scoring import load_classifier  # torch, which the baseline can do without

    return load_classifier(folder, base_path=base_path(str(base["name"]), str(base["sha256"])))
