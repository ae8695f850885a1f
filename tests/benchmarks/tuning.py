"""The queue's strategies with what the product trains: LoRA on the starter encoder, retrained along the way.

As in `selecting`, on the same pools and with the same first posts; but between two trainings all posts are picked by
the version before, and where the labels are too few for a training (two classes with eight of each) chance goes on.
Each run is a row of tuning.csv beside this file: an interrupted benchmark goes on.
"""

from __future__ import annotations

import csv
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from core.domain import Label, Policy, Strategy
from core.encoders import STARTER
from core.errors import Conflict
from core.loading import prepare_libraries
from core.selection import Rules, order_pool, trust_in
from tests.benchmarks.cold import cold_folder
from tests.benchmarks.figures import Figure, target
from tests.benchmarks.loop import require_starter
from tests.benchmarks.selecting import FIRST, GOOD, interval_of_median
from tests.benchmarks.simulated import Floats, Forum, Ids, Score, area, smoothed
from tests.benchmarks.workshop import Workshop

ROWS = Path(__file__).with_name("tuning.csv")
STRATEGIES = (Strategy.random, Strategy.band, Strategy.margin, Strategy.mix)
STARTS = 5
CHECKPOINTS = (100, 200, 400, 800, 1_600)  # labels at which it is retrained
QUICK_UP_TO = 500  # labels; beyond, a lead would not train quickly
MOST_OF_RANDOM = 0.5
WHOLE = "all"  # trained on every label there is: what the target is a share of


class Version(Protocol):
    """What was trained: probabilities of texts in Label order, (n_texts, 3)."""

    def probabilities(self, texts: Sequence[str]) -> Floats: ...


Train = Callable[[Forum, Ids], Version]  # raises Conflict where there is too little to learn from


@dataclass(frozen=True, slots=True)
class Point:
    """After a training. score: None where there was too little to train on. not_normal, families: among the labels."""

    labels: int
    score: Score | None
    not_normal: int
    families: int
    seconds: float  # of scoring the pool and selecting before it


# --- runs -----------------------------------------------------------------------------------------------------------


def simulate(
    forum: Forum, strategy: Strategy, train: Train, *, seed: int, checkpoints: Sequence[int] = CHECKPOINTS
) -> list[Point]:
    """A point for each of the checkpoints; the first posts are drawn by chance, the same for each strategy."""
    order = np.random.default_rng([7, seed]).permutation(np.flatnonzero(~forum.is_audit & ~forum.is_short))
    judged = order[: min(FIRST, checkpoints[0])].tolist()
    rng = np.random.default_rng([8, seed])
    version: Version | None = None
    points = []
    for labels in checkpoints:
        begun = time.perf_counter()
        judged += _picked(forum, strategy, version, judged, labels - len(judged), rng)
        seconds = time.perf_counter() - begun
        learned = np.array([place for place in judged if not forum.is_audit[place]], dtype=np.int64)
        version = _trained(forum, learned, train)
        score = None if version is None else _score(forum, version)
        not_normal = int((forum.truth[judged] != Label.normal).sum())
        points.append(Point(len(judged), score, not_normal, len(set(judged)), seconds))
    return points


def _trained(forum: Forum, learned: Ids, train: Train) -> Version | None:
    try:
        return train(forum, learned)
    except Conflict:
        return None


def _picked(
    forum: Forum,
    strategy: Strategy,
    version: Version | None,
    judged: Sequence[int],
    count: int,
    rng: np.random.Generator,
) -> list[int]:
    there = np.setdiff1d(np.arange(len(forum.rows)), judged)
    if count <= 0 or not len(there):
        return []
    learned = forum.truth[[place for place in judged if not forum.is_audit[place]]]
    rarest = min(np.bincount(learned, minlength=len(Label))[forum.classes])
    trust = 0.0 if version is None else trust_in(int(rarest))
    proba = np.full((len(forum.rows), len(Label)), 1 / len(Label))
    if version is not None:
        proba[there] = version.probabilities([forum.rows[place].text for place in there])
    rules = Rules(strategy if version is not None else Strategy.random, Policy().shares, trust=trust)
    return [int(there[pick.position]) for pick in islice(order_pool(forum.pool(proba, there), rules, rng=rng), count)]


def _score(forum: Forum, version: Version) -> Score:
    return forum.score_of(version.probabilities([row.text for row in forum.test]))


