"""Figures of a classifier: accuracy, macro-F1, per class, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.domain import LABEL_NAMES


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """support: posts that truly belong to the class; the figures are 0 where there are none to divide by."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """per_class and both axes of confusion are in Label order; confusion rows are truth, columns prediction.

    judged: how many were compared. total: how many posts they stand for.
    """

    judged: int
    total: int
    accuracy: float
    macro_f1: float
    per_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, object]:
        figures = asdict(self)
        return figures | {"per_class": dict(zip(LABEL_NAMES, figures["per_class"], strict=True))}


def measure(truth: Sequence[int], predicted: Sequence[int], *, sizes: Sequence[int] | None = None) -> Metrics:
    """Compare labels (0, 1, 2), both (n_texts,); macro-F1 is over the classes that occur in truth.

    sizes: how many posts each stands for, (n_texts,); 1 where left out. All figures are of posts.
    A class that nobody has seen yet would otherwise drag the mean down by a third.
    Raises ValueError when there is nothing to compare.
    """
    if not truth or len(truth) != len(predicted):
        raise ValueError(
            f"{len(truth)} true and {len(predicted)} predicted labels; both must be equally many, not none"
        )
    # Imported here: pages import this module for the dataclass, and scikit-learn costs them a second at start.
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels = list(range(len(LABEL_NAMES)))
    confusion = confusion_matrix(truth, predicted, labels=labels, sample_weight=sizes)
    figures = precision_recall_fscore_support(truth, predicted, labels=labels, sample_weight=sizes, zero_division=0)
    per_class = tuple(
        ClassFigures(float(precision), float(recall), float(f1), int(support))
        for precision, recall, f1, support in zip(*figures, strict=True)
    )
    occurring = [c.f1 for c in per_class if c.support]
    return Metrics(
        judged=len(truth),
        total=int(confusion.sum()),
        accuracy=float(confusion.trace() / confusion.sum()),
        macro_f1=sum(occurring) / len(occurring),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )
