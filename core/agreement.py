"""Agreement between people who judged the same posts: Krippendorff's alpha and how sure it is.

Alpha is 1 where all agree and 0 where they agree as often as chance would have it. Units are posts; who of several
people said what makes no difference, and posts that only one person judged say nothing.
Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011); Content Analysis (2004), chapter 11.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.resampling import draw_families, percentile_interval

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Scale(StrEnum):
    """How far apart two labels are: nominal all the same, ordinal by how many judgements lie between them."""

    nominal = "nominal"
    ordinal = "ordinal"


def alpha(judgements: Counts, *, scale: Scale) -> float | None:
    """Return Krippendorff's alpha; None where nothing can be said.

    judgements: (n_units, n_labels), how many people gave each unit each label, labels in their order. None: no unit was
    judged by two people, or one label was used throughout, so that nobody could disagree.
    """
    return _alpha(_coincidences(judgements).sum(axis=0), scale)


def alpha_of_label(judgements: Counts, label: int) -> float | None:
    """Return alpha for one label against all the others."""
    return alpha(
        np.stack((judgements[:, label], judgements.sum(axis=1) - judgements[:, label]), axis=1), scale=Scale.nominal
    )


def alpha_interval(
    judgements: Counts,
    families: npt.NDArray[np.int64],
    *,
    scale: Scale,
    rng: np.random.Generator,
    resamples: int = 1_000,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Return the bootstrap interval (percentiles) of alpha; None where there is no alpha, or one family only.

    families: (n_units,); whole families are drawn. Draws in which nobody could disagree are left out.
    """
    coincidences = _coincidences(judgements)
    is_paired = coincidences.any(axis=(1, 2))
    draws = draw_families(families[is_paired], rng=rng, draws=resamples)
    if draws is None:
        return None
    drawn = [_alpha(each, scale) for each in draws.sums(coincidences[is_paired])]
    return percentile_interval(np.array([np.nan if value is None else value for value in drawn]), level=level)


def _coincidences(judgements: Counts) -> Floats:
    """(n_units, n_labels, n_labels): the pairs of judgements of each unit; each judgement counts once in all."""
    people = judgements.sum(axis=1)
    pairs = judgements[:, :, None] * judgements[:, None, :]
    diagonal = np.arange(judgements.shape[1])
    pairs[:, diagonal, diagonal] -= judgements
    coincidences: Floats = pairs / np.maximum(1, people - 1)[:, None, None]
    return coincidences


def _alpha(coincidences: Floats, scale: Scale) -> float | None:
    """coincidences: (n_labels, n_labels), summed over the units."""
    marginals = coincidences.sum(axis=1)
    total = marginals.sum()
    distances = _distances(marginals, scale)
    expected = (marginals[:, None] * marginals[None, :] * distances).sum()
    if expected <= 0:
        return None
    return float(1 - (total - 1) * (coincidences * distances).sum() / expected)


def _distances(marginals: Floats, scale: Scale) -> Floats:
    """Squared distances between labels, (n_labels, n_labels)."""
    if scale is Scale.nominal:
        return 1.0 - np.eye(len(marginals))
    middles = np.cumsum(marginals) - marginals / 2
    return np.asarray(np.square(middles[:, None] - middles[None, :]))