def tune_starter(forum: Forum, learned: Ids, *, base: Path, name: str, seed: int, rate: float = 3e-4) -> Version:
    """As the worker trains it, without anything to evaluate on meanwhile; the adapter is dropped once it is loaded."""
    prepare_libraries()
    from core.learning.scoring import load_classifier
    from core.learning.training import TrainingConfig, TrainingExample, train

    examples = [TrainingExample(forum.rows[place].text, int(forum.truth[place])) for place in learned]
    config = TrainingConfig(
        base_path=base,
        base_name=name,
        quick=len(examples) <= QUICK_UP_TO,
        seed=seed,
        snapshot_hash=f"{len(examples)} labels, seed {seed}",
        learning_rate=rate,
    )
    folder = Path(tempfile.mkdtemp(prefix="tuning-"))
    try:
        train(examples, [], config=config, out_dir=folder / "version")
        return load_classifier(folder / "version", base_path=base)
    finally:
        shutil.rmtree(folder)


# --- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """classes, strategy (or WHOLE) and seed say which. points: of a whole one only one, on all labels."""

    classes: int
    strategy: str
    seed: int
    device: str
    points: tuple[Point, ...]


HEADER = ("classes", "strategy", "seed", "device", "labels", "macro_f1", "average_precision", "not_normal", "families",
          "seconds")  # fmt: skip


