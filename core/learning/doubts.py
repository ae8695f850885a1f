"""Labels that look wrong: those that a model which has learned from all the others finds unlikely.

Confident learning (Northcutt et al. 2021, by cleanlab) on out-of-fold probabilities: every text is judged by a model
that has not seen it. That model is the baseline (TF-IDF and logistic regression), not the encoder: a fold of it takes
seconds, where one of the encoder takes as long as the whole training, and up to some ten thousand labels it is as good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.model_selection import StratifiedKFold

from core.calibration import softmax
from core.learning.baseline import train_baseline

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Doubt:
    """position: into what was given. quality: how likely the given label is, 0 to 1; probabilities in Label order."""

    position: int
    quality: float
    probabilities: tuple[float, float, float]


def find_doubts(
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    seed: int,
    most: int = 500,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[Doubt]:
    """The doubtful ones, the least likely first; none where fewer than two classes have a text for each fold.

    texts: one of each family, so that no near-copy of a text is among those that its judge has learned from.
    report: (folds done, folds); what it raises ends the search.
    """
    given = np.asarray(labels, dtype=np.int64)
    kept = np.flatnonzero(np.isin(given, [label for label in range(3) if np.sum(given == label) >= FOLDS]))
    classes, dense = np.unique(given[kept], return_inverse=True)
    if len(classes) < 2:
        return []
    proba = _out_of_fold([texts[int(at)] for at in kept], given[kept], seed=seed, report=report)  # (n_kept, 3)
    among = proba[:, classes] / proba[:, classes].sum(axis=1, keepdims=True)  # cleanlab wants every column to be used
    issues = find_label_issues(dense, among, return_indices_ranked_by="self_confidence", n_jobs=1)
    quality = get_label_quality_scores(dense, among)
    return [Doubt(int(kept[at]), float(quality[at]), _row(proba[at])) for at in issues[:most]]


def _row(proba: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return float(proba[0]), float(proba[1]), float(proba[2])


def _out_of_fold(
    texts: Sequence[str], labels: npt.NDArray[np.int64], *, seed: int, report: Callable[[int, int], None]
) -> npt.NDArray[np.float64]:
    """Probabilities by judges that have not seen the text, (n_texts, 3) in Label order."""
    proba = np.zeros((len(texts), 3))
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(texts)), labels)
    for done, (learned, judged) in enumerate(splits):
        report(done, FOLDS)
        judge = train_baseline(
            [texts[at] for at in learned], labels[learned].tolist(), np.ones(len(learned)).tolist(), seed=seed
        )
        proba[judged] = softmax(judge.logits([texts[at] for at in judged]).astype(np.float64))
    return proba
