"""COLD: the starter encoder on a public test set, beside TF-IDF with logistic regression on the same labels.

COLD (Deng et al. 2022, Apache-2.0) holds 37,480 Chinese comments, offensive or not; it is not shipped.
"""

from __future__ import annotations

import csv
import os
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain import Label
from core.loading import prepare_libraries
from core.markup import read_markup
from core.metrics import measure as measure_labels
from core.text import model_text
from tests.benchmarks.aside import call_aside
from tests.benchmarks.figures import Figure, Skipped
from tests.benchmarks.loop import require_starter
from tests.benchmarks.workshop import Workshop

FILES = ("cold_train.csv", "cold_test.csv")
EVERY_FILE = ("cold_train.csv", "cold_dev.csv", "cold_test.csv")
QUICK_UP_TO = 500  # labels; beyond, a lead would not train quickly

Examples = Sequence[tuple[str, int]]  # (text, label)


@dataclass(frozen=True, slots=True)
class Tried:
    """One way of learning, tried on one sample of labels."""

    macro_f1: float
    training_s: float
    scoring_s: float


def measure(workshop: Workshop) -> list[Figure]:
    folder = cold_folder()
    settings = workshop.home("cold")
    require_starter(settings)
    train, test = (read_examples(folder / name) for name in FILES)
    figures = [Figure("test set", len(test), "texts", f"labels are drawn from {len(train):,}")]
    for count in workshop.options.labels:
        starter, baseline = [], []
        for seed in workshop.options.seeds:
            sample = random.Random(seed).sample(train, count)
            out_dir = settings.versions_dir / f"{count}-{seed}"
            starter.append(call_aside(try_encoder, sample, test, settings.starter_dir, out_dir, seed).value)
            baseline.append(call_aside(try_baseline, sample, test).value)
        kind = "quick" if count <= QUICK_UP_TO else "full"
        figures += _figures(f"{count:,} labels, starter, {kind} training", starter, workshop.options.seeds)
        figures += _figures(f"{count:,} labels, TF-IDF and regression", baseline, workshop.options.seeds)
    return figures


def cold_folder(files: Sequence[str] = FILES) -> Path:
    folder = Path(os.environ.get("COLD_DIR", ""))
    if "COLD_DIR" not in os.environ or not all((folder / name).is_file() for name in files):
        raise Skipped(
            f"Set COLD_DIR to a folder with {' and '.join(files)}, from thu-coai/COLDataset on GitHub (Apache-2.0)."
        )
    return folder


def read_examples(path: Path) -> list[tuple[str, int]]:
    """(text as the model reads it, label) of each row: offensive counts as violation, the rest as normal."""
    labels = {"0": int(Label.normal), "1": int(Label.violation)}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return [(model_text(read_markup(row["TEXT"])), labels[row["label"]]) for row in csv.DictReader(lines)]


def _figures(name: str, tried: Sequence[Tried], seeds: Sequence[int]) -> list[Figure]:
    each = ", ".join(f"{one.macro_f1:.3f}" for one in tried)
    note = f"mean of {each} with seeds {', '.join(map(str, seeds))}" if len(tried) > 1 else f"seed {seeds[0]}"
    return [
        Figure(f"{name}: macro-F1", statistics.mean(one.macro_f1 for one in tried), "", note),
        Figure(f"{name}: training", statistics.mean(one.training_s for one in tried), "s"),
        Figure(f"{name}: scoring", statistics.mean(one.scoring_s for one in tried), "s"),
    ]


def try_encoder(sample: Examples, test: Examples, encoder: Path, out_dir: Path, seed: int) -> Tried:
    """Train on the sample, as the worker would, without anything to evaluate on meanwhile."""
    prepare_libraries()
    from core.learning.scoring import load_classifier
    from core.learning.training import TrainingConfig, TrainingExample, train

    config = TrainingConfig(
        base_path=encoder,
        base_name=encoder.name,
        quick=len(sample) <= QUICK_UP_TO,
        seed=seed,
        snapshot_hash=f"COLD, {len(sample)} labels, seed {seed}",
    )
    begun = time.perf_counter()
    train([TrainingExample(text, label) for text, label in sample], [], config=config, out_dir=out_dir)
    trained = time.perf_counter()
    proba = load_classifier(out_dir, base_path=encoder).probabilities([text for text, _ in test])
    return _tried(test, proba.argmax(axis=1).tolist(), begun, trained)


def try_baseline(sample: Examples, test: Examples) -> Tried:
    """Character 1- to 3-grams by TF-IDF, and a logistic regression with balanced classes."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3)),
        LogisticRegression(class_weight="balanced", max_iter=1_000),
    )
    begun = time.perf_counter()
    model.fit([text for text, _ in sample], [label for _, label in sample])
    trained = time.perf_counter()
    return _tried(test, model.predict([text for text, _ in test]).tolist(), begun, trained)


def _tried(test: Examples, predicted: Sequence[int], begun: float, trained: float) -> Tried:
    scoring_s = time.perf_counter() - trained
    return Tried(measure_labels([label for _, label in test], predicted).macro_f1, trained - begun, scoring_s)
