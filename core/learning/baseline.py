"""The baseline: TF-IDF of character 1- to 3-grams and a logistic regression, trained in seconds on the same snapshot.

What a fine-tuned encoder has to beat. Where it wins, it is promoted, scored and exported like any other version.
Kept as safetensors and JSON: nothing that runs code when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from core.calibration import Correction
from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.evaluation import Evaluation
from core.learning.examples import (
    TrainingExample,
    by_label,
    class_weights,
    missing_classes,
    refuse_too_few,
    training_mix,
)
from core.learning.folders import written_aside
from core.learning.manifests import correction_of, libraries, read_manifest, record, with_evaluation, with_hashes
from core.wording import _

NAME = "tfidf"  # in the place of a base encoder
WEIGHTS, VOCABULARY = "baseline.safetensors", "vocabulary.json"
STRENGTH = 3.0  # inverse of the regularisation; on COLD 1 and 10 are both worse
MANY = 5_000  # texts; from there on, an n-gram that stands in one text only is left out
MAX_STEPS = 1_000
TEXTS_AT_ONCE = 1_024
DIMENSIONS = 64  # of embeddings
UNSEEN = -20.0  # the logit of a label without examples


class Baseline:
    """A trained baseline. idf: (n_ngrams,), coefficients: (3, n_ngrams), intercepts: (3,), in Label order."""

    def __init__(
        self,
        ngrams: list[str],
        idf: npt.NDArray[np.float32],
        coefficients: npt.NDArray[np.float32],
        intercepts: npt.NDArray[np.float32],
    ) -> None:
        self.ngrams, self.idf, self.coefficients, self.intercepts = ngrams, idf, coefficients, intercepts
        self._vectorizer = _vectorizer(vocabulary={ngram: place for place, ngram in enumerate(ngrams)})
        self._vectorizer.idf_ = idf

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 3) in Label order; a label that training never saw is as unlikely as can be said."""
        result = np.zeros((len(texts), len(LABEL_NAMES)), dtype=np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            rows = self._vectorizer.transform(texts[start : start + TEXTS_AT_ONCE])
            result[start : start + rows.shape[0]] = rows @ self.coefficients.T + self.intercepts
        return result

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, at most DIMENSIONS), by the singular vectors of these texts themselves."""
        rows = self._vectorizer.transform(texts)
        dimensions = min(DIMENSIONS, rows.shape[0] - 1, rows.shape[1] - 1)
        if dimensions < 1:
            return np.zeros((rows.shape[0], 1), dtype=np.float32)
        found = TruncatedSVD(dimensions, random_state=0).fit_transform(rows)
        return np.asarray(found, dtype=np.float32)


class BaselineClassifier:
    """A baseline with its correction, ready to score."""

    def __init__(self, model: Baseline, correction: Correction) -> None:
        self._model, self._correction = model, correction

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 3) in Label order, before any correction."""
        return self._model.logits(texts)

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 3) in Label order, rows sum to 1, in the order of the texts."""
        return self.corrected(self.logits(texts))

    def corrected(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities of logits, both (n_texts, 3) in Label order."""
        return self._correction.probabilities(logits.astype(np.float64)).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> Sequence[str]:
        """It reads texts as they are."""
        return texts

    def open_cache(self, folder: Path) -> None:
        """There is nothing to keep."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Where each text lies among these, (n_texts, at most DIMENSIONS): latent semantic analysis of its n-grams."""
        return self._model.embed(texts)

    def stream(self, encoded: Sequence[str]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield (places, logits) of some texts after the other, each once: (n,) into encoded, and (n, 3)."""
        for start in range(0, len(encoded), TEXTS_AT_ONCE):
            some = encoded[start : start + TEXTS_AT_ONCE]
            yield np.arange(start, start + len(some)), self._model.logits(some)


def load_classifier(version_dir: Path) -> BaselineClassifier:
    """Raises BadInput when the folder holds no baseline, or one whose parts do not belong together."""
    manifest = read_manifest(version_dir)
    return BaselineClassifier(load_baseline(version_dir), correction_of(manifest))


def make_baseline(
    training: Sequence[TrainingExample],
    *,
    seed: int,
    snapshot_hash: str,
    out_dir: Path,
    measure: Callable[[Path], Evaluation],
) -> dict[str, Any]:
    """Train, measure and save a baseline in out_dir (written aside, renamed when complete); returns its manifest.

    measure: gets the folder while it still stands aside. Raises Conflict when there is too little to learn from.
    """
    refuse_too_few(training)
    weights = class_weights(training)
    with written_aside(out_dir) as partial:
        model = train_baseline(
            [example.text for example in training],
            [example.label for example in training],
            [example.weight * weights[example.label] for example in training],
            seed=seed,
        )
        save_baseline(model, partial)
        manifest = {
            "format": 1,
            "base": {"name": NAME, "sha256": None},
            "labels": list(LABEL_NAMES),
            "hyper_parameters": {"seed": seed, "ngrams": len(model.ngrams), "inverse_regularisation": STRENGTH},
            "class_weights": dict(zip(LABEL_NAMES, weights, strict=True)),
            "training_mix": dict(zip(LABEL_NAMES, training_mix(training, weights).tolist(), strict=True)),
            "snapshot": snapshot_hash,
            "examples": {"training": by_label(training)},
            "libraries": libraries(("scikit-learn", "numpy")),
            "warnings": missing_classes(training),
            "metrics": {},
            "calibration": None,
        }
        manifest = with_hashes(partial, manifest)
        record(partial, manifest)
        manifest = with_evaluation(manifest, measure(partial))
        record(partial, manifest)
    return manifest


def train_baseline(texts: Sequence[str], labels: Sequence[int], weights: Sequence[float], *, seed: int) -> Baseline:
    """Train on texts with labels (0, 1, 2) of two classes or more; weights: how much each text counts."""
    vectorizer = _vectorizer(min_df=2 if len(texts) >= MANY else 1)
    rows = vectorizer.fit_transform(texts)
    model = LogisticRegression(C=STRENGTH, max_iter=MAX_STEPS, random_state=seed)
    model.fit(rows, labels, sample_weight=np.asarray(weights))
    coefficients = np.zeros((len(LABEL_NAMES), rows.shape[1]), dtype=np.float32)
    intercepts = np.full(len(LABEL_NAMES), UNSEEN, dtype=np.float32)
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes: the second against the first
        first, second = model.classes_
        coefficients[first], intercepts[first] = 0, 0
        coefficients[second], intercepts[second] = model.coef_[0], model.intercept_[0]
    else:
        coefficients[model.classes_], intercepts[model.classes_] = model.coef_, model.intercept_
    return Baseline(
        list(vectorizer.get_feature_names_out()), vectorizer.idf_.astype(np.float32), coefficients, intercepts
    )


def _vectorizer(**options: Any) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, dtype=np.float32, **options)


def save_baseline(model: Baseline, folder: Path) -> None:
    """Write weights and vocabulary into the folder."""
    save_file({"idf": model.idf, "coefficients": model.coefficients, "intercepts": model.intercepts}, folder / WEIGHTS)
    (folder / VOCABULARY).write_text(json.dumps(model.ngrams, ensure_ascii=False), encoding="utf-8")


def load_baseline(folder: Path) -> Baseline:
    """Raises BadInput when the folder holds no baseline, or one whose parts do not belong together."""
    try:
        tensors = load_file(folder / WEIGHTS)
        ngrams = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
        idf, coefficients, intercepts = (tensors[name] for name in ("idf", "coefficients", "intercepts"))
    except (OSError, ValueError, KeyError, SafetensorError) as err:
        raise BadInput(_("{folder} holds no baseline that can be read: {err}").format(folder=folder, err=err)) from err
    shapes = idf.shape, coefficients.shape, intercepts.shape
    count = len(ngrams) if isinstance(ngrams, list) and all(isinstance(ngram, str) for ngram in ngrams) else -1
    if shapes != ((count,), (len(LABEL_NAMES), count), (len(LABEL_NAMES),)) or len(set(ngrams)) != count:
        raise BadInput(
            _("{folder} holds a baseline whose vocabulary and weights do not belong together.").format(folder=folder)
        )
    return Baseline(ngrams, idf, coefficients, intercepts)
