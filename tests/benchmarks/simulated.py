"""A simulated forum for the queue: COLD's posts made rare, with near-copies, and a learner that takes milliseconds.

Pool: COLD's train and dev. Offensive posts are thinned to 5 %; then near-copies (one to three edited characters) of
some of all these posts are added until they are 8 %. Test: COLD's test file, weighed so that 5 % are offensive.
Two classes: normal, violation. Three: offensive posts on gender count as suspicious, on region and race as violation.
"""

from __future__ import annotations

import csv
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score

from core.domain import Label
from core.exploration import representatives
from core.families import family_form
from core.learning.baseline import DIMENSIONS, STRENGTH
from core.markup import read_markup
from core.selection import Pool, WordHits
from core.text import is_too_short, model_text
from tests.benchmarks.families import match_new

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

FILES = ("cold_train.csv", "cold_dev.csv", "cold_test.csv")
RARE, COPIED, AUDIT = 0.05, 0.08, 0.02
TEMPLATES, EDITS = 40, (1, 3)
MOST_WEIGHT = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    label: int


@dataclass(frozen=True, slots=True)
class Score:
    """On the test posts: macro-F1 over the classes there are, and average precision of what is not normal."""

    macro_f1: float
    average_precision: float


def read_rows(path: Path, *, classes: int) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return [
            Row(model_text(read_markup(row["TEXT"])), _label(row, classes=classes)) for row in csv.DictReader(lines)
        ]


def _label(row: dict[str, str], *, classes: int) -> int:
    if row["label"] == "0":
        return Label.normal
    return Label.suspicious if classes == 3 and row["topic"] == "gender" else Label.violation


def rare_pool(rows: Sequence[Row], rng: random.Random) -> list[Row]:
    normal = [row for row in rows if row.label == Label.normal]
    others = [row for row in rows if row.label != Label.normal]
    found = normal + rng.sample(others, min(len(others), round(len(normal) * RARE / (1 - RARE))))
    templates = rng.sample([row for row in found if len(row.text) >= 20], TEMPLATES)
    copies = round(len(found) * COPIED / (1 - COPIED))
    found += [_copy(templates[number % TEMPLATES], rng) for number in range(copies)]
    rng.shuffle(found)
    return found


def _copy(template: Row, rng: random.Random) -> Row:
    letters = list(template.text)
    for place in rng.sample(range(len(letters)), rng.randint(*EDITS)):
        letters[place] = chr(rng.randrange(0x4E00, 0x9FA5))
    return Row("".join(letters), template.label)


class Forum:
    """The pool of one start: the same for every strategy. Of each family only the first post is shown and judged."""

    def __init__(self, folder: Path, *, classes: int, seed: int) -> None:
        rng = random.Random(f"{classes}-{seed}")
        train, dev, test = (read_rows(folder / name, classes=classes) for name in FILES)
        whole = rare_pool([*train, *dev], rng)
        _, first = np.unique(match_new([family_form(row.text) for row in whole]), return_index=True)
        self.rows = [whole[place] for place in np.sort(first)]
        self.posts = len(whole)
        self.classes = sorted({row.label for row in whole})
        self.truth = np.array([row.label for row in self.rows], dtype=np.int64)
        self.test_truth = np.array([row.label for row in test], dtype=np.int64)
        self.test = test
        self.rng = np.random.default_rng([classes, seed])
        self.is_audit = self.rng.random(len(self.rows)) < AUDIT
        self.is_short = np.array([is_too_short(row.text) for row in self.rows])

    @cached_property
    def _vectorizer(self) -> TfidfVectorizer:
        """Fitted on the pool, without labels: so the same for all rounds."""
        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2, dtype=np.float32)
        return vectorizer.fit([row.text for row in self.rows])

    @cached_property
    def features(self) -> Any:
        return self._vectorizer.transform([row.text for row in self.rows])

    @cached_property
    def test_features(self) -> Any:
        return self._vectorizer.transform([row.text for row in self.test])

    @cached_property
    def test_weights(self) -> Floats:
        """As if RARE of the test posts were offensive."""
        is_normal = self.test_truth == Label.normal
        share = 1 - is_normal.mean()
        return np.where(is_normal, (1 - RARE) / (1 - share), RARE / share)

    @cached_property
    def explored(self) -> Ids:
        """One of each kind, of all posts: there are fewer than the product's shortlist."""
        embeddings = TruncatedSVD(DIMENSIONS, random_state=0).fit_transform(self.features)
        return representatives(embeddings.astype(np.float32), rng=self.rng)

    def pool(self, proba: Floats, there: Ids) -> Pool:
        """The posts that are not judged yet, by position; proba: (n_rows, 3)."""
        place = np.full(len(self.rows), -1)
        place[there] = np.arange(len(there))
        explored = place[self.explored]
        nothing = np.empty(0, dtype=np.int64)
        return Pool(
            proba[there].astype(np.float32), np.ones(len(there), dtype=np.bool_), self.is_audit[there],
            self.is_short[there], WordHits(nothing), explored[explored >= 0],
        )  # fmt: skip

    def train(self, judged: Ids) -> LogisticRegression:
        """The product's baseline, but for n-grams that are counted once for all rounds."""
        labels = self.truth[judged]
        counts = Counter(labels.tolist())
        weights = [min(MOST_WEIGHT, math.sqrt(len(judged) / counts[label])) for label in labels.tolist()]
        return LogisticRegression(C=STRENGTH, max_iter=300).fit(self.features[judged], labels, sample_weight=weights)

    def probabilities(self, model: LogisticRegression, features: Any) -> Floats:
        """(n, 3); 0 for a label that no judged post has."""
        found = np.zeros((features.shape[0], len(Label)))
        found[:, model.classes_] = model.predict_proba(features)
        return found

    def score(self, model: LogisticRegression) -> Score:
        return self.score_of(self.probabilities(model, self.test_features))

    def score_of(self, proba: Floats) -> Score:
        """proba: (n_test, 3), of the test posts."""
        said = proba.argmax(axis=1)
        return Score(
            float(f1_score(self.test_truth, said, labels=self.classes, average="macro", sample_weight=self.test_weights,
                           zero_division=0)),
            float(average_precision_score(self.test_truth != Label.normal, 1 - proba[:, Label.normal],
                                          sample_weight=self.test_weights)),
        )  # fmt: skip


def smoothed(labels: Sequence[int], values: Sequence[float]) -> Iterator[tuple[int, float]]:
    """The curve as one that never falls, by isotonic regression: a single lucky round reaches no target."""
    yield from zip(labels, IsotonicRegression().fit(labels, values).predict(labels), strict=True)


def labels_to(target: float, labels: Sequence[int], values: Sequence[float]) -> int | None:
    """The first number of labels from which on the smoothed curve is at the target; None where it never is."""
    return next((count for count, value in smoothed(labels, values) if value >= target), None)


def area(labels: Sequence[int], values: Sequence[float]) -> float:
    """Under the learning curve, as a mean over its labels (AULC)."""
    return float(np.trapezoid(values, labels) / (labels[-1] - labels[0]))
