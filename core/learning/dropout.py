"""Dropout that costs little on a CPU: a random byte decides on each element, where torch draws a number by more steps.

In front of every adapter torch's own takes a quarter of a training step there.
"""

from __future__ import annotations

from typing import Any

import torch

SIDES = 256  # of a byte


class ByteDropout(torch.nn.Module):
    """As torch.nn.Dropout, by torch's own generator; p is rounded to a whole number of 256ths."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropped = round(p * SIDES)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.dropped:
            return values
        drawn = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        sides = drawn.view(torch.uint8)[: values.numel()].view(values.shape)
        return values * (sides >= self.dropped).to(values.dtype).mul_(SIDES / (SIDES - self.dropped))


def quicken(model: Any) -> Any:
    """Put it in the place of the adapters' dropout; returns the model."""
    for module in model.modules():
        for name, dropout in getattr(module, "lora_dropout", {}).items():
            if isinstance(dropout, torch.nn.Dropout):
                module.lora_dropout[name] = ByteDropout(dropout.p)
    return model
