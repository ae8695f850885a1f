"""Probabilities that mean what they say: temperature, prior correction, and how far off they still are.

Temperature: Guo et al. 2017, fitted on random labelled posts only. Prior correction: Saerens et al. 2002. Calibration
error with bins of equal mass: Nguyen and O'Connor 2015; by class: Nixon et al. 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Selection = npt.NDArray[np.bool_]

COLDEST, HOTTEST = 0.05, 20.0
HALVINGS = 60  # of the span of inverse temperatures: beyond the precision of doubles
BINS = 15
FOLDS = 5


# --- correcting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Correction:
    """What turns a version's logits into probabilities: softmax(logits / temperature + offset).

    offset: (n_labels,), added to the logits for labels that are rarer in the pool than in training, or more frequent.
    Both fold into a linear head: divide weights and bias by the temperature, and add the offset to the bias.
    """

    temperature: float
    offset: tuple[float, ...]

    def probabilities(self, logits: Floats) -> Floats:
        """(n, n_labels), rows sum to 1."""
        return softmax(logits / self.temperature + np.array(self.offset))


def prior_offset(*, trained: Floats, pool: Floats) -> Floats:
    """Return what to add to logits where labels are as frequent as in the pool, not as in training.

    trained, pool: (n_labels,), shares of the labels. For one that either has never seen nothing is known: 0.
    """
    is_known = (trained > 0) & (pool > 0)
    return np.log(np.divide(pool, trained, out=np.ones_like(pool), where=is_known))


def fit_temperature(logits: Floats, truth: Ids, weights: Floats, *, offset: Floats) -> float:
    """Return the temperature that makes the truth most likely beside that offset, within 0.05 to 20.

    logits: (n, n_labels). truth: (n,), labels. weights: (n,), how many posts each stands for. offset: (n_labels,).
    The likelihood is concave in the inverse temperature, so its slope is followed to where it is 0.
    Raises ValueError when there is nothing to fit on.
    """
    if not len(truth) or len(logits) != len(truth):
        raise ValueError(f"{len(logits)} rows and {len(truth)} labels; both must be equally many, not none")
    of_truth = logits[np.arange(len(truth)), truth]

    def slope(inverse: float) -> float:
        expected = (softmax(logits * inverse + offset) * logits).sum(axis=1)
        return float((weights * (of_truth - expected)).sum())

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return 2 / (low + high)


def softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


# --- out of fold ------------------------------------------------------------------------------------------------------


def folds_by_family(families: Ids, *, rng: np.random.Generator, folds: int = FOLDS) -> Ids:
    """Return the fold of each unit, (n,): families whole, drawn at random, about equally many to each fold."""
    _, numbers = np.unique(families, return_inverse=True)
    count = int(numbers.max(initial=-1)) + 1
    of_family = rng.permutation(np.arange(count) % folds)
    return np.asarray(of_family[numbers], dtype=np.int64)


def cross_fitted(logits: Floats, fold_of: Ids, *, fit: Callable[[Selection], Correction]) -> Floats:
    """Return probabilities, (n, n_labels), each corrected by what was fitted on the other folds.

    fold_of: (n,). fit: gets which rows to fit on, (n,) of bool.
    """
    proba = np.zeros_like(logits)
    for fold in np.unique(fold_of):
        is_here = fold_of == fold
        proba[is_here] = fit(~is_here).probabilities(logits[is_here])
    return proba


# --- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Units that were given about the same probability: said is its mean, happened the share that turned out so.

    units: how many; posts: how many they stand for.
    """

    said: float
    happened: float
    units: int
    posts: float


def reliability(said: Floats, happened: Selection, weights: Floats, *, bins: int = BINS) -> list[ReliabilityBin]:
    """Return bins of equally many units, in order of what was said; fewer where there are fewer units than bins.

    said, happened, weights: (n,). Units with equal probabilities stay in one bin.
    """
    order = np.argsort(said, kind="stable")
    ranked = said[order]
    # A bin ends where its share of units ends, or behind the last one that was given the same probability.
    ends = np.unique(np.searchsorted(ranked, ranked[np.linspace(0, len(said), bins + 1)[1:].astype(int) - 1], "right"))
    starts = np.concatenate(([0], ends[:-1]))
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        units = order[start:end]
        posts = float(weights[units].sum())
        shares = weights[units] / posts
        found.append(ReliabilityBin(float(said[units] @ shares), float(happened[units] @ shares), len(units), posts))
    return found


def calibration_error(found: list[ReliabilityBin]) -> float:
    """Expected calibration error: how far said and happened lie apart, weighted by posts."""
    total = sum(each.posts for each in found)
    return sum(each.posts * abs(each.said - each.happened) for each in found) / total


def confidence_error(proba: Floats, truth: Ids, weights: Floats, *, bins: int = BINS) -> float:
    """ECE of the most likely label. proba: (n, n_labels); truth, weights: (n,)."""
    return calibration_error(reliability(proba.max(axis=1), proba.argmax(axis=1) == truth, weights, bins=bins))


def error_by_class(proba: Floats, truth: Ids, weights: Floats, *, bins: int = BINS) -> list[float]:
    """Class-wise ECE in Label order: of each label's own probability."""
    return [
        calibration_error(reliability(proba[:, label], truth == label, weights, bins=bins))
        for label in range(proba.shape[1])
    ]
