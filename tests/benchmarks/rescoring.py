"""Scoring a forum's pool by `tiebreak score` while four moderators decide: speed, memory, and how long they wait."""

from __future__ import annotations

import time

from core.clock import utc_now
from core.domain import Role
from core.encoders import STARTER
from core.services import scoring
from core.services.queueing import renew_queue
from core.settings import Settings
from db import models
from db.engine import open_engine, read, write
from tests.benchmarks.aside import call_aside
from tests.benchmarks.command import watch_command
from tests.benchmarks.deciding import CALM_S, MODERATORS, MOST_MS, at_work, figures_of, longest_by_stage
from tests.benchmarks.exports import SEED
from tests.benchmarks.figures import BenchmarkFailed, Figure, target
from tests.benchmarks.loop import require_starter
from tests.benchmarks.queueing import LEARNED
from tests.benchmarks.workshop import Workshop
from tests.conftest import add_user, marked_text

MOST_MIB = 1_536  # beyond the model
TEXTS_ALONE = 4_096
STAGE = "scoring"


def measure(workshop: Workshop) -> list[Figure]:
    rows = workshop.options.import_rows
    settings = workshop.pool("rescoring", rows=rows)
    require_starter(settings)
    engine = open_engine(settings.database_url)
    renew_queue(engine, now=utc_now(), seed=SEED)
    call_aside(make_version, settings)
    alone = call_aside(score_alone, settings, [text for _, _, text in _some_texts(settings)])
    people = [add_user(engine, f"mo{number}", Role.moderator) for number in range(MODERATORS)]
    with at_work(settings, people) as shift:
        calm_from = time.monotonic()
        time.sleep(CALM_S)
        watched = watch_command(settings, "score")
        savings = shift.end()
    with read(engine) as conn:
        left = models.count_unscored(conn, version_id=models.require_version(conn, "v1").id)
    engine.dispose()
    scored = int(watched.counts["scored"])
    if left:
        raise BenchmarkFailed(f"{left:,} texts are not scored.")
    calm = [saving for saving in savings if calm_from <= saving.begun < watched.begun]
    meanwhile = [saving for saving in savings if watched.begun <= saving.begun < watched.ended]
    speed = scored / watched.stages[STAGE]
    beyond = watched.peak_mib - alone.peak_mib
    return [
        Figure("scoring the pool", watched.seconds, "s", f"{scored:,} texts of {rows:,} rows, the starter encoder"),
        Figure("scoring the pool, from and to the database", speed, "texts/s", "the queue renewed meanwhile"),
        Figure("the model alone", alone.value, "texts/s", f"{TEXTS_ALONE:,} of these texts, just before it"),
        Figure("peak memory", watched.peak_mib, "MiB", f"the model alone, with its libraries: {alone.peak_mib:,.0f}"),
        Figure("peak memory beyond the model", beyond, "MiB", target(beyond < MOST_MIB, f"{MOST_MIB:,} at most")),
        *figures_of("nothing scored", calm),
        *figures_of("during the scoring", meanwhile, most_ms=MOST_MS),
        *longest_by_stage("scoring", meanwhile, watched),
    ]


def _some_texts(settings: Settings) -> list[tuple[int, str, str]]:
    engine = open_engine(settings.database_url)
    found = scoring.texts_by_id(engine, list(range(1, TEXTS_ALONE + 1)))
    engine.dispose()
    return found


def make_version(settings: Settings) -> None:
    """A version of the starter encoder, trained on sentences that are made up, and active."""
    from core.learning.training import TrainingConfig, TrainingExample, train

    examples = [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(60)]
    config = TrainingConfig(
        base_path=settings.starter_dir, base_name=STARTER, quick=True, seed=1, snapshot_hash="made up"
    )
    train(examples, [], config=config, out_dir=settings.versions_dir / "v1")
    engine = open_engine(settings.database_url)
    with write(engine) as conn:
        version = models.add_version(
            conn, name="v1", run_id=None, base=STARTER, folder="v1", manifest=LEARNED, metrics={}, now=utc_now()
        )
        models.promote(conn, version.id, promoted_by="benchmark", now=utc_now())
    engine.dispose()


def score_alone(settings: Settings, texts: list[str]) -> float:
    """Texts/s of the model that is fed from memory, tokenising included."""
    from core.learning.scoring import load_classifier

    classifier = load_classifier(settings.versions_dir / "v1", base_path=settings.starter_dir)
    classifier.probabilities(texts[:64])
    begun = time.perf_counter()
    classifier.probabilities(texts)
    return len(texts) / (time.perf_counter() - begun)
