"""Loop: from labels to a pool ordered by a new model, on the shipped sample, each run by a worker as in production."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Run, RunStatus
from core.encoders import STARTER, read_encoder
from core.services import importing, models, runs, training
from core.services.launching import launch_worker, log_path
from core.settings import Settings
from tests.benchmarks.aside import call_aside
from tests.benchmarks.figures import BenchmarkFailed, Figure, Skipped
from tests.benchmarks.workshop import Workshop, fresh_database
from tests.core.services.conftest import OPERATOR

LABELS = 300
TARGET_S = 120


def measure(workshop: Workshop) -> list[Figure]:
    settings = workshop.home("loop")
    require_starter(settings)
    engine = fresh_database(settings)
    for path in (settings.samples_dir / "forum.tsv", _some_labels(settings)):
        request = importing.ImportRequest(str(path), path.name)
        _work(settings, engine, importing.queue_import(engine, OPERATOR, request, now=utc_now()))
    libraries, speed = call_aside(load_libraries), call_aside(multiply_matrices)
    counts = training.count_labels(engine, OPERATOR).train
    asked = training.TrainingRequest(quick=True, base=STARTER)
    trained, training_s = _work(settings, engine, training.queue_training(engine, OPERATOR, asked, now=utc_now()))
    promoted = models.promote(engine, OPERATOR, str(trained.result["version"]), now=utc_now())
    scored, scoring_s = _work(settings, engine, promoted)
    engine.dispose()
    found = trained.result["metrics"]
    return [
        Figure("quick training", training_s, "s", f"{LABELS} labels, {sum(counts.values())} of them to train on"),
        Figure("scoring", scoring_s, "s", f"{scored.result['scored']:,} texts"),
        Figure("both together", training_s + scoring_s, "s", f"target: under {TARGET_S} s on 2 cores"),
        Figure("loading the libraries once", libraries.seconds, "s", "contained in each of the two"),
        Figure("float32 matrix product, 1,024 × 1,024", speed.value, "GFLOP/s", "the machine's speed just before"),
        Figure("macro-F1 on what was kept aside", found["macro_f1"], "", f"{found['total']} posts; the sample is easy"),  # type: ignore[index]
    ]  # fmt: skip


def require_starter(settings: Settings) -> None:
    """Raises Skipped where the starter encoder is not shipped."""
    if read_encoder(settings.starter_dir, name=STARTER, origin="shipped") is None:
        raise Skipped("There is no starter encoder in models/starter; `tiebreak pretrain` makes one.")


def _some_labels(settings: Settings) -> Path:
    path = settings.data_dir / "labelled-300.jsonl"
    with (settings.samples_dir / "labelled.jsonl").open(encoding="utf-8") as lines:
        path.write_text("".join(islice(lines, LABELS)), encoding="utf-8")
    return path


def _work(settings: Settings, engine: Engine, queued: Run) -> tuple[Run, float]:
    """Have a worker process execute the run; returns it ended, and the seconds from start to end of the process."""
    begun = time.perf_counter()
    worker = launch_worker(settings, queued.id)
    try:
        worker.wait()
    finally:
        worker.kill()  # only an interrupted benchmark leaves one running
    seconds = time.perf_counter() - begun
    ended = runs.show_run(engine, OPERATOR, queued.id)
    if ended.status is not RunStatus.succeeded:
        log = log_path(settings, queued.id).read_text(encoding="utf-8")
        raise BenchmarkFailed(f"The {ended.kind} run ended as {ended.status}: {ended.error}\n{log[-2_000:]}")
    return ended, seconds


def load_libraries() -> None:
    from core.learning import scoring, training  # noqa: F401


def multiply_matrices() -> float:
    """Return GFLOP/s of the best of ten products, (1024, 1024) by (1024, 1024)."""
    import torch

    size = 1_024
    left, right = torch.rand(size, size), torch.rand(size, size)
    best = min(_seconds_of_product(left, right) for _ in range(10))
    return 2 * size**3 / best / 1e9


def _seconds_of_product(left: object, right: object) -> float:
    begun = time.perf_counter()
    left @ right  # type: ignore[operator]
    return time.perf_counter() - begun
