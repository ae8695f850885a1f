"""What a new version is worth: corrected probabilities, and figures on posts that it was not trained on.

The audit slice is drawn at random, so it measures without bias, and only it can calibrate. Before it is labelled far
enough, the evaluation side of the split serves, whose posts the queue chose because they are hard.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from core import thresholds
from core.calibration import (
    Correction,
    Floats,
    Ids,
    Selection,
    calibration_error,
    cross_fitted,
    error_by_class,
    fit_temperature,
    folds_by_family,
    prior_offset,
    reliability,
    softmax,
)
from core.comparison import estimates
from core.domain import LABEL_NAMES, Side
from core.metrics import measure
from core.thresholds import choose, verdicts_out_of_fold

ENOUGH = 300  # random labelled texts: with fewer, neither a temperature nor a share of violations can be told
SMALLEST = 1e-12  # of a probability that was rounded to nothing, before its logarithm
SMOOTHING = 0.5  # posts added to each label: one that a sample has not met is rare, not impossible


@dataclass(frozen=True, slots=True)
class Aside:
    """Labelled texts that no version is trained on. All (n,): truth labels; families; sizes in posts; is_random."""

    truth: Ids
    families: Ids
    sizes: Floats
    is_random: Selection

    @property
    def is_enough(self) -> bool:
        return int(self.is_random.sum()) >= ENOUGH


@dataclass(frozen=True, slots=True)
class Evaluation:
    """correction: None while too few random texts are labelled. proba: (n, 3), what the version says of each text.

    figures: as `core.metrics.Metrics.to_dict`, with intervals and calibration; {} where nothing was kept aside. With
    enough random texts also thresholds, and what they do (see core.thresholds).
    """

    correction: Correction | None
    proba: Floats
    figures: dict[str, object]


NOTHING = Evaluation(None, np.zeros((0, len(LABEL_NAMES))), {})  # of a version beside which nothing was kept aside


def evaluate(logits: npt.NDArray[np.floating], aside: Aside, *, trained: Floats, seed: int) -> Evaluation:
    """Correct and measure what a version says of the texts kept aside.

    logits: (n, 3). trained: (3,), shares of the labels as training weighed them. Where the correction is fitted on the
    very texts that measure, the figures are out of fold.
    """
    raw = np.asarray(logits, dtype=np.float64)
    if not len(raw):
        return NOTHING
    rng = np.random.default_rng(seed)
    if not aside.is_enough:
        proba = softmax(raw)
        return Evaluation(None, proba, _figures(proba, aside, measured_on=Side.evaluation, rng=rng))
    random = _only(aside, aside.is_random)
    correction = _fit(raw[aside.is_random], random, trained)
    fold_of = folds_by_family(random.families, rng=rng)
    out_of_fold = _cross_fitted(raw[aside.is_random], random, trained, fold_of)
    figures = _figures(out_of_fold, random, measured_on=Side.audit, rng=rng)
    proba = correction.probabilities(raw)
    chosen = choose(proba[aside.is_random], random.truth, random.sizes)
    tried = verdicts_out_of_fold(out_of_fold, random.truth, random.sizes, fold_of)
    figures["thresholds"] = asdict(chosen) | thresholds.figures(
        tried, random.truth, random.sizes, families=random.families, rng=rng
    )
    return Evaluation(correction, proba, figures)


def refitted(
    proba: Floats, random: Aside, correction: Correction, *, trained: Floats, rng: np.random.Generator
) -> Floats:
    """What a version says of random texts, (n, 3), had each text's family had no part in its correction.

    proba: (n, 3), by the correction that was fitted with them; trained: (3,), as in `evaluate`.
    """
    # Logits up to a constant for each text, which softmax does not see.
    logits = (np.log(np.maximum(proba, SMALLEST)) - np.array(correction.offset)) * correction.temperature
    return _cross_fitted(logits, random, trained, folds_by_family(random.families, rng=rng))


def _cross_fitted(logits: Floats, random: Aside, trained: Floats, fold_of: Ids) -> Floats:
    return cross_fitted(logits, fold_of, fit=lambda chosen: _fit(logits[chosen], _only(random, chosen), trained))


def _only(aside: Aside, chosen: Selection) -> Aside:
    return Aside(aside.truth[chosen], aside.families[chosen], aside.sizes[chosen], aside.is_random[chosen])


def _fit(logits: Floats, aside: Aside, trained: Floats) -> Correction:
    offset = prior_offset(trained=trained, pool=shares_of(aside.truth, aside.sizes))
    temperature = fit_temperature(logits, aside.truth, aside.sizes, offset=offset)
    return Correction(temperature, tuple(offset.tolist()))


def shares_of(labels: Ids, weights: Floats) -> Floats:
    """The share of each label, (3,), in Label order, by weight; a little for those that do not occur."""
    counted = np.bincount(labels, weights=weights, minlength=len(LABEL_NAMES)) + SMOOTHING
    return np.asarray(counted / counted.sum())


def _figures(proba: Floats, aside: Aside, *, measured_on: Side, rng: np.random.Generator) -> dict[str, object]:
    said = proba.argmax(axis=1)
    metrics = measure(aside.truth.tolist(), said.tolist(), sizes=[round(size) for size in aside.sizes.tolist()])
    found = estimates(aside.truth, said, families=aside.families, sizes=aside.sizes, rng=rng)
    bins = reliability(proba.max(axis=1), said == aside.truth, aside.sizes)
    by_class = error_by_class(proba, aside.truth, aside.sizes)
    return metrics.to_dict() | {
        "measured_on": measured_on.value,
        "intervals": {name: estimate.interval for name, estimate in found.items()},
        "calibration": {
            "error": calibration_error(bins),
            "error_by_class": dict(zip(LABEL_NAMES, by_class, strict=True)),
            "bins": [asdict(each) for each in bins],
        },
    }
