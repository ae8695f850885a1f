"""How sure figures are, and whether one version is better than another: bootstrap over families, paired."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.domain import LABEL_NAMES
from core.resampling import FamilyDraws, draw_families, percentile_interval

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


class Verdict(StrEnum):
    better = "better"
    worse = "worse"
    cannot_tell = "cannot tell"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; without one where there are too few families. NaN where it is not defined."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Gap:
    """By how much the second version's figure is above the first one's, on the same posts."""

    value: float
    interval: tuple[float, float] | None

    @property
    def verdict(self) -> Verdict:
        """Better or worse only where the interval lies on one side of nothing."""
        if self.interval is None:
            return Verdict.cannot_tell
        low, high = self.interval
        return Verdict.better if low > 0 else Verdict.worse if high < 0 else Verdict.cannot_tell


def figure_names() -> list[str]:
    """macro-F1, accuracy, then precision, recall and F1 of each label in Label order."""
    return [
        "macro_f1",
        "accuracy",
        *(f"{label} {kind}" for label in LABEL_NAMES for kind in ("precision", "recall", "f1")),
    ]


def estimates(truth: Ids, said: Ids, *, families: Ids, sizes: Floats, rng: np.random.Generator) -> dict[str, Estimate]:
    """Return the figures of one version, by name.

    truth, said: (n,) labels; families: (n,); sizes: (n,), how many posts each stands for.
    """
    confusions = _confusions(truth, said, sizes)
    values = _figures(confusions.sum(axis=0)[None])
    drawn = _drawn(confusions, draw_families(families, rng=rng))
    return {name: Estimate(float(values[name][0]), _interval(drawn, name)) for name in figure_names()}


def drawn_figures(
    truth: Ids, said: Ids, sizes: Floats, draws: FamilyDraws
) -> tuple[dict[str, float], dict[str, Floats]]:
    """The figures of one version by name, and what each draw makes of them, (n_draws,).

    truth, said: (n,) labels; sizes: (n,), how many posts each stands for, 0 for a text that is left out.
    """
    confusions = _confusions(truth, said, sizes)
    values = _figures(confusions.sum(axis=0)[None])
    return {name: float(values[name][0]) for name in figure_names()}, _figures(draws.sums(confusions))


def gaps(
    truth: Ids, first: Ids, second: Ids, *, families: Ids, sizes: Floats, rng: np.random.Generator
) -> dict[str, Gap]:
    """Return how far the second version is above the first, by figure; both are drawn together, so that what is hard
    for both does not blur the difference.

    truth, first, second: (n,) labels; families: (n,); sizes: (n,).
    """
    draws = draw_families(families, rng=rng)
    found = []
    for said in (first, second):
        confusions = _confusions(truth, said, sizes)
        found.append((_figures(confusions.sum(axis=0)[None]), _drawn(confusions, draws)))
    (ours, our_draws), (theirs, their_draws) = found
    differences = {name: their_draws[name] - our_draws[name] for name in our_draws}
    return {name: Gap(float(theirs[name][0] - ours[name][0]), _interval(differences, name)) for name in figure_names()}


def _confusions(truth: Ids, said: Ids, sizes: Floats) -> Floats:
    """(n, n_labels, n_labels): each unit in its cell, truth first, as often as it has posts."""
    cells = np.zeros((len(truth), len(LABEL_NAMES), len(LABEL_NAMES)))
    cells[np.arange(len(truth)), truth, said] = sizes
    return cells


def _drawn(confusions: Floats, draws: FamilyDraws | None) -> dict[str, Floats]:
    return {} if draws is None else _figures(draws.sums(confusions))


def _interval(drawn: dict[str, Floats], name: str) -> tuple[float, float] | None:
    return percentile_interval(drawn[name]) if name in drawn else None


def _figures(confusions: Floats) -> dict[str, Floats]:
    """By name, (n_draws,), of confusions (n_draws, n_labels, n_labels); as `core.metrics.measure` has them.

    Recall and F1 of a label that does not occur are NaN, and macro-F1 is over the labels that do.
    """
    right = np.diagonal(confusions, axis1=1, axis2=2)  # (n_draws, n_labels)
    true, said = confusions.sum(axis=2), confusions.sum(axis=1)
    precision = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    recall = np.divide(right, true, out=np.full_like(right, np.nan), where=true > 0)
    f1 = np.divide(2 * right, true + said, out=np.zeros_like(right), where=true + said > 0)
    f1 = np.where(true > 0, f1, np.nan)
    occurring = (true > 0).sum(axis=1)
    found = {
        "macro_f1": np.nansum(f1, axis=1) / np.maximum(occurring, 1),
        "accuracy": right.sum(axis=1) / confusions.sum(axis=(1, 2)),
    }
    for label, name in enumerate(LABEL_NAMES):
        found |= {
            f"{name} precision": precision[:, label],
            f"{name} recall": recall[:, label],
            f"{name} f1": f1[:, label],
        }
    return found
