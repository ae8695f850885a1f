"""The strategies with a trained encoder: a run from its first posts to its row, and what the rows say together."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from core.domain import Strategy
from core.errors import Conflict
from tests.benchmarks import simulated
from tests.benchmarks.simulated import Floats, Forum, Ids, Score
from tests.benchmarks.tuning import (
    STRATEGIES,
    WHOLE,
    Point,
    Run,
    figures,
    labels_to_goal,
    missing_runs,
    read_runs,
    simulate,
    tune_starter,
    write_runs,
)


@pytest.mark.training
def test_run_learns_from_what_it_picked_and_waits_for_enough_labels(
    folder: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "RARE", 0.3)  # an encoder of random weights needs more to learn from
    forum = Forum(folder, classes=2, seed=3)
    train = partial(tune_starter, base=tiny_base, name="tiny", seed=3, rate=3e-3)
    points = simulate(forum, Strategy.violations, train, seed=3, checkpoints=(10, 300, 400))
    assert [point.labels for point in points] == [10, 300, 400]
    assert points[0].score is None, "ten labels are too few to train on"
    first = points[1].score
    assert first
    assert first.average_precision > 0.6
    by_chance, by_model = points[1].not_normal / 300, (points[2].not_normal - points[1].not_normal) / 100
    assert by_model > 1.5 * by_chance, "it asks for what it has learned to find"
    assert all(point.families == point.labels for point in points)


class Knowing:
    """A version that has seen the truth."""

    def __init__(self, forum: Forum) -> None:
        self.of_text = {row.text: row.label for row in (*forum.rows, *forum.test)}

    def probabilities(self, texts: list[str]) -> Floats:
        proba = np.full((len(texts), 3), 0.05)
        proba[np.arange(len(texts)), [self.of_text[text] for text in texts]] = 0.9
        return proba


@pytest.mark.slow
def test_same_start_for_each_strategy_and_chance_as_long_as_nothing_is_trained(folder: Path) -> None:
    forum = Forum(folder, classes=3, seed=1)
    learned: dict[Strategy, list[Ids]] = {strategy: [] for strategy in STRATEGIES}

    def refuse_first(strategy: Strategy, forum: Forum, of: Ids) -> Knowing:
        learned[strategy].append(of)
        if len(learned[strategy]) == 1:
            raise Conflict("too few")
        return Knowing(forum)

    points = {
        strategy: simulate(forum, strategy, partial(refuse_first, strategy), seed=1, checkpoints=(50, 100, 200))
        for strategy in STRATEGIES
    }
    for n in (0, 1):  # what was picked without a version is the same for all
        assert len({tuple(found[n].tolist()) for found in learned.values()}) == 1
    assert points[Strategy.mix][0].score is None
    assert points[Strategy.mix][1].score == Score(1.0, 1.0)
    found = {strategy: each[2].not_normal - each[1].not_normal for strategy, each in points.items()}
    assert found[Strategy.mix] > found[Strategy.random], "a share of it are likely violations"


def points(*scores: float | None) -> tuple[Point, ...]:
    return tuple(
        Point(100 * 2**n, None if score is None else Score(score, score / 2), 10 * n, 100 * 2**n, 0.25)
        for n, score in enumerate(scores)
    )


def test_rows_hold_a_run_and_what_is_missing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tuning.csv"
    assert read_runs(path) == []
    runs = [
        Run(2, WHOLE, 0, "some GPU", points(0.8)),
        Run(2, "mix", 0, "some GPU", points(None, 0.512, 0.7)),
    ]
    write_runs(path, runs)
    assert {run.strategy: run for run in read_runs(path)} == {run.strategy: run for run in runs}
    assert len(path.read_text().splitlines()) == 3, "a row a run"
    missing = list(missing_runs(runs, starts=1))
    assert (2, "mix", 0) not in missing
    assert missing[0] == (2, "random", 0)
    assert len(missing) == 2 * 5 - 2


def test_goal_is_reached_between_two_trainings() -> None:
    assert labels_to_goal(points(0.2, 0.4, 0.6), 0.5) == pytest.approx(300)
    assert labels_to_goal(points(None, 0.4, 0.6), 0.3) == 200
    assert labels_to_goal(points(0.2, 0.4, 0.6), 0.7) is None
    assert labels_to_goal(points(None, None), 0.1) is None


def test_figures_are_paired_with_chance_on_the_same_start() -> None:
    runs = [
        Run(2, WHOLE, 0, "GPU", points(0.8)),
        Run(2, "random", 0, "GPU", points(0.2, 0.4, 0.6, 0.8)),
        Run(2, "mix", 0, "GPU", points(0.4, 0.8, 0.8, 0.8)),
        Run(2, "margin", 1, "GPU", points(0.4, 0.8, 0.8, 0.8)),  # nothing to compare it with
    ]
    by_name = {figure.name: figure for figure in figures(2, runs)}
    share = by_name["LoRA, 2 classes, mix: labels to 95% of macro-F1, of random's"]
    assert share.value == pytest.approx((100 + 100 * 0.36 / 0.4) / (400 + 400 * 0.16 / 0.2), abs=1e-6)
    assert "met" in share.note
    assert not any("margin" in name for name in by_name)
