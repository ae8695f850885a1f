"""How a training goes: batches, steps, the rate at each step, and whether the best epoch can be chosen honestly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.calibration import Ids
from core.learning.examples import TrainingExample

ENOUGH_TO_CHOOSE = 200  # evaluation posts; with fewer, the best epoch is the luckiest one
ENOUGH_OF_EACH = 20
LEAST_STEPS = 300  # of a full training
BATCHES_A_POOL = 50  # shuffled together, then cut into batches of similar length


@dataclass(frozen=True, slots=True)
class Schedule:
    """batch_size: examples a step, however they are computed."""

    batch_size: int
    steps: int
    evaluates: bool  # after each epoch
    chooses_best: bool  # and keeps the best epoch, stopping early


def plan(training: Sequence[TrainingExample], evaluation: Sequence[TrainingExample], *, quick: bool) -> Schedule:
    """What suits the number of labels: with few of them more epochs and smaller batches."""
    n = len(training)
    if quick:
        return Schedule(16, max(200, math.ceil(n / 16)), evaluates=False, chooses_best=False)
    batch = 16 if n < 2_000 else 32
    epochs = 10 if n < 1_000 else 5 if n < 5_000 else 3
    steps = max(LEAST_STEPS, epochs * math.ceil(n / batch))
    return Schedule(batch, steps, evaluates=bool(evaluation), chooses_best=can_choose(evaluation))


def plan_of_files(
    training: Sequence[TrainingExample], evaluation: Sequence[TrainingExample], *, quick: bool
) -> Schedule:
    """The modes of `tiebreak train`: quick is 1 epoch in batches of 8, full 3 epochs or 300 steps in such of 32."""
    n = len(training)
    if quick:
        return Schedule(8, math.ceil(n / 8), evaluates=False, chooses_best=False)
    steps = max(LEAST_STEPS, 3 * math.ceil(n / 32))
    return Schedule(32, steps, evaluates=bool(evaluation), chooses_best=can_choose(evaluation))


def can_choose(evaluation: Sequence[TrainingExample]) -> bool:
    counts = Counter(example.label for example in evaluation)
    return len(evaluation) >= ENOUGH_TO_CHOOSE and min(counts.values()) >= ENOUGH_OF_EACH


def epochs_of(lengths: Sequence[int], *, batch_size: int, seed: int) -> Iterator[list[Ids]]:
    """Epochs without end; each is a list of batches, arrays of positions into lengths, every position once.

    A batch holds texts of similar length, so that little of it is padding; the batches come in random order.
    """
    tokens = np.asarray(lengths)
    epoch = 0
    while True:
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(tokens))
        batches: list[Ids] = []
        pool = batch_size * BATCHES_A_POOL
        for start in range(0, len(order), pool):
            drawn = order[start : start + pool]
            drawn = drawn[np.argsort(-tokens[drawn], kind="stable")]
            batches += [drawn[at : at + batch_size] for at in range(0, len(drawn), batch_size)]
        yield [batches[place] for place in rng.permutation(len(batches))]
        epoch += 1


def rate_at(step: int, *, steps: int, warmup: int) -> float:
    """Share of the highest learning rate in that step, counted from 0: up in a line, then down in a line."""
    return step / max(1, warmup) if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup))
