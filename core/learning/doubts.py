"""Labels that look wrong: those that a model which has learned from all the others finds unlikely.

Confident learning (Northcutt et al. 2021, by cleanlab) on out-of-fold probabilities: every text is judged by a model
that has not seen it. That model is TF-IDF over character 1-3-grams with logistic regression, not the encoder: folds of
it take seconds where those of the encoder would take as long again as the training, five times over, and it is as good
up to some ten thousand labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FOLDS = 5
MOST_FEATURES = 200_000


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
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    proba = _out_of_fold([texts[int(at)] for at in kept], dense, seed=seed, report=report)  # (n_kept, n_classes)
    issues = find_label_issues(dense, proba, return_indices_ranked_by="self_confidence", n_jobs=1)
    quality = get_label_quality_scores(dense, proba)
    wide = np.zeros((len(kept), 3))
    wide[:, classes] = proba
    return [Doubt(int(kept[at]), float(quality[at]), _row(wide[at])) for at in issues[:most]]


def _row(proba: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return float(proba[0]), float(proba[1]), float(proba[2])


def _out_of_fold(
    texts: Sequence[str], labels: npt.NDArray[np.int64], *, seed: int, report: Callable[[int, int], None]
) -> npt.NDArray[np.float64]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline

    proba = np.zeros((len(texts), int(labels.max()) + 1))
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(texts)), labels)
    for done, (learned, judged) in enumerate(splits):
        report(done, FOLDS)
        judge = make_pipeline(
            TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, max_features=MOST_FEATURES),
            LogisticRegression(C=10.0, max_iter=300),
        )
        judge.fit([texts[at] for at in learned], labels[learned])
        proba[judged] = judge.predict_proba([texts[at] for at in judged])
    return proba
