"""How far two distributions lie apart: population stability index and Kolmogorov-Smirnov, of counts in fine bins.

Counts are (FINE,), of values from 0 to 1 (or to the most of a quantity): fine enough that what they say is what the
values themselves would, but for differences of a 50,000th.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.distributions import BINS, Counts, Floats32, Quantity, Selection, blocks, values

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

FINE = BINS * 1_000
GROUPS = 10  # of the PSI: about a tenth of the first distribution each
SMOOTHING = 0.5  # posts added to each group: one that is empty by chance would make the index infinite
SOME, MUCH = 0.1, 0.25  # Siddiqi, Credit Risk Scorecards (2006)
FEWEST = 50  # posts: with fewer, ten groups are a handful each


class Shift(StrEnum):
    """What a population stability index says, by the customary bounds."""

    little = "little"
    some = "some"
    much = "much"


def shift_of(psi: float) -> Shift:
    return Shift.little if psi < SOME else Shift.some if psi < MUCH else Shift.much


def fine_bins(found: Floats32, quantity: Quantity) -> Ids:
    """0 to FINE - 1, (n_posts,)."""
    bins = (found * np.float32(FINE / quantity.most)).astype(np.int64)
    return np.clip(bins, 0, FINE - 1, out=bins)


def fine_counts(proba: Floats32, *, quantity: Quantity, chosen: Selection) -> Counts:
    """(FINE,): chosen posts that are scored. proba: (n_labels, n_posts), NaN where unscored; chosen: (n_posts,)."""
    counts = np.zeros(FINE, dtype=np.int64)
    for block in blocks(len(chosen)):
        here = proba[:, block]
        some = here[:, chosen[block] & ~np.isnan(here[0])]
        counts += np.bincount(fine_bins(values(some, quantity), quantity), minlength=FINE)
    return counts


def coarse(counts: Counts) -> Counts:
    """(BINS,), as distributions are drawn."""
    return np.asarray(counts.reshape(BINS, -1).sum(axis=1))


def groups_of(counts: Counts) -> Ids:
    """For each fine bin, (FINE,), the group it belongs to: about equally many posts each, 0 to GROUPS - 1 at most.

    Values that are equal stay together, so there may be fewer groups. Raises ValueError where nothing is counted.
    """
    if not counts.sum():
        raise ValueError("nothing is counted, so that there are no groups")
    before = counts.cumsum() - counts  # so that a bin full of posts begins its own group
    groups = np.minimum((before + counts / 2) * GROUPS // counts.sum(), GROUPS - 1).astype(np.int64)
    _, dense = np.unique(groups, return_inverse=True)
    return np.asarray(dense, dtype=np.int64)


def stability(first: Counts, second: Counts) -> float:
    """Population stability index of counts in the same groups, (n_groups,): the symmetric Kullback-Leibler divergence.

    0 where the shares are the same; see shift_of.
    """
    shares = [(each + SMOOTHING) / (each + SMOOTHING).sum() for each in (first, second)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def population_stability(first: Counts, second: Counts) -> float:
    """PSI of fine counts, in tenths of the first."""
    groups = groups_of(first)
    return stability(*(np.bincount(groups, weights=each) for each in (first, second)))


def kolmogorov_smirnov(first: Counts, second: Counts) -> float:
    """The most by which the shares of posts up to some value differ, 0 to 1."""
    shares = [each.cumsum() / each.sum() for each in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())
