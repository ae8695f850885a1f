"""A share of a few, and how far off it may be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Z = 1.959963984540054  # of 95 %


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike) -> tuple[Floats, Floats]:
    """(low, high) of the 95 % score interval, in the shape of what is given; 0 and 1 where nothing was tried.

    Wilson 1927; good also for shares near nothing and for few trials (Brown, Cai and DasGupta 2001).
    """
    found, tried = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    n = np.maximum(tried, 1)
    share = found / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)
    return np.where(tried > 0, low, 0.0), np.where(tried > 0, high, 1.0)
