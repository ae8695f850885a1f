"""Whether the model's view leads people: how often they say what the model says, with and without having seen it.

Which posts are blind is drawn by chance, so the difference is the view's doing and nothing else's. Anchoring on what a
machine suggests: Goddard et al., "Automation bias: a systematic review" (2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.agreement import Scale, alpha, alpha_interval
from core.domain import Label
from core.resampling import draw_families, percentile_interval

Labels = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ENOUGH_FAMILIES = 50  # on each side: with fewer the interval says nothing that one could act upon


class Answer(StrEnum):
    too_little = "too little"
    cannot_tell = "cannot tell"
    follow = "follow"
    oppose = "oppose"


@dataclass(frozen=True, slots=True)
class Side:
    """How people and the model agree on the posts of one side. share: of posts with the same label; alpha: nominal.

    Intervals are of 95 %, by family; None where they say nothing.
    """

    posts: int
    families: int
    share: float | None
    share_interval: tuple[float, float] | None
    alpha: float | None
    alpha_interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much more often the same label is given with the view; in shares of 1."""

    value: float | None
    interval: tuple[float, float] | None
    answer: Answer


def measure_side(said: Labels, model: Labels, families: Ids, *, rng: np.random.Generator) -> Side:
    """said, model, families: (n_posts,)."""
    count = len(said)
    if not count:
        return Side(0, 0, None, None, None, None)
    judgements = np.zeros((count, len(Label)), dtype=np.int64)
    for labels in (said, model):
        np.add.at(judgements, (np.arange(count), labels), 1)
    shares = _drawn_shares(said == model, families, rng)
    return Side(
        posts=count,
        families=len(np.unique(families)),
        share=float((said == model).mean()),
        share_interval=None if shares is None else percentile_interval(shares),
        alpha=alpha(judgements, scale=Scale.nominal),
        alpha_interval=alpha_interval(judgements, families, scale=Scale.nominal, rng=rng),
    )


def compare_sides(
    same_with: npt.NDArray[np.bool_],
    families_with: Ids,
    same_without: npt.NDArray[np.bool_],
    families_without: Ids,
    *,
    rng: np.random.Generator,
) -> Difference:
    """same_with, same_without: (n_posts,) each, whether the label was the model's; families likewise."""
    if not len(same_with) or not len(same_without):
        return Difference(None, None, Answer.too_little)
    value = float(same_with.mean() - same_without.mean())
    fewest = min(len(np.unique(families_with)), len(np.unique(families_without)))
    drawn = _drawn_shares(same_with, families_with, rng), _drawn_shares(same_without, families_without, rng)
    interval = None if drawn[0] is None or drawn[1] is None else percentile_interval(drawn[0] - drawn[1])
    if fewest < ENOUGH_FAMILIES or interval is None:
        return Difference(value, interval, Answer.too_little)
    low, high = interval
    return Difference(value, interval, Answer.follow if low > 0 else Answer.oppose if high < 0 else Answer.cannot_tell)


def _drawn_shares(same: npt.NDArray[np.bool_], families: Ids, rng: np.random.Generator) -> Floats | None:
    """The share that each draw of families gives, (n_draws,); None where there is one family only."""
    draws = draw_families(families, rng=rng)
    if draws is None:
        return None
    counted = draws.sums(np.stack((same.astype(np.float64), np.ones(len(same))), axis=1))
    shares: Floats = counted[:, 0] / counted[:, 1]
    return shares
