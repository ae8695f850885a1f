"""Our metric as an `evaluate.Metric`: no script is fetched from a hub, so it works without a network."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from core.metrics import measure


class ModerationMetric(evaluate.Metric):
    """Accuracy, macro-F1, per-class figures and confusion matrix (core.metrics.measure, over scikit-learn)."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Figures of a three-class moderation model.",
            citation="",
            inputs_description="predictions, references: label integers in Label order.",
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, object]:
        return measure(list(references), list(predictions)).to_dict()


def compute_metrics(truth: list[int], predicted: list[int], *, cache_dir: str) -> dict[str, Any]:
    """Figures as a dict; evaluate wants a folder even for what it keeps in memory."""
    metric = ModerationMetric(keep_in_memory=True, cache_dir=cache_dir, seed=0)
    result: dict[str, Any] = metric.compute(predictions=predicted, references=truth)
    return result
