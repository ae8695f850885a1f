"""Distributions over many posts: quantities of their probabilities, counted in bins; block by block, in little memory.

Probabilities come as columns, (n_labels, n_posts), NaN for a post that is not scored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.wording import _

Floats32 = npt.NDArray[np.float32]
Selection = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]

BINS = 50
ACROSS, UP = 40, 35  # cells of the triangle, about square
BLOCK = 1 << 17  # posts; what is computed of them stays in the processor's cache
UNSCORED = -1


class Quantity(StrEnum):
    """What is looked at of a post's probabilities. confidence: of the most likely label. margin: to the next one."""

    confidence = "confidence"
    normal = "normal"
    suspicious = "suspicious"
    violation = "violation"
    margin = "margin"
    entropy = "entropy"  # in bits

    @property
    def most(self) -> float:
        return math.log2(len(LABEL_NAMES)) if self is Quantity.entropy else 1.0

    def edges(self) -> list[float]:
        """Where the bins begin, and where the last one ends; (BINS + 1,)."""
        return [self.most * place / BINS for place in range(BINS + 1)]


def values(proba: Floats32, quantity: Quantity) -> Floats32:
    """(n_posts,) of proba (n_labels, n_posts)."""
    normal, suspicious, violation = proba
    if quantity is Quantity.confidence:
        return np.asarray(np.maximum(np.maximum(normal, suspicious), violation))
    if quantity is Quantity.margin:
        top = np.maximum(np.maximum(normal, suspicious), violation)
        least = np.minimum(np.minimum(normal, suspicious), violation)
        return np.asarray(top - (normal + suspicious + violation - top - least))
    if quantity is Quantity.entropy:
        logs = np.log2(np.where(proba > 0, proba, np.float32(1)))
        return np.asarray(-(proba * logs).sum(axis=0))
    return np.asarray(proba[LABEL_NAMES.index(quantity.value)])


def bins_of(found: Floats32, quantity: Quantity) -> npt.NDArray[np.int64]:
    """0 to BINS - 1; a bin takes its lower edge in, and the last one both."""
    bins = (found * np.float32(BINS / quantity.most)).astype(np.int64)
    return np.clip(bins, 0, BINS - 1, out=bins)


def predicted_labels(proba: Floats32) -> Small:
    """(n_posts,): the most likely label, between equals the less severe; UNSCORED where there is none."""
    normal, suspicious, violation = proba
    found: Small = (suspicious > normal).astype(np.int8)
    found[violation > np.maximum(normal, suspicious)] = 2
    found[np.isnan(normal)] = UNSCORED
    return found


def blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def labels_in_blocks(proba: Floats32) -> Small:
    """`predicted_labels` of millions."""
    found = np.empty(proba.shape[1], dtype=np.int8)
    for block in blocks(len(found)):
        found[block] = predicted_labels(proba[:, block])
    return found


def histogram(proba: Floats32, *, quantity: Quantity, chosen: Selection, portions: Small, n_portions: int) -> Counts:
    """(BINS, n_labels, n_portions): chosen posts that are scored, by predicted label and portion.

    chosen, portions: (n_posts,).
    """
    shape = (BINS, len(LABEL_NAMES), n_portions)
    counts = np.zeros(math.prod(shape), dtype=np.int64)
    for block in blocks(len(chosen)):
        here = proba[:, block]
        labels = predicted_labels(here)
        kept = np.flatnonzero(chosen[block] & (labels != UNSCORED))
        if not len(kept):
            continue
        some = here if len(kept) == len(labels) else here[:, kept]
        cells = (bins_of(values(some, quantity), quantity) * shape[1] + labels[kept]) * shape[2]
        counts += np.bincount(cells + portions[block][kept], minlength=len(counts))
    return counts.reshape(shape)


