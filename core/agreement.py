"""Agreement between people who judged the same posts: Krippendorff's alpha and how sure it is.

Alpha is 1 where all agree and 0 where they agree as often as chance would have it. Units are posts; who of several
people said what makes no difference, and posts that only one person judged say nothing.
Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011); Content Analysis (2004), chapter 11.
"""

from __future__ import annotations

import math
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
    found = float(_alphas(_coincidences(judgements).sum(axis=0), scale))
    return None if math.isnan(found) else found


def against_others(judgements: Counts, label: int) -> Counts:
    """The judgements as one label or any other, (n_units, 2): alpha of these is that of the label."""
    return np.stack((judgements[:, label], judgements.sum(axis=1) - judgements[:, label]), axis=1)


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
    return percentile_interval(_alphas(draws.sums(coincidences[is_paired]), scale), level=level)


def _coincidences(judgements: Counts) -> Floats:
    """(n_units, n_labels, n_labels): the pairs of judgements of each unit; each judgement counts once in all."""
    people = judgements.sum(axis=1)
    pairs = judgements[:, :, None] * judgements[:, None, :]
    diagonal = np.arange(judgements.shape[1])
    pairs[:, diagonal, diagonal] -= judgements
    coincidences: Floats = pairs / np.maximum(1, people - 1)[:, None, None]
    return coincidences


def _alphas(coincidences: Floats, scale: Scale) -> Floats:
    """Alpha of each draw, (…,); NaN where nobody could disagree.

    coincidences: (…, n_labels, n_labels), summed over the units.
    """
    marginals = coincidences.sum(axis=-1)
    total = marginals.sum(axis=-1)
    distances = _distances(marginals, scale)
    observed = (coincidences * distances).sum(axis=(-2, -1))
    expected = (marginals[..., :, None] * marginals[..., None, :] * distances).sum(axis=(-2, -1))
    share = np.divide((total - 1) * observed, expected, out=np.full(total.shape, np.nan), where=expected > 0)
    return np.asarray(1 - share)


def _distances(marginals: Floats, scale: Scale) -> Floats:
    """Squared distances between labels, (…, n_labels, n_labels)."""
    if scale is Scale.nominal:
        return 1.0 - np.eye(marginals.shape[-1])
    middles = np.cumsum(marginals, axis=-1) - marginals / 2
    return np.asarray(np.square(middles[..., :, None] - middles[..., None, :]))
