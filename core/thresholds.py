"""Thresholds: which posts pass by themselves, which are removed, and how many are left for moderators.

Chosen and measured on posts drawn at random only. What a threshold does is told out of fold: chosen on four fifths of
the families, tried on the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from core.calibration import Floats, Ids
from core.domain import Label
from core.resampling import draw_families, percentile_interval

PRECISION = 0.95  # share of violations in what is removed
MISSED = 0.05  # share of the violations that pass
FEWEST = 20  # texts beyond a threshold; with fewer it would be chosen by chance


class Verdict(IntEnum):
    passes = 0
    moderators = 1
    removed = 2


Verdicts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """removes: the probability of a violation from which a post is removed. passes: that of normal from which it
    passes. None: no post does, for no threshold reaches what is asked of it."""

    removes: float | None
    passes: float | None

    def verdicts(self, proba: Floats) -> Verdicts:
        """(n,) of proba (n, 3), in Label order."""
        found = np.full(len(proba), int(Verdict.moderators), dtype=np.int64)
        if self.passes is not None:
            found[proba[:, Label.normal] >= self.passes] = Verdict.passes
        if self.removes is not None:
            found[proba[:, Label.violation] >= self.removes] = Verdict.removed
        return found

    def verdict(self, proba: Sequence[float]) -> Verdict:
        """Of one post; proba: in Label order."""
        if self.removes is not None and proba[Label.violation] >= self.removes:
            return Verdict.removed
        is_passed = self.passes is not None and proba[Label.normal] >= self.passes
        return Verdict.passes if is_passed else Verdict.moderators


def choose(proba: Floats, truth: Ids, sizes: Floats) -> Thresholds:
    """The lowest thresholds that keep to PRECISION and MISSED. proba: (n, 3); truth, sizes in posts: (n,)."""
    is_violation = np.where(truth == Label.violation, sizes, 0.0)
    likely, found, beyond = _from_the_top(proba[:, Label.violation], is_violation, sizes)
    removes = likely[(found >= PRECISION * beyond) & _are_enough(likely, proba[:, Label.violation])]
    if not is_violation.any():  # nobody knows what would be missed
        return Thresholds(_lowest(removes), None)
    likely, found, _beyond = _from_the_top(proba[:, Label.normal], is_violation, sizes)
    passes = likely[(found <= MISSED * is_violation.sum()) & _are_enough(likely, proba[:, Label.normal])]
    return Thresholds(_lowest(removes), _lowest(passes))


def _from_the_top(values: Floats, counted: Floats, sizes: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each distinct value, falling: itself, and what is counted and how many posts there are from it upwards."""
    distinct, numbers = np.unique(-values, return_inverse=True)
    sums = (np.bincount(numbers, weights=weights, minlength=len(distinct)).cumsum() for weights in (counted, sizes))
    return -distinct, next(sums), next(sums)


def _are_enough(thresholds: Floats, values: Floats) -> npt.NDArray[np.bool_]:
    at_least = len(values) - np.searchsorted(np.sort(values), thresholds, side="left")
    return np.asarray(at_least >= FEWEST)


def _lowest(thresholds: Floats) -> float | None:
    return float(thresholds.min()) if len(thresholds) else None


def verdicts_out_of_fold(proba: Floats, truth: Ids, sizes: Floats, fold_of: Ids) -> Verdicts:
    """(n,), each by thresholds that were chosen on the other folds; fold_of: (n,)."""
    found = np.full(len(proba), int(Verdict.moderators), dtype=np.int64)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        found[here] = choose(proba[~here], truth[~here], sizes[~here]).verdicts(proba[here])
    return found


def figures(
    verdicts: Verdicts, truth: Ids, sizes: Floats, *, families: Ids, rng: np.random.Generator
) -> dict[str, dict[str, object]]:
    """By name its value and 95 % interval over families; None where it is not defined.

    passed, removed, moderators: shares of all posts. missed: of the violations, that pass. precision: of what is
    removed, that are violations. All arrays (n,).
    """
    is_violation = truth == Label.violation
    of_verdict = [verdicts == verdict for verdict in Verdict]
    columns = [*of_verdict, is_violation, of_verdict[Verdict.passes] & is_violation]
    columns.append(of_verdict[Verdict.removed] & is_violation)
    posts = np.column_stack(columns) * sizes[:, None]
    draws = draw_families(families, rng=rng)
    values = _shares(posts.sum(axis=0)[None])
    drawn = {} if draws is None else _shares(draws.sums(posts))
    return {
        name: {
            "value": None if np.isnan(value[0]) else float(value[0]),
            "interval": percentile_interval(drawn[name]) if name in drawn else None,
        }
        for name, value in values.items()
    }


def _shares(posts: Floats) -> dict[str, Floats]:
    """posts: (n_draws, 6): passed, for moderators, removed, violations, those that pass and those that are removed."""
    passed, moderators, removed, violations, missed, right = posts.T
    whole = passed + moderators + removed
    pairs = {
        "passed": (passed, whole),
        "removed": (removed, whole),
        "moderators": (moderators, whole),
        "missed": (missed, violations),
        "precision": (right, removed),
    }
    return {name: np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0) for name, (a, b) in pairs.items()}
