"""Whether probabilities can be believed: reliability with intervals, precision and recall by threshold, errors.

On judged texts that a version has not learned from. All arrays are parallel, (n_texts,); proba is (n_texts, n_labels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.calibration import BINS, Floats, Ids, ReliabilityBin, Selection, reliability
from core.domain import LABEL_NAMES
from core.proportions import wilson

FEWEST = 50  # judged texts: with fewer, each bin would be a handful
FEWEST_OF_CLASS = 10  # judged texts of a label, and as many of others, for curves of it
UNITS_A_BIN = 10
MOST_POINTS = 200  # of a curve


@dataclass(frozen=True, slots=True)
class Band:
    """A bin of the reliability diagram. low, high: the 95 % interval of what happened."""

    bin: ReliabilityBin
    low: float
    high: float


def bands(said: Floats, happened: Selection, sizes: Floats) -> list[Band]:
    """Bins of equally many texts, at least UNITS_A_BIN each, with Wilson intervals.

    sizes: posts that each text stands for. They weigh, so that a bin counts as many trials as equal weights would need
    to be as sure: (sum of sizes)² / sum of squares (Kish 1965).
    """
    found = reliability(said, happened, sizes, bins=max(1, min(BINS, len(said) // UNITS_A_BIN)))
    order = np.argsort(said, kind="stable")
    made, start = [], 0
    for each in found:
        of_bin = sizes[order[start : start + each.units]]
        start += each.units
        trials = of_bin.sum() ** 2 / (of_bin**2).sum()
        low, high = wilson(each.happened * trials, trials)
        made.append(Band(each, float(low), float(high)))
    return made


@dataclass(frozen=True, slots=True)
class Point:
    """What calling everything with at least this probability by the label would do."""

    threshold: float
    precision: float
    recall: float
    posts: float  # that would be called by it


def precision_and_recall(said: Floats, is_it: Selection, sizes: Floats) -> list[Point]:
    """By falling threshold, one for each probability that was said; thinned to MOST_POINTS where there are more.

    Raises ValueError where no text is of the label.
    """
    if not is_it.any():
        raise ValueError("no text is of the label, so that recall is not defined")
    thresholds, numbers = np.unique(-said, return_inverse=True)
    found = np.bincount(numbers, weights=sizes * is_it).cumsum()
    called = np.bincount(numbers, weights=sizes).cumsum()
    places = np.unique(np.linspace(0, len(thresholds) - 1, MOST_POINTS).astype(int))
    return [
        Point(float(-thresholds[at]), float(found[at] / called[at]), float(found[at] / found[-1]), float(called[at]))
        for at in places
    ]


def enough_of(label: int, truth: Ids) -> bool:
    """Whether a curve of the label would be more than chance."""
    of_label = int((truth == label).sum())
    return min(of_label, len(truth) - of_label) >= FEWEST_OF_CLASS


def confusion(truth: Ids, said: Ids, sizes: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """(texts, posts), each (n_labels, n_labels): truth first, then what was said."""
    count = len(LABEL_NAMES)
    cells = truth * count + said
    texts = np.bincount(cells, minlength=count**2).reshape(count, count)
    posts = np.bincount(cells, weights=sizes, minlength=count**2).reshape(count, count)
    return texts.astype(np.int64), posts.astype(np.float64)
