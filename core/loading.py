"""Versions and encoders of this installation, loaded for the worker and the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core import encoders
from core.domain import LABEL_NAMES
from core.errors import TiebreakError
from core.settings import Settings
from core.wording import _

if TYPE_CHECKING:
    from core.learning.versions import Classifier

logger = logging.getLogger(__name__)


def encoder_places(settings: Settings) -> dict[str, Path]:
    return {
        "models_dir": settings.models_dir,
        "starter_dir": settings.starter_dir,
        "hub_cache": settings.hub_cache,
    }


def prepare_libraries() -> None:
    """Before the model libraries are imported: peft looks names of base encoders up on the hub otherwise.

    Where bitsandbytes is installed, peft imports it, and it would tell whoever runs a command what it did not find.
    On a CPU, oneDNN keeps code and memory for each of the last 1,024 shapes that it met: with batches of all lengths,
    gigabytes. A step's own shapes are fewer than 64.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def load_folder(settings: Settings, folder: Path) -> Classifier:
    """The version in that folder, with its encoder from wherever it lies on this machine."""
    from core.learning.versions import load_version

    return load_version(folder, base_path=lambda name, sha256: _base_path(settings, name, sha256))


def _base_path(settings: Settings, name: str, sha256: str) -> Path:
    found = encoders.resolve_trained_on(name, sha256, **encoder_places(settings))
    logger.info("base encoder %s in %s", found.words, found.path)
    return found.path


@contextmanager
def load_on_all_devices(settings: Settings, folder: Path) -> Iterator[Classifier]:
    """The version in that folder, with a process for each GPU where there are several."""
    from core.learning import baseline
    from core.learning.manifests import read_manifest

    base = read_manifest(folder)["base"]
    if base["name"] != baseline.NAME:
        from core.learning.device import find_devices

        devices = find_devices()
        if len(devices) > 1:
            from core.learning.fleet import Fleet

            base_path = _base_path(settings, str(base["name"]), str(base["sha256"]))
            with Fleet(folder, base_path=base_path, devices=devices) as fleet:
                yield fleet
            return
    yield load_folder(settings, folder)


def read_training_mix(folder: Path) -> npt.NDArray[np.float64]:
    from core.learning.manifests import read_manifest

    mix = read_manifest(folder)["training_mix"]
    return np.array([mix[label] for label in LABEL_NAMES], dtype=np.float64)


def checked(proba: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n_texts, 3), checked to be probabilities where they leave the model."""
    if len(proba) and not (proba.min() >= 0 and np.abs(proba.sum(axis=1) - 1).max() < 1e-3):
        raise TiebreakError(_("The model returned something that is not a probability; the version may be damaged."))
    return proba
