"""Drawing whole families with replacement: how sure a figure is when near-copies are judged alike.

Cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

MIN_FAMILIES = 2  # of one family, drawing again says nothing
LEVEL = 0.95
DRAWN_AT_ONCE = 2_000_000  # families, so that memory stays small


@dataclass(frozen=True, slots=True)
class FamilyDraws:
    """numbers: (n_units,), the family of each unit, from 0. times: (n_draws, n_families), how often each was drawn."""

    numbers: Ids
    times: Floats

    def sums(self, of_units: Floats) -> Floats:
        """What the units of each draw add up to, (n_draws, …); of_units: (n_units, …)."""
        by_family = np.zeros((self.times.shape[1], *of_units.shape[1:]))
        np.add.at(by_family, self.numbers, of_units)
        return np.tensordot(self.times, by_family, axes=1)


def draw_families(families: Ids, *, rng: np.random.Generator, draws: int = 1_000) -> FamilyDraws | None:
    """Draw as many families as there are, so many times; None where there are fewer than two.

    families: (n_units,), any numbers that are the same within a family.
    """
    _, numbers = np.unique(families, return_inverse=True)
    count = int(numbers.max(initial=-1)) + 1
    if count < MIN_FAMILIES:
        return None
    times = np.empty((draws, count))
    at_once = max(1, DRAWN_AT_ONCE // count)  # counting what was drawn is quicker than multinomial draws, by far
    for start in range(0, draws, at_once):
        some = times[start : start + at_once]
        drawn = rng.integers(0, count, size=some.shape) + count * np.arange(len(some))[:, None]
        some[:] = np.bincount(drawn.ravel(), minlength=some.size).reshape(some.shape)
    return FamilyDraws(numbers.astype(np.int64), times)


def draw_totals(of_families: Floats, *, rng: np.random.Generator, draws: int = 1_000) -> Floats | None:
    """What as many families add up to, drawn with replacement, (n_draws, n_values); None of fewer than two.

    of_families: (n_families, n_values). Families with equal values are drawn together, by how many there are: a hundred
    thousand that differ in few ways are quickly drawn.
    """
    if len(of_families) < MIN_FAMILIES:
        return None
    different, counts = np.unique(of_families, axis=0, return_counts=True)
    times = rng.multinomial(len(of_families), counts / counts.sum(), size=draws)
    totals: Floats = times @ different
    return totals


def percentile_interval(values: Floats, *, level: float = LEVEL) -> tuple[float, float] | None:
    """The middle share of what the draws gave, (n_draws,); draws in which it was not defined (NaN) are left out."""
    found = values[~np.isnan(values)]
    if not len(found):
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
