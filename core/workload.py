"""What thresholds would do to a forum: how many posts pass, are removed or are left, and what goes wrong by it.

How many is counted over the whole pool. What goes wrong is estimated on posts that were drawn at random and judged:
each family counts as often as it has posts, and probabilities come from corrections that other families gave. Where
nothing went wrong among them the interval says what they cannot rule out (Hanley and Lippman-Hand 1983).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.domain import Label
from core.prevalence import not_ruled_out
from core.resampling import draw_families, percentile_interval
from core.thresholds import Thresholds, Verdict

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

PLACES = tuple(place / 1000 for place in (*range(300, 990, 10), *range(990, 1000)))  # thresholds that are offered
_PLACES = np.array(PLACES, dtype=np.float32)  # as narrow as probabilities are kept: equal ones stay equal


@dataclass(frozen=True, slots=True)
class Workload:
    """cells: (n_places + 1, n_places + 1), posts by how many of PLACES their probability of normal reaches, and how
    many that of a violation does."""

    cells: Floats

    @classmethod
    def of(cls, normal: npt.ArrayLike, violation: npt.ArrayLike, sizes: Floats | None = None) -> Workload:
        """normal, violation: (n,), probabilities. sizes: (n,), posts that each stands for; one if not given."""
        side = len(PLACES) + 1
        cells = _reached(normal) * side + _reached(violation)
        counted = np.bincount(cells, weights=sizes, minlength=side * side)
        return cls(counted.astype(np.float64).reshape(side, side))

    @property
    def posts(self) -> float:
        return float(self.cells.sum())

    def removed(self) -> Floats:
        """(n_places + 1,), posts that are removed from each of PLACES on; the last is for no threshold."""
        return _from_the_next_on(self.cells.sum(axis=0))

    def passed(self) -> Floats:
        """(n_places + 1, n_places + 1), by the place from which posts pass, and that from which they are removed."""
        return _from_the_next_on(self.cells.cumsum(axis=1))

    def at(self, chosen: Thresholds) -> dict[Verdict, float]:
        """How many posts have each verdict. Thresholds are among PLACES, or none."""
        passes, removes = place_of(chosen.passes), place_of(chosen.removes)
        passed, removed = float(self.passed()[passes, removes]), float(self.removed()[removes])
        return {
            Verdict.passes: passed,
            Verdict.moderators: self.posts - passed - removed,
            Verdict.removed: removed,
        }


def _reached(probability: npt.ArrayLike) -> Ids:
    return np.searchsorted(_PLACES, np.asarray(probability, dtype=np.float32), side="right").astype(np.int64)


def _from_the_next_on(counted: Floats) -> Floats:
    """Sums over the first axis from behind each place on: what reaches more places lies at or above it."""
    sums = np.flip(np.flip(counted, axis=0).cumsum(axis=0), axis=0)
    return np.concatenate([sums[1:], np.zeros_like(sums[:1])])


def place_of(threshold: float | None) -> int:
    """Where a threshold stands in PLACES; behind all of them for none. Raises ValueError for any other."""
    return len(PLACES) if threshold is None else PLACES.index(threshold)


def nearest(threshold: float | None) -> float | None:
    """The one of PLACES that is nearest."""
    return None if threshold is None else min(PLACES, key=lambda place: abs(place - threshold))


# --- what goes wrong --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """Judged posts that were drawn at random, one for each family. proba: (n, 3), out of fold; all others (n,).

    truth: labels; sizes: posts of the family.
    """

    proba: Floats
    truth: Ids
    sizes: Floats

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def violations(self) -> int:
        return int((self.truth == Label.violation).sum())


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval; without one where there are too few families, NaN where it is not defined."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Expected:
    """missed: violations that pass, and wrong: posts removed that are none, as shares of all posts.

    missed_of_violations, wrong_of_removed: the same as shares of the violations, and of what is removed.
    """

    missed: Share
    wrong: Share
    missed_of_violations: Share
    wrong_of_removed: Share


def expected(sample: Sample, chosen: Thresholds, *, rng: np.random.Generator) -> Expected:
    verdicts, is_violation = chosen.verdicts(sample.proba), sample.truth == Label.violation
    is_removed = verdicts == Verdict.removed
    columns = [np.ones(len(sample)), is_violation, is_removed, (verdicts == Verdict.passes) & is_violation]
    posts = np.column_stack([*columns, is_removed & ~is_violation]) * sample.sizes[:, None]
    draws = draw_families(np.arange(len(sample)), rng=rng)
    drawn = None if draws is None else draws.sums(posts)
    whole, violations, removed, missed, wrong = range(5)

    def share(part: int, of: int, *, happens: bool) -> Share:
        value = float(_ratio(posts.sum(axis=0), part, of))
        if not happens:  # no post passes, or none is removed
            return Share(value, (0.0, 0.0) if drawn is not None else None)
        interval = None if drawn is None else percentile_interval(_ratio(drawn.T, part, of))
        return Share(value, _widened(value, interval, posts[:, of]))

    passes, removes = chosen.passes is not None, chosen.removes is not None
    return Expected(
        share(missed, whole, happens=passes),
        share(wrong, whole, happens=removes),
        share(missed, violations, happens=passes),
        share(wrong, removed, happens=removes),
    )


def _ratio(posts: Floats, part: int, of: int) -> Floats:
    """posts: (5,) or (5, n_draws)."""
    below = np.asarray(posts[of], dtype=np.float64)
    return np.asarray(np.divide(posts[part], below, out=np.full_like(below, np.nan), where=below > 0))


def _widened(value: float, interval: tuple[float, float] | None, sizes: Floats) -> tuple[float, float] | None:
    """However often a sample without an error is drawn again, it has none: say what it cannot rule out all the same.

    sizes: (n,), of the families among which there is none.
    """
    return interval if value != 0 or interval is None else (0.0, not_ruled_out(sizes))


# --- the frontier -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """The fewest errors for a share of posts that is left for moderators. All but thresholds are shares of posts."""

    thresholds: Thresholds
    left: float
    missed: float
    wrong: float


def frontier(pool: Workload, sample: Sample) -> list[FrontierPoint]:
    """Pairs of PLACES (or none) that no other pair beats in both, errors and posts left; the fewest left first.

    Errors are missed violations and posts removed wrongly, each counted once.
    """
    is_violation = sample.truth == Label.violation

    def work(sizes: Floats) -> Workload:
        return Workload.of(sample.proba[:, Label.normal], sample.proba[:, Label.violation], sizes)

    drawn = sample.sizes.sum()
    missed = work(np.where(is_violation, sample.sizes, 0.0)).passed() / drawn
    wrong = np.broadcast_to(work(np.where(is_violation, 0.0, sample.sizes)).removed() / drawn, missed.shape)
    left = 1 - (pool.passed() + pool.removed()) / pool.posts
    errors = missed + wrong
    found, fewest = [], np.inf
    for cell in np.lexsort((errors.ravel(), np.round(left, 9).ravel())).tolist():
        if errors.flat[cell] < fewest - 1e-12:
            fewest = errors.flat[cell]
            passes, removes = divmod(cell, errors.shape[1])
            chosen = Thresholds(_threshold(removes), _threshold(passes))
            found.append(
                FrontierPoint(chosen, float(left.flat[cell]), *map(float, (missed.flat[cell], wrong.flat[cell])))
            )
    return found


def _threshold(place: int) -> float | None:
    return PLACES[place] if place < len(PLACES) else None


# --- posts a day ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pace:
    """Posts that came in after the first import, over so many days until the last one."""

    posts: int
    days: float

    @property
    def a_day(self) -> float:
        return self.posts / self.days
