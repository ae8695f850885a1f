"""The queue's strategies on a simulated forum: how many labels each needs, and what moderators find meanwhile.

Each start has a pool, 100 first posts drawn by chance, and batches of 50 by `core.selection`, the product's own; the
audit slice has its share, costs labels and teaches nothing, as in the product. What is measured is kept in build/.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from core.domain import Label, Policy, Strategy
from core.selection import Rules, order_pool, trust_in
from core.settings import PROJECT_DIR
from tests.benchmarks.cold import cold_folder
from tests.benchmarks.figures import Figure, target
from tests.benchmarks.plot import Panel, plot
from tests.benchmarks.simulated import Forum, area, labels_to
from tests.benchmarks.workshop import Workshop

KEPT = PROJECT_DIR / "build" / "selecting"
FIRST, BATCH, LABELS = 100, 50, 2_000
RARE_AT = 1_000  # labels at which it is counted what was found
ENOUGH_STARTS = 10
GOOD = 0.95  # of what all labels reach
MOST_OF_RANDOM, LEAST_FOUND = 0.3, 6.0
FORMAT = 1  # of what is kept: another one is measured anew

Run = dict[str, Any]


def measure(workshop: Workshop) -> list[Figure]:
    folder = cold_folder()
    figures: list[Figure] = []
    panels: list[Panel] = []
    for classes in (2, 3):
        runs = {
            strategy: [_kept(folder, classes, strategy, seed) for seed in range(workshop.options.starts)]
            for strategy in Strategy
        }
        figures += _figures(f"{classes} classes", runs)
        panels.append(panel(f"{classes} classes", runs))
    # Curves of fewer starts are no figure to show.
    path = (PROJECT_DIR / "docs" if workshop.options.starts >= ENOUGH_STARTS else KEPT) / "learning-curves.svg"
    path.write_text(plot(panels), encoding="utf-8")
    return figures


def _kept(folder: Path, classes: int, strategy: Strategy, seed: int) -> Run:
    path = KEPT / f"{classes}-{strategy}-{seed}.json"
    if path.exists():
        found: Run = json.loads(path.read_text())
        if found["format"] == FORMAT:
            return found
    found = simulate(Forum(folder, classes=classes, seed=seed), strategy, seed=seed)
    KEPT.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found) + "\n")
    partial.rename(path)
    return found


def simulate(forum: Forum, strategy: Strategy, *, seed: int, labels: int = LABELS) -> Run:
    """From the first posts to so many labels; by chance until the target is reached, or nothing is left."""
    whole = forum.score(forum.train(np.flatnonzero(~forum.is_audit)))
    goals = {name: GOOD * getattr(whole, name) for name in ("macro_f1", "average_precision")}
    # The same first posts for each strategy, and both classes among them: else nothing can be learned.
    order = np.random.default_rng([7, seed]).permutation(np.flatnonzero(~forum.is_audit & ~forum.is_short))
    judged = order[:FIRST].tolist()
    rng = np.random.default_rng([8, seed])
    run: Run = {"format": FORMAT, "goals": goals, "whole": {name: getattr(whole, name) for name in goals}}
    run |= {"posts": forum.posts, "families": len(forum.rows), "labels": [], "seconds": [], "not_normal": []}
    run |= {name: [] for name in goals}
    while True:
        learned = np.array([place for place in judged if not forum.is_audit[place]])
        if len(set(forum.truth[learned].tolist())) < 2:
            judged += _by_chance(forum, judged, rng)
            continue
        model = forum.train(learned)
        score = forum.score(model)
        run["labels"].append(len(judged))
        run["not_normal"].append(int((forum.truth[judged] != Label.normal).sum()))
        for name in goals:
            run[name].append(getattr(score, name))
        is_done = len(judged) >= labels and (
            strategy is not Strategy.random
            or all(labels_to(goals[name], run["labels"], run[name]) is not None for name in goals)
        )
        there = np.setdiff1d(np.arange(len(forum.rows)), judged)
        if is_done or not len(there):
            return run
        proba = forum.probabilities(model, forum.features)
        pool = forum.pool(proba, there)
        rarest = min(np.bincount(forum.truth[learned])[forum.classes])
        rules = Rules(strategy, Policy().shares, trust=trust_in(int(rarest)))
        begun = time.perf_counter()
        picks = list(islice(order_pool(pool, rules, rng=rng), BATCH))
        run["seconds"].append(time.perf_counter() - begun)
        judged += [int(there[pick.position]) for pick in picks]


def _by_chance(forum: Forum, judged: Sequence[int], rng: np.random.Generator) -> list[int]:
    there = np.setdiff1d(np.flatnonzero(~forum.is_audit), judged)
    found: list[int] = rng.choice(there, min(BATCH, len(there)), replace=False).tolist()
    return found


def panel(title: str, runs: dict[Strategy, list[Run]]) -> Panel:
    """macro-F1 by labels, the mean over the starts, as far as every start goes."""
    some = runs[Strategy.random]
    goal = statistics.mean(run["goals"]["macro_f1"] for run in some)
    count = min(sum(labels <= LABELS for labels in run["labels"]) for each in runs.values() for run in each)
    lines = {
        str(strategy): [
            (statistics.mean(run["labels"][at] for run in each), statistics.mean(run["macro_f1"][at] for run in each))
            for at in range(count)
        ]
        for strategy, each in runs.items()
    }
    said = f"{title}, TF-IDF, mean of {len(some)} starts"
    return Panel(said, "labels", "macro-F1", lines, goal=(goal, f"{GOOD:.0%} of all labels'"))


# --- figures ----------------------------------------------------------------------------------------------------------


def _figures(arm: str, runs: dict[Strategy, list[Run]]) -> list[Figure]:
    some = runs[Strategy.random]
    figures = [
        Figure(f"{arm}, posts", round(statistics.mean(run["posts"] for run in some)), "posts",
               f"{statistics.mean(run['families'] for run in some):,.0f} families; {len(some)} starts"),
        Figure(f"{arm}, all labels", statistics.mean(run["whole"]["macro_f1"] for run in some), "macro-F1",
               f"average precision {statistics.mean(run['whole']['average_precision'] for run in some):.3f}"),
    ]  # fmt: skip
    for strategy, of_strategy in runs.items():
        name = f"{arm}, {strategy}"
        figures += [
            Figure(f"{name}: area, macro-F1", _mean(of_strategy, lambda run: _area(run, "macro_f1")), ""),
            Figure(f"{name}: area, AP", _mean(of_strategy, lambda run: _area(run, "average_precision")), ""),
            *_labels_needed(name, strategy, of_strategy, some),
            *_found(name, strategy, of_strategy, some),
            Figure(f"{name}: seconds a batch", _mean(of_strategy, lambda run: statistics.mean(run["seconds"])), "s"),
        ]
    return figures


def _mean(runs: Sequence[Run], value: Callable[[Run], float]) -> float:
    return statistics.mean(map(value, runs))


def _area(run: Run, name: str) -> float:
    upto = [place for place, count in enumerate(run["labels"]) if count <= LABELS]
    return area([run["labels"][place] for place in upto], [run[name][place] for place in upto])


def _labels_needed(name: str, strategy: Strategy, runs: Sequence[Run], random: Sequence[Run]) -> list[Figure]:
    figures = []
    for measured, short in (("macro_f1", "macro-F1"), ("average_precision", "AP")):
        needed = [labels_to(run["goals"][measured], run["labels"], run[measured]) for run in runs]
        by_chance = [labels_to(run["goals"][measured], run["labels"], run[measured]) for run in random]
        shares = [mine / its for mine, its in zip(needed, by_chance, strict=True) if mine and its]
        if len(shares) < len(runs):
            note = f"{len(runs) - len(shares)} of {len(runs)} starts do not reach it in {LABELS:,} labels"
        else:
            low, high = interval_of_median(shares)
            note = f"{statistics.median(filter(None, needed)):,.0f} labels; interval {low:.2f} to {high:.2f}"
        if shares:
            value = statistics.median(shares)
            if strategy is Strategy.mix and measured == "macro_f1":
                note += f"; {target(value <= MOST_OF_RANDOM, f'{MOST_OF_RANDOM} at most')}"
            figures.append(Figure(f"{name}: labels to {GOOD:.0%} of {short}, of random's", value, "", note))
    return figures


def interval_of_median(values: Sequence[float]) -> tuple[float, float]:
    """Of the median over starts, 95 %, by bootstrap."""
    rng = np.random.default_rng(1)
    drawn = np.median(rng.choice(values, (2_000, len(values))), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _found(name: str, strategy: Strategy, runs: Sequence[Run], random: Sequence[Run]) -> list[Figure]:
    """What is not normal among the labels; each is of another family."""
    rates = [_at(run, RARE_AT) / RARE_AT * 100 for run in runs]
    times = [_at(run, RARE_AT) / max(1, _at(its, RARE_AT)) for run, its in zip(runs, random, strict=True)]
    note = f"{statistics.median(times):.1f} times random's; all of different families"
    if strategy is Strategy.mix:
        note += f"; {target(statistics.median(times) >= LEAST_FOUND, f'{LEAST_FOUND:.0f} times or more')}"
    return [Figure(f"{name}: not normal in 100 labels, at {RARE_AT:,}", statistics.mean(rates), "", note)]


def _at(run: Run, labels: int) -> int:
    return int(np.interp(labels, run["labels"], run["not_normal"]))
