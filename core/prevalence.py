"""How common each label is: shares estimated from posts that chance chose, and how far two of them differ.

The audit slice is a random part of the forum, so its draws stand for the whole. Later draws are from what was still
undecided at their time, of which the queue had taken the likely violations: each of them speaks for that rest, and what
was decided before counts as it was decided (an estimate of each draw by itself, as in active testing: Kossen et al.
2021, Farquhar et al. 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.domain import Label
from core.resampling import LEVEL, draw_totals, percentile_interval

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Selection = npt.NDArray[np.bool_]

ENOUGH_DRAWN = 50  # families: with fewer, the interval of a share of 5 % reaches from near nothing to four times it


@dataclass(frozen=True, slots=True)
class Share:
    """value: of 1. interval: of 95 %, by family; None where there is nothing to draw from. families: it rests on."""

    value: float
    interval: tuple[float, float] | None
    families: int

    @property
    def is_enough(self) -> bool:
        return self.families >= ENOUGH_DRAWN and self.interval is not None


@dataclass(frozen=True, slots=True)
class Judged:
    """Families with a gold label in the order in which they were judged; all (n_families,).

    sizes: in posts. is_drawn: chance chose it, with a known probability. in_slice: of the audit slice.
    """

    labels: Ids
    sizes: Floats
    is_drawn: Selection
    in_slice: Selection


def prevalence(judged: Judged, *, posts: int, slice_posts: int, rng: np.random.Generator) -> dict[Label, Share]:
    """Share of each label among the forum's posts.

    posts: how many the forum has. slice_posts: those of them that are of the audit slice.
    """
    sizes = judged.sizes[judged.is_drawn]
    said = _speaking_for(judged, posts=posts, slice_posts=slice_posts)[judged.is_drawn]
    if not len(said):
        return {label: Share(math.nan, None, 0) for label in Label}
    totals = draw_totals(np.column_stack([said * sizes[:, None], sizes]), rng=rng)
    values = sizes @ said / sizes.sum()
    drawn_as = judged.labels[judged.is_drawn]
    return {
        label: _share(float(values[label]), totals, column=label, counts=sizes, is_of=drawn_as == label)
        for label in Label
    }


def _speaking_for(judged: Judged, *, posts: int, slice_posts: int) -> Floats:
    """What the forum's shares would be by each family alone, (n_families, n_labels)."""
    own = np.zeros((len(judged.labels), len(Label)))
    own[np.arange(len(own)), judged.labels] = 1
    weighed = own * judged.sizes[:, None]
    # Of the slice nothing but chance chooses; what a file says of it was known before any draw.
    known = np.tile((weighed * (judged.in_slice & ~judged.is_drawn)[:, None]).sum(axis=0), (len(own), 1))
    outside = weighed * ~judged.in_slice[:, None]
    known[~judged.in_slice] = (np.cumsum(outside, axis=0) - outside)[~judged.in_slice]
    whole = np.where(judged.in_slice, slice_posts, posts - slice_posts)
    rest = np.maximum(whole - known.sum(axis=1), judged.sizes)  # of a forum that has shrunk since
    found: Floats = (known + rest[:, None] * own) / (known.sum(axis=1) + rest)[:, None]
    return found


def share_of(is_of: Selection, families: Ids, *, rng: np.random.Generator) -> Share:
    """Share of the units that are of a kind. is_of, families: (n_units,)."""
    if not len(is_of):
        return Share(math.nan, None, 0)
    _, numbers = np.unique(families, return_inverse=True)
    counts = np.bincount(numbers).astype(np.float64)
    of_kind = np.bincount(numbers, weights=is_of).astype(np.float64)
    totals = draw_totals(np.column_stack([of_kind, counts]), rng=rng)
    return _share(float(is_of.mean()), totals, column=0, counts=counts, is_of=of_kind > 0)


def _share(value: float, totals: Floats | None, *, column: int, counts: Floats, is_of: Selection) -> Share:
    """counts: (n_families,), what each weighs. is_of: (n_families,), whether it is of the kind at all."""
    if totals is None:
        return Share(value, None, len(counts))
    interval = percentile_interval(totals[:, column] / totals[:, -1])
    if interval is not None and (is_of.all() or not is_of.any()):
        # Where all are alike, drawing again gives the same again, which is no certainty (Hanley and Lippman-Hand 1983).
        unseen = not_ruled_out(counts)
        interval = (max(0.0, value - unseen), value) if is_of.all() else (value, min(1.0, value + unseen))
    return Share(value, interval, len(counts))


def not_ruled_out(counts: Floats) -> float:
    """How common what no family shows may be all the same; counts: (n_families,), what each weighs."""
    effective = counts.sum() ** 2 / (counts**2).sum()
    return float(1 - ((1 - LEVEL) / 2) ** (1 / effective))


@dataclass(frozen=True, slots=True)
class Surplus:
    """By how much the first share is above the second, of 1, with its 95 % interval."""

    value: float
    interval: tuple[float, float]


def surplus(first: Share, second: Share) -> Surplus | None:
    """Of two independent shares, by their own intervals (Newcombe 1998, method 10); None where one says too little."""
    if not (first.is_enough and second.is_enough) or first.interval is None or second.interval is None:
        return None
    value = first.value - second.value
    below = math.hypot(first.value - first.interval[0], second.interval[1] - second.value)
    above = math.hypot(first.interval[1] - first.value, second.value - second.interval[0])
    return Surplus(value, (value - below, value + above))