def cells_of(proba: Floats32) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where posts lie in the triangle: (0 to ACROSS - 1, 0 to UP - 1), each (n_posts,).

    Its corners are normal at the left, suspicious at the right and violation at the top: across = suspicious +
    violation / 2, up = violation, both 0 to 1.
    """
    suspicious, violation = proba[1], proba[2]
    across = ((suspicious + violation / 2) * np.float32(ACROSS)).astype(np.int64)
    up = (violation * np.float32(UP)).astype(np.int64)
    return np.clip(across, 0, ACROSS - 1), np.clip(up, 0, UP - 1)


def ternary(proba: Floats32, *, chosen: Selection) -> Counts:
    """(ACROSS, UP): chosen posts that are scored, by cell of the triangle."""
    counts = np.zeros(ACROSS * UP, dtype=np.int64)
    for block in blocks(len(chosen)):
        here = proba[:, block]
        some = here[:, chosen[block] & ~np.isnan(here[0])]
        across, up = cells_of(some)
        counts += np.bincount(across * UP + up, minlength=len(counts))
    return counts.reshape(ACROSS, UP)


@dataclass(frozen=True, slots=True)
class BinPart:
    """Posts in the bins from first to last, both included."""

    quantity: Quantity
    first: int
    last: int

    def holds(self, proba: Floats32) -> Selection:
        """(n_posts,)."""
        bins = bins_of(np.nan_to_num(values(proba, self.quantity)), self.quantity)
        return np.asarray((bins >= self.first) & (bins <= self.last) & ~np.isnan(proba[0]))


@dataclass(frozen=True, slots=True)
class CellPart:
    """Posts in the cells of the triangle within these, all included."""

    left: int
    right: int
    bottom: int
    top: int

    def holds(self, proba: Floats32) -> Selection:
        across, up = cells_of(np.nan_to_num(proba))
        found = (across >= self.left) & (across <= self.right) & (up >= self.bottom) & (up <= self.top)
        return np.asarray(found & ~np.isnan(proba[0]))


@dataclass(frozen=True, slots=True)
class WholePart:
    """All that are scored."""

    def holds(self, proba: Floats32) -> Selection:
        return np.asarray(~np.isnan(proba[0]))


Part = BinPart | CellPart | WholePart
_BINS_SAID = re.compile(r"([a-z]+):(\d+)-(\d+)")
_CELLS_SAID = re.compile(r"cells:(\d+)-(\d+):(\d+)-(\d+)")


def part_said(part: Part) -> str:
    """For an address: `all`, `confidence:3-3`, `cells:0-5:2-4`."""
    if isinstance(part, BinPart):
        return f"{part.quantity}:{part.first}-{part.last}"
    if isinstance(part, CellPart):
        return f"cells:{part.left}-{part.right}:{part.bottom}-{part.top}"
    return "all"


def read_part(said: str) -> Part:
    """What `part_said` says. Raises BadInput for anything else."""
    if said == "all":
        return WholePart()
    if cells := _CELLS_SAID.fullmatch(said):
        return CellPart(*map(int, cells.groups()))
    bins = _BINS_SAID.fullmatch(said)
    if bins and bins[1] in Quantity.__members__:
        return BinPart(Quantity(bins[1]), int(bins[2]), int(bins[3]))
    raise BadInput(
        _("{part!r} is no part of a chart; it is written like {example}.").format(
            part=said[:40], example="confidence:40-49"
        )
    )


def positions_in(proba: Floats32, part: Part, *, chosen: Selection) -> npt.NDArray[np.int64]:
    """Ascending positions of the chosen posts that the part holds."""
    found = []
    for block in blocks(len(chosen)):
        candidates = np.flatnonzero(chosen[block])
        if len(candidates):
            here = proba[:, block]
            some = here if len(candidates) == here.shape[1] else here[:, candidates]
            found.append(candidates[part.holds(some)] + block.start)
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def lowest(keys: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Places of the so many lowest keys, ascending; of equal ones the first. keys: (n,); a part of a sort suffices."""
    if count >= len(keys):
        return np.argsort(keys, kind="stable")
    bound = np.partition(keys, count - 1)[count - 1]
    below = np.flatnonzero(keys < bound)
    found = np.sort(np.concatenate((below, np.flatnonzero(keys == bound)[: count - len(below)])))
    return np.asarray(found[np.argsort(keys[found], kind="stable")])
