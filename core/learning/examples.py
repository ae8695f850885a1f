"""Training examples: what a version learns from, and how much each of them counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.calibration import Floats
from core.domain import LABEL_NAMES
from core.errors import Conflict
from core.wording import _

LABELS_A_CLASS = 8
MOST = 5.0  # that a class may weigh


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """weight: how much it counts, beside the weight of its class."""

    text: str
    label: int
    weight: float = 1.0


def refuse_too_few(training: Sequence[TrainingExample]) -> None:
    counts = Counter(example.label for example in training)
    if sum(count >= LABELS_A_CLASS for count in counts.values()) < 2:
        have = ", ".join(f"{name} {counts[index]}" for index, name in enumerate(LABEL_NAMES))
        raise Conflict(
            _("Training needs two classes with at least {least} labels each; there are: {have}.").format(
                least=LABELS_A_CLASS, have=have
            )
        )


def missing_classes(training: Sequence[TrainingExample]) -> list[str]:
    return unseen(by_label(training))


def unseen(counts: Mapping[str, int]) -> list[str]:
    """A warning for each label without examples. counts: of each label by name."""
    return [
        _("No label of class {name!r} was seen in training: the model will hardly ever predict it.").format(name=name)
        for name in LABEL_NAMES
        if not counts[name]
    ]


def class_weights(training: Sequence[TrainingExample]) -> list[float]:
    """Square root of the inverse frequency, clipped, in Label order; 1 for a class without examples.

    Mild on purpose: full inverse weights distort the probabilities that the queue is ordered by.
    """
    counts = Counter(example.label for example in training)
    weights = [math.sqrt(len(training) / counts[label]) if counts[label] else 1.0 for label in range(len(LABEL_NAMES))]
    return [min(MOST, weight) for weight in weights]


def training_mix(training: Sequence[TrainingExample], class_weights: Sequence[float]) -> Floats:
    """The share of each label in what the loss adds up, (3,), in Label order."""
    labels = [example.label for example in training]
    weighed = [example.weight * class_weights[example.label] for example in training]
    counted = np.bincount(labels, weights=weighed, minlength=len(LABEL_NAMES))
    return np.asarray(counted / counted.sum())


def by_label(examples: Sequence[TrainingExample]) -> dict[str, int]:
    counts = Counter(example.label for example in examples)
    return {name: counts[index] for index, name in enumerate(LABEL_NAMES)}
