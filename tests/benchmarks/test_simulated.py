"""What the simulation of the queue counts, on forums and curves that are small enough to count by hand."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from core.domain import Label, Strategy
from tests.benchmarks.selecting import simulate
from tests.benchmarks.simulated import COPIED, RARE, Forum, Row, area, labels_to, rare_pool
from tests.conftest import marked_text


def test_pool_is_as_rare_and_as_copied_as_it_says() -> None:
    rows = [Row(marked_text(n % 2, n) * 2, Label.violation if n % 2 else Label.normal) for n in range(4_000)]
    found = rare_pool(rows, random.Random(1))
    originals = {row.text for row in rows}
    copies = [row for row in found if row.text not in originals]
    assert len(copies) / len(found) == pytest.approx(COPIED, abs=0.002)
    kept = [row for row in found if row.text in originals]
    assert sum(row.label == Label.violation for row in kept) / len(kept) == pytest.approx(RARE, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_each_strategy_judges_each_post_once_and_learns(folder: Path, classes: int) -> None:
    forum = Forum(folder, classes=classes, seed=3)
    assert forum.classes == ([0, 2] if classes == 2 else [0, 1, 2])
    assert np.average(forum.test_truth != Label.normal, weights=forum.test_weights) == pytest.approx(RARE)
    for strategy in (Strategy.mix, Strategy.random):
        run = simulate(forum, strategy, seed=3, labels=250)
        assert run["labels"][0] == 100
        assert run["labels"][-1] >= 250
        assert run["not_normal"] == sorted(run["not_normal"])
    assert (
        simulate(forum, Strategy.mix, seed=3, labels=200)["not_normal"]
        == simulate(Forum(folder, classes=classes, seed=3), Strategy.mix, seed=3, labels=200)["not_normal"]
    ), "the same start is the same"


def test_a_target_is_reached_where_the_smoothed_curve_is_there() -> None:
    counts = [100, 150, 200, 250]
    assert labels_to(0.5, counts, [0.1, 0.6, 0.2, 0.7]) == 250, "one lucky round does not count"
    assert labels_to(0.5, counts, [0.1, 0.5, 0.6, 0.7]) == 150
    assert labels_to(0.9, counts, [0.1, 0.5, 0.6, 0.7]) is None


def test_area_is_the_mean_of_the_curve_over_its_labels() -> None:
    assert area([100, 200], [0.2, 0.6]) == pytest.approx(0.4)
    assert area([0, 50, 200], [0.0, 0.4, 0.4]) == pytest.approx((10 + 60) / 200)
