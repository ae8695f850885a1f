"""Dropout by bytes: as much is dropped as was asked for, the rest is raised to make up for it, and nothing else."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.training


def test_share_that_is_dropped_and_the_mean_are_those_of_torch() -> None:
    import torch

    from core.learning.dropout import ByteDropout

    torch.manual_seed(1)
    values = torch.ones(501, 499)  # not a multiple of 8
    dropped = ByteDropout(0.1)(values)
    assert (dropped == 0).float().mean().item() == pytest.approx(26 / 256, abs=0.003)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.003)
    assert dropped.unique().tolist() == pytest.approx([0.0, 256 / 230])
    rows = (dropped == 0).float().mean(dim=1)
    assert rows.min() > 0.03  # no pattern along rows
    assert rows.max() < 0.2


def test_same_seed_drops_the_same_and_an_evaluation_drops_nothing() -> None:
    import torch

    from core.learning.dropout import ByteDropout

    values = torch.randn(8, 7, dtype=torch.bfloat16)
    dropout, found = ByteDropout(0.5), []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(dropout(values))
    assert torch.equal(*found)
    assert found[0].dtype is torch.bfloat16
    assert torch.equal(dropout.eval()(values), values)
    assert torch.equal(ByteDropout(0.0)(values), values)


def test_gradient_goes_where_values_were_kept() -> None:
    import torch

    from core.learning.dropout import ByteDropout

    values = torch.ones(64, requires_grad=True)
    dropped = ByteDropout(0.5)(values)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, dropped.detach())


def test_every_adapter_gets_it(tiny_base) -> None:
    from core.learning.classifiers import load_base
    from core.learning.dropout import ByteDropout, quicken
    from core.learning.training import TrainingConfig, add_lora

    config = TrainingConfig(base_path=tiny_base, base_name="b", quick=True, seed=1, snapshot_hash="s")
    model = quicken(add_lora(load_base(tiny_base), config))
    found = [m for name, m in model.named_modules() if "lora_dropout." in name]
    assert len(found) == 12  # six linear layers in each of two
    assert all(isinstance(dropout, ByteDropout) and dropout.dropped == 26 for dropout in found)
