"""What adapting an encoder to the texts at hand is worth, apart from what more training is worth.

COLD's texts fall into two halves. Encoders of the starter's size: random weights; pretrained on half A; that one
adapted to half B; that one trained as much longer on half A. Labels and test texts are half B's (Gururangan et al.
2020). What is measured is kept in build/, and an interrupted run goes on.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from core.loading import prepare_libraries
from core.settings import PROJECT_DIR
from tests.benchmarks.aside import call_aside
from tests.benchmarks.cold import EVERY_FILE, Examples, Tried, cold_folder, read_examples, try_baseline, try_encoder
from tests.benchmarks.figures import Figure
from tests.benchmarks.workshop import Workshop

KEPT = PROJECT_DIR / "build" / "adapting"
LABELS = (200, 500, 1_000)
SEEDS = (0, 1, 2, 3, 4)
TEST = 5_000  # texts of half B; labels are drawn from its others
FIRST_EPOCHS, MORE_EPOCHS = 8, 5
RANDOM, HALF_A, THEN_B, THEN_A = "random weights", "half A", "half A, then half B", "half A, then half A again"
BASELINE = "TF-IDF and regression"


def measure(workshop: Workshop) -> list[Figure]:
    """macro-F1 by encoder and number of labels, and what adapting adds, paired by seed."""
    folder = cold_folder(EVERY_FILE)
    half_a, half_b = halves([row for name in EVERY_FILE for row in read_examples(folder / name)])
    test, others = half_b[:TEST], half_b[TEST:]
    encoders = _encoders([text for text, _ in half_a], [text for text, _ in half_b])
    figures = [Figure("texts of half A", len(half_a), "texts", f"{FIRST_EPOCHS} epochs, then {MORE_EPOCHS}"),
               Figure("texts of half B", len(half_b), "texts", f"{TEST:,} of them to test on")]  # fmt: skip
    for count in LABELS:
        samples = {seed: random.Random(seed).sample(others, count) for seed in SEEDS}
        reached = {
            name: [
                _kept(name, count, seed, partial(_tried_aside, _train_anew, samples[seed], test, path, seed))
                for seed in SEEDS
            ]
            for name, path in encoders.items()
        }
        reached[BASELINE] = [
            _kept(BASELINE, count, seed, partial(_tried_aside, try_baseline, samples[seed], test)) for seed in SEEDS
        ]
        figures += _figures(count, reached)
    return figures


def halves(rows: Sequence[tuple[str, int]]) -> tuple[Examples, Examples]:
    """Two halves by chance, always the same; equal texts, whose labels may differ, are one."""
    distinct = sorted(dict(rows).items())
    random.Random(13).shuffle(distinct)
    middle = len(distinct) // 2
    return distinct[:middle], distinct[middle:]


def _encoders(half_a: Sequence[str], half_b: Sequence[str]) -> dict[str, Path]:
    """Folders by name; made where they are not there yet."""
    first, then_b, then_a = KEPT / "half-a", KEPT / "half-a-half-b", KEPT / "half-a-half-a"
    call_aside(_pretrain, half_a, KEPT / "random", None, 0)
    call_aside(_pretrain, half_a, first, None, FIRST_EPOCHS)
    call_aside(_pretrain, half_b, then_b, first, MORE_EPOCHS)
    call_aside(_pretrain, half_a, then_a, first, MORE_EPOCHS)
    return {RANDOM: KEPT / "random", HALF_A: first, THEN_B: then_b, THEN_A: then_a}


def _pretrain(texts: Sequence[str], out_dir: Path, base: Path | None, epochs: int) -> None:
    """As `tiebreak pretrain` does it; goes on where it was interrupted."""
    prepare_libraries()
    from core.learning.pretraining import PretrainingConfig, adapting, pretrain

    if (out_dir / "pretraining.json").is_file():
        return
    config = PretrainingConfig(epochs=epochs)
    if base is not None:
        config = adapting(base, base.name, hidden=config.hidden, epochs=epochs)
    resume = (out_dir / "checkpoint" / "state.pt").is_file()
    if not resume:
        shutil.rmtree(out_dir, ignore_errors=True)
    pretrain(texts, out_dir, config=config, resume=resume, source="COLD, a half")


def _tried_aside(way: Callable[..., Tried], *arguments: object) -> Tried:
    tried: Tried = call_aside(way, *arguments).value
    return tried


def _train_anew(sample: Examples, test: Examples, encoder: Path, seed: int) -> Tried:
    shutil.rmtree(KEPT / "version", ignore_errors=True)
    return try_encoder(sample, test, encoder, KEPT / "version", seed)


def _kept(name: str, count: int, seed: int, run: Callable[[], Tried]) -> float:
    """macro-F1, of an earlier sitting where it was measured then."""
    path = KEPT / f"{name}-{count}-{seed}.json".replace(" ", "-").replace(",", "")
    if not path.exists():
        aside = path.with_suffix(".partial")
        aside.write_text(json.dumps(asdict(run())) + "\n")
        aside.rename(path)
    return float(json.loads(path.read_text())["macro_f1"])


def _figures(count: int, reached: dict[str, list[float]]) -> list[Figure]:
    figures = [
        Figure(
            f"{count:,} labels, {name}: macro-F1",
            statistics.mean(of_name),
            "",
            f"{len(of_name)} seeds, {min(of_name):.3f} to {max(of_name):.3f}",
        )
        for name, of_name in reached.items()
    ]
    for more in (THEN_B, THEN_A):
        gains = [after - before for after, before in zip(reached[more], reached[HALF_A], strict=True)]
        note = f"better with {sum(gain > 0 for gain in gains)} of {len(gains)} seeds"
        figures.append(Figure(f"{count:,} labels, {more}: beyond half A alone", statistics.mean(gains), "", note))
    return figures