def read_runs(path: Path) -> list[Run]:
    """What stands in the file; a field of several points has them in order, with spaces between."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [_run_of(row) for row in csv.DictReader(file)]


def _run_of(row: dict[str, str]) -> Run:
    columns = (row[name].split() for name in HEADER[4:])
    points = (
        Point(
            int(labels), None if f1 == "-" else Score(float(f1), float(precision)), int(found), int(of), float(seconds)
        )
        for labels, f1, precision, found, of, seconds in zip(*columns, strict=True)
    )
    return Run(int(row["classes"]), row["strategy"], int(row["seed"]), row["device"], tuple(points))


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        for run in sorted(runs, key=lambda run: (run.classes, run.strategy, run.seed)):
            fields = zip(*map(_fields, run.points), strict=True)
            out.writerow([run.classes, run.strategy, run.seed, run.device, *map(" ".join, fields)])
    partial.rename(path)


def _fields(point: Point) -> list[str]:
    scores = ("-", "-") if point.score is None else (point.score.macro_f1, point.score.average_precision)
    shown = [each if isinstance(each, str) else f"{each:.4f}" for each in scores]
    return [str(point.labels), *shown, str(point.not_normal), str(point.families), f"{point.seconds:.2f}"]


def missing_runs(runs: Sequence[Run], *, starts: int) -> Iterator[tuple[int, str, int]]:
    """(classes, strategy, seed) of what is still to be measured; starts one after the other, each complete."""
    there = {(run.classes, run.strategy, run.seed) for run in runs}
    for seed in range(starts):
        for classes in (2, 3):
            for strategy in (WHOLE, *STRATEGIES):
                if (classes, str(strategy), seed) not in there:
                    yield classes, str(strategy), seed


# --- the benchmark --------------------------------------------------------------------------------------------------


def measure(workshop: Workshop) -> list[Figure]:
    folder = cold_folder()
    settings = workshop.home("tuning")
    require_starter(settings)
    runs = read_runs(ROWS)
    starts = min(STARTS, workshop.options.starts)
    for classes, strategy, seed in list(missing_runs(runs, starts=starts)):
        forum = Forum(folder, classes=classes, seed=seed)
        points = _points(forum, strategy, seed, base=settings.starter_dir)
        runs.append(Run(classes, strategy, seed, _device(), tuple(points)))
        write_runs(ROWS, runs)
    return [figure for classes in (2, 3) for figure in figures(classes, runs)]


def _points(forum: Forum, strategy: str, seed: int, *, base: Path) -> list[Point]:
    def train(forum: Forum, learned: Ids) -> Version:
        return tune_starter(forum, learned, base=base, name=STARTER, seed=seed)

    if strategy != WHOLE:
        return simulate(forum, Strategy(strategy), train, seed=seed)
    learned = np.flatnonzero(~forum.is_audit)
    not_normal = int((forum.truth[learned] != Label.normal).sum())
    return [Point(len(learned), _score(forum, train(forum, learned)), not_normal, len(learned), 0.0)]


def _device() -> str:
    from core.learning.device import find_device

    return find_device().name


def figures(classes: int, runs: Sequence[Run]) -> list[Figure]:
    """By strategy, over the starts that random and the whole were run on too."""
    by_key = {(run.strategy, run.seed): run.points for run in runs if run.classes == classes}
    found = []
    for strategy in STRATEGIES:
        seeds = [
            run.seed
            for run in runs
            if (run.classes, run.strategy) == (classes, strategy)
            and {(WHOLE, run.seed), (str(Strategy.random), run.seed)} <= by_key.keys()
        ]
        if seeds:
            mine = [by_key[strategy, seed] for seed in seeds]
            goals = [_goal(by_key[WHOLE, seed]) for seed in seeds]
            its = [by_key[str(Strategy.random), seed] for seed in seeds]
            found += _figures(f"LoRA, {classes} classes, {strategy}", strategy, mine, goals, its)
    return found


def _figures(
    name: str,
    strategy: Strategy,
    mine: Sequence[Sequence[Point]],
    goals: Sequence[float],
    random: Sequence[Sequence[Point]],
) -> list[Figure]:
    last = [points[-1] for points in mine]
    return [
        Figure(f"{name}: area, macro-F1", statistics.mean(_area(points, "macro_f1") for points in mine), ""),
        Figure(f"{name}: area, AP", statistics.mean(_area(points, "average_precision") for points in mine), ""),
        _share_of_random(name, strategy, mine, goals, random),
        Figure(
            f"{name}: not normal in 100 labels, at {last[0].labels:,}",
            statistics.mean(point.not_normal / point.labels * 100 for point in last), "",
        ),
        Figure(
            f"{name}: families in 100 labels",
            statistics.mean(point.families / point.labels * 100 for point in last), "",
        ),
        Figure(
            f"{name}: seconds to score and select",
            statistics.mean(point.seconds for points in mine for point in points[1:]), "s",
        ),
    ]  # fmt: skip


def _goal(whole: Sequence[Point]) -> float:
    score = whole[0].score
    assert score is not None, "there is always enough in all labels"
    return GOOD * score.macro_f1


def _area(points: Sequence[Point], name: str) -> float:
    """Over the trainings that there were."""
    known = [(point.labels, getattr(point.score, name)) for point in points if point.score is not None]
    return area(*zip(*known, strict=True)) if len(known) > 1 else float("nan")


def labels_to_goal(points: Sequence[Point], goal: float) -> float | None:
    """Labels at which the smoothed curve, a straight line between trainings, is at the goal; None where it never is."""
    known = [(point.labels, point.score.macro_f1) for point in points if point.score is not None]
    if not known:
        return None
    curve = list(smoothed(*zip(*known, strict=True)))
    before = curve[0]
    for labels, value in curve:
        if value >= goal:
            rise = value - before[1]
            return labels if rise <= 0 else before[0] + (labels - before[0]) * (goal - before[1]) / rise
        before = labels, value
    return None


def _share_of_random(
    name: str,
    strategy: Strategy,
    mine: Sequence[Sequence[Point]],
    goals: Sequence[float],
    random: Sequence[Sequence[Point]],
) -> Figure:
    """Labels to the goal as a share of random's: where random does not reach it, it needed more than all it had."""
    shares, unreached, beyond = [], 0, 0
    for points, goal, its in zip(mine, goals, random, strict=True):
        needed, by_chance = labels_to_goal(points, goal), labels_to_goal(its, goal)
        unreached += needed is None
        beyond += by_chance is None
        if needed is not None:
            shares.append(needed / (its[-1].labels if by_chance is None else by_chance))
    title = f"{name}: labels to {GOOD:.0%} of macro-F1, of random's"
    if not shares:
        return Figure(title, float("nan"), "", f"no start reaches it in {mine[0][-1].labels:,} labels")
    low, high = interval_of_median(shares)
    notes = [f"{len(mine)} starts; interval {low:.2f} to {high:.2f}"]
    notes += [f"{unreached} do not reach it"] if unreached else []
    notes += [f"random does not in {beyond}, its last number of labels stands for more"] if beyond else []
    value = statistics.median(shares)
    if strategy is Strategy.mix:
        notes.append(target(value <= MOST_OF_RANDOM and not unreached, f"{MOST_OF_RANDOM} at most"))
    return Figure(title, value, "", "; ".join(notes))
