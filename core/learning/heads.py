"""The last linear layer of a classifier, to which a correction or another order of labels can be added for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from core.calibration import Correction
from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.wording import _


def head_of(model: Any) -> torch.nn.Linear:
    """The layer that gives the logits; RoBERTa and ELECTRA have others before it in their heads."""
    layers = [module for module in model.classifier.modules() if isinstance(module, torch.nn.Linear)]
    if not layers or layers[-1].out_features != len(LABEL_NAMES):
        raise BadInput(_("The model has no classification head with {count} labels.").format(count=len(LABEL_NAMES)))
    return layers[-1]


def fold(weight: torch.Tensor, bias: torch.Tensor, correction: Correction) -> tuple[torch.Tensor, torch.Tensor]:
    """The head whose softmax is what the correction makes of this one's logits.

    weight: (n_labels, width); bias: (n_labels,).
    """
    offset = torch.tensor(correction.offset, dtype=torch.float64)
    folded = (weight.double() / correction.temperature, bias.double() / correction.temperature + offset)
    return folded[0].to(weight.dtype), folded[1].to(bias.dtype)


@torch.no_grad()
def fold_into(model: Any, correction: Correction) -> None:
    """Correct the model's own head."""
    head = head_of(model)
    weight, bias = fold(head.weight, head.bias, correction)
    head.weight.copy_(weight)
    head.bias.copy_(bias)


@torch.no_grad()
def reorder(model: Any, names: Sequence[str]) -> None:
    """Bring a head whose labels stand in the order of names into Label order."""
    head = head_of(model)
    places = torch.tensor([list(names).index(name) for name in LABEL_NAMES])
    head.weight.copy_(head.weight[places].clone())
    head.bias.copy_(head.bias[places].clone())
