"""A base encoder in 8 bits: for real where bitsandbytes computes, refused in a sentence where it does not."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.learning.examples import TrainingExample
from tests.conftest import marked_text

pytestmark = pytest.mark.training

TEXTS = [marked_text(n % 3, n) for n in range(20)]


def train(base: Path, folder: Path, *, load_in_8bit: bool) -> Path:
    from core.learning.schedules import Schedule
    from core.learning.training import TrainingConfig, train

    train(
        [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(60)],
        [],
        config=TrainingConfig(
            base_path=base, base_name="tiny", quick=True, seed=1, snapshot_hash="s", load_in_8bit=load_in_8bit
        ),
        schedule=Schedule(16, 12, evaluates=False, chooses_best=False),
        out_dir=folder,
    )
    return folder


def test_version_trained_in_8_bits_says_nearly_the_same_in_8_bits_and_in_whole(tiny_base: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="pip install 'tiebreak[quant]'")
    from core.learning.manifests import read_manifest
    from core.learning.scoring import load_classifier

    folder = train(tiny_base, tmp_path / "v1", load_in_8bit=True)
    assert read_manifest(folder)["hyper_parameters"]["load_in_8bit"]
    whole = load_classifier(folder, base_path=tiny_base)
    small = load_classifier(folder, base_path=tiny_base, in_8bit=True)
    kinds = {type(module).__name__ for module in small._model.modules()}
    assert "Linear8bitLt" in kinds
    assert "Linear8bitLt" not in {type(module).__name__ for module in small._model.classifier.modules()}
    np.testing.assert_allclose(small.probabilities(TEXTS), whole.probabilities(TEXTS), atol=0.05)


def test_without_the_extra_it_is_refused_and_nothing_is_left(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "bitsandbytes" else find(name))
    with pytest.raises(BadInput, match=r"pip install 'tiebreak\[quant\]'"):
        train(tiny_base, tmp_path / "v1", load_in_8bit=True)
    assert list(tmp_path.iterdir()) == []


def test_device_that_it_does_not_compute_on_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.learning import quantising

    without_kernels = types.ModuleType("bitsandbytes")
    without_kernels.__dict__.update(supported_torch_devices={"cuda"}, __version__="0.1")
    monkeypatch.setitem(sys.modules, "bitsandbytes", without_kernels)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: without_kernels)
    with pytest.raises(BadInput, match="does not compute in 8 bits on cpu"):
        quantising.options("cpu")


def test_baseline_has_nothing_to_load_in_8_bits(tmp_path: Path) -> None:
    from core.evaluation import NOTHING
    from core.learning.baseline import make_baseline
    from core.learning.versions import load_version

    known = [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(60)]
    make_baseline(known, seed=1, snapshot_hash="s", out_dir=tmp_path / "v", measure=lambda partial: NOTHING)
    with pytest.raises(BadInput, match="no encoder"):
        load_version(tmp_path / "v", base_path=lambda name, sha256: tmp_path, in_8bit=True)
    assert load_version(tmp_path / "v", base_path=lambda name, sha256: tmp_path).probabilities(["x"]).shape == (
        1,
        len(LABEL_NAMES),
    )
