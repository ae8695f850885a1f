"""The worker: executes one run in a process of its own, with heartbeat, progress and a readable end."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import psutil
from sqlalchemy import Engine

from core import encoders
from core.clock import utc_now
from core.domain import LABEL_NAMES, Label, ModelVersion, Prediction, Run, RunKind, RunStatus, Side
from core.errors import Cancelled, Conflict, TiebreakError
from core.evaluation import Aside, Evaluation, evaluate
from core.services import importing, queueing, scoring, searching, takeback, training
from core.services.runs import HEARTBEAT_EVERY_S
from core.services.training import NewVersion
from core.settings import Settings, read_settings
from core.wording import N_, _
from db import runs
from db.doubts import Doubt
from db.engine import DatabaseBusy, migrate, open_engine, read, write

if TYPE_CHECKING:
    from core.learning.training import TrainingProgress
    from core.learning.versions import Classifier

logger = logging.getLogger(__name__)

TEXTS_PER_STEP = 512  # scored between two looks at the clock and one short transaction
TEXTS_BEFORE_FIRST_RENEWAL = 2_048  # the first posts that a new version chose reach the queue early

Listener = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Context:
    """What the execution of a run gets: where things are, and the way to report and to learn of a cancellation."""

    engine: Engine
    settings: Settings
    run: Run
    pulse: Pulse
    listen: Listener

    def report(self, stage: str, done: int, total: int | None, message: str) -> None:
        """Store progress; raises Cancelled when somebody asked the run to stop."""
        if self.pulse.must_stop:
            raise Cancelled(_("Run {id} was cancelled.").format(id=self.run.id))
        with write(self.engine) as conn:
            before = runs.require_run(conn, self.run.id).stage
            runs.report_progress(conn, self.run.id, stage=stage, done=done, total=total, message=message)
        if stage != before:
            logger.info("%s%s", stage, f": {message}" if message else "")
        with read(self.engine) as conn:
            self.listen(runs.require_run(conn, self.run.id))

    def is_cancelled(self) -> bool:
        return self.pulse.must_stop

    def point(self, step: int, *, loss: float | None = None, macro_f1: float | None = None) -> None:
        """Add a point to the run's curves."""
        with write(self.engine) as conn:
            runs.add_point(conn, self.run.id, step=step, loss=loss, macro_f1=macro_f1)


class Pulse:
    """Writes the heartbeat every two seconds from a thread of its own, and notices a cancellation."""

    def __init__(self, engine: Engine, run_id: int) -> None:
        self.must_stop = False
        self._engine = engine
        self._run_id = run_id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(HEARTBEAT_EVERY_S):
            try:
                with write(self._engine) as conn:
                    self.must_stop = runs.beat(conn, self._run_id, now=utc_now()) or self.must_stop
            except DatabaseBusy:  # locked for long, or the disk is full for a moment: the next beat may get through
                logger.warning("run %s: a heartbeat was not written", self._run_id)


def execute(settings: Settings, engine: Engine, run_id: int, *, listen: Listener = lambda run: None) -> Run:
    """Claim a queued run, execute it in this process, and return it ended (whatever the end).

    Raises Conflict when the run is not queued or another of its kind is running.
    """
    me = psutil.Process()
    with write(engine) as conn:
        found = runs.claim_run(conn, run_id, pid=me.pid, process_started=me.create_time(), now=utc_now())
    if found is None:
        raise Conflict(
            _("Run {run_id} cannot start: it is not queued, or another run of its kind is running.").format(
                run_id=run_id
            )
        )
    logger.info("%s run %s for %s begins in process %s", found.kind, run_id, found.created_by, me.pid)
    status, result, error, details = RunStatus.failed, None, None, None
    try:
        with Pulse(engine, run_id) as pulse:
            result = _task(found.kind)(Context(engine, settings, found, pulse, listen))
        status = RunStatus.succeeded
    except (Cancelled, KeyboardInterrupt):
        status = RunStatus.cancelled
    except TiebreakError as err:
        error = str(err)
    except Exception as err:
        logger.exception("run %s failed", run_id)
        said = _("Unexpected {kind}: {error}. The log of run {run_id} tells more.")
        error = said.format(kind=type(err).__name__, error=err, run_id=run_id)
        details = traceback.format_exc()
    with write(engine) as conn:
        if runs.require_run(conn, run_id).published_at is not None:  # an import is done once it is published,
            status, error = RunStatus.succeeded, None  # whatever stopped it after; the supervisor renews the queue
        runs.finish_run(conn, run_id, status=status, now=utc_now(), result=result, error=error, traceback=details)
        ended = runs.require_run(conn, run_id)
    logger.info("run %s: %s%s", run_id, ended.status, f": {ended.error}" if ended.error else "")
    listen(ended)
    return ended


def _task(kind: RunKind) -> Callable[[Context], dict[str, object]]:
    return {RunKind.importing: import_posts, RunKind.training: train_version, RunKind.scoring: score_pool}[kind]


def import_posts(context: Context) -> dict[str, object]:
    """Import one file, or take one back; then renew the queue by what is there now, and have it scored."""
    importing.sweep_leftovers(context.engine)
    execute_run = takeback.run_take_back if takeback.is_take_back(context.run) else importing.run_import
    counts = execute_run(context.engine, context.run, report=context.report)
    _release_memory()
    queueing.renew_queue(context.engine, now=utc_now())
    scoring.queue_scoring_if_needed(context.engine, created_by=context.run.created_by, now=utc_now())
    with suppress(Cancelled):  # the server goes on with it
        searching.index_new_texts(context.engine, report=context.report)
    return counts


def _release_memory() -> None:
    """Give back what the stages so far have freed: glibc keeps it, and the pool's arrays need as much once more."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def train_version(context: Context) -> dict[str, object]:
    """Train a version and the baseline on a snapshot; returns their names and figures on what was kept aside."""
    stay_offline()
    context.report(N_("preparing"), 0, None, N_("loading the libraries"))
    from core.learning import baseline
    from core.learning import training as learning
    from core.learning.examples import TrainingExample

    request = training.TrainingRequest(**context.run.config)  # type: ignore[arg-type]
    context.report(N_("preparing"), 0, None, N_("taking a snapshot of the decisions"))
    snapshot = training.take_snapshot(context.engine, context.run.id)
    encoder = encoders.resolve_encoder(request.base, **encoder_places(context.settings))
    context.report(N_("preparing"), 0, None, _("base encoder: {encoder}").format(encoder=encoder.words))
    logger.info("base encoder %s in %s", encoder.name, encoder.path)
    examples = [TrainingExample(t.text, int(t.label), t.weight) for t in snapshot.on(Side.train)]
    name = training.next_version_name(context.engine)
    folder = context.settings.versions_dir / name
    simple, tuned = _Measure(context, snapshot, seed=request.seed), _Measure(context, snapshot, seed=request.seed)
    context.report(N_("preparing"), 0, None, N_("training the baseline"))
    simple_folder = folder.with_name(f"{name}-{baseline.NAME}")
    simple_manifest = baseline.make_baseline(
        examples, seed=request.seed, snapshot_hash=snapshot.hash, out_dir=simple_folder, measure=simple
    )
    try:
        result = learning.train(
            examples,
            [TrainingExample(t.text, int(t.label)) for t in snapshot.on(Side.evaluation)],
            config=learning.TrainingConfig(
                base_path=encoder.path,
                base_name=encoder.name,
                base_origin=encoder.origin,
                quick=request.quick,
                seed=request.seed,
                snapshot_hash=snapshot.hash,
            ),
            out_dir=folder,
            measure=tuned,
            report=lambda progress: _report_training(context, progress),
            is_cancelled=context.is_cancelled,
        )
    except BaseException:
        shutil.rmtree(simple_folder)  # the two go together: a figure without the other says half
        raise
    version = training.store_versions(
        context.engine,
        context.run,
        NewVersion(name, encoder.name, result.manifest, tuned.predictions()),
        baseline=NewVersion(simple_folder.name, baseline.NAME, simple_manifest, simple.predictions()),
        now=utc_now(),
    )
    with suppress(Cancelled):  # the version is there: only the doubts are left out
        _look_for_doubts(context, version, snapshot, seed=request.seed)
    return {
        "version": name,
        "base": encoder.words,
        "metrics": result.manifest["metrics"],
        "baseline": simple_folder.name,
        "baseline_metrics": simple_manifest["metrics"],
        "warnings": list(result.warnings),
    }


def _look_for_doubts(context: Context, version: ModelVersion, snapshot: training.Snapshot, *, seed: int) -> None:
    """Labels that look wrong, for the lead to look at.

    The audit slice is left out: to correct its labels where a model doubts them would make every model look better.
    """
    from core.learning.doubts import find_doubts

    known = snapshot.on(Side.train, Side.evaluation)
    found = find_doubts(
        [text.text for text in known],
        [int(text.label) for text in known],
        seed=seed,
        report=lambda done, total: context.report(N_("looking for doubtful labels"), done, total, ""),
    )
    doubts = [Doubt(known[d.position].text_id, known[d.position].label, d.quality, d.probabilities) for d in found]
    training.store_doubts(context.engine, version, doubts)


class _Measure:
    """Measures a new version on the texts that were kept aside, and remembers what it said of each."""

    def __init__(self, context: Context, snapshot: training.Snapshot, *, seed: int) -> None:
        self._context, self._seed = context, seed
        self._texts = snapshot.on(Side.evaluation, Side.audit)
        self._proba = np.zeros((0, len(Label)))

    def __call__(self, folder: Path) -> Evaluation:
        self._context.report(N_("evaluating"), 0, None, N_("scoring what was kept aside"))
        mix = read_training_mix(folder)
        classifier = load_folder(self._context.settings, folder)
        logits = classifier.logits([text.text for text in self._texts])
        found = evaluate(logits, _aside(self._texts), trained=mix, seed=self._seed)
        self._proba = found.proba
        return found

    def predictions(self) -> list[Prediction]:
        return _predictions(0, [text.text_id for text in self._texts], self._proba.astype(np.float32))


def _aside(texts: list[training.SnapshotText]) -> Aside:
    return Aside(
        np.array([int(text.label) for text in texts], dtype=np.int64),
        np.array([text.text_id for text in texts], dtype=np.int64),  # one text stands for each family
        np.array([text.posts for text in texts], dtype=np.float64),
        np.array([text.side is Side.audit for text in texts], dtype=bool),
    )


def read_training_mix(folder: Path) -> npt.NDArray[np.float64]:
    from core.learning.manifests import read_manifest

    mix = read_manifest(folder)["training_mix"]
    return np.array([mix[label] for label in LABEL_NAMES], dtype=np.float64)


def _report_training(context: Context, progress: TrainingProgress) -> None:
    context.report(progress.stage, progress.done, progress.total, progress.message)
    if progress.loss is not None:
        logger.info("%s: loss %.3f", progress.message, progress.loss)
    if progress.macro_f1 is not None:
        logger.info("%s: macro-F1 %.3f on what was kept aside", progress.message, progress.macro_f1)
    if progress.loss is not None or progress.macro_f1 is not None:
        context.point(progress.done, loss=progress.loss, macro_f1=progress.macro_f1)


def score_pool(context: Context) -> dict[str, object]:
    """Score what the version has not scored yet; the queue is renewed whenever the scored part has doubled."""
    stay_offline()
    context.report(N_("preparing"), 0, None, N_("loading the libraries"))
    version = scoring.version_to_score(context.engine, str(context.run.config["version"]))
    total = scoring.count_unscored(context.engine, version)
    context.report(N_("preparing"), 0, total, _("loading {version}").format(version=version.name))
    classifier = load_folder(context.settings, context.settings.versions_dir / version.folder)
    done, last, renew_at = 0, 0, TEXTS_BEFORE_FIRST_RENEWAL
    while texts := scoring.unscored_texts(context.engine, version, after=last, limit=TEXTS_PER_STEP):
        ids = [text_id for text_id, _text in texts]
        proba = classifier.probabilities([text for _text_id, text in texts])
        scoring.store_predictions(context.engine, _predictions(version.id, ids, proba))
        done, last = done + len(ids), ids[-1]
        context.report(N_("scoring"), done, max(total, done), "")
        if done >= renew_at and done < total:
            queueing.renew_queue(context.engine, now=utc_now())
            renew_at = done * 2
    context.report(N_("renewing the queue"), done, done, "")
    queueing.renew_queue(context.engine, now=utc_now())
    return {"version": version.name, "scored": done}


def _predictions(version_id: int, text_ids: list[int], proba: npt.NDArray[np.float32]) -> list[Prediction]:
    """proba: (len(text_ids), 3), checked to be probabilities where they leave the model."""
    if len(proba) and not (proba.min() >= 0 and np.abs(proba.sum(axis=1) - 1).max() < 1e-3):
        raise TiebreakError(_("The model returned something that is not a probability; the version may be damaged."))
    return [
        Prediction(version_id, text_id, (float(row[0]), float(row[1]), float(row[2])))
        for text_id, row in zip(text_ids, proba, strict=True)
    ]


def encoder_places(settings: Settings) -> dict[str, Path]:
    return {
        "models_dir": settings.models_dir,
        "starter_dir": settings.starter_dir,
        "hub_cache": settings.hub_cache,
    }


def stay_offline() -> None:
    """Before the model libraries are imported: peft looks names of base encoders up on the hub otherwise."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def predictor(settings: Settings, engine: Engine, model: str) -> Callable[[Sequence[str]], npt.NDArray[np.float32]]:
    """Load a version, by name or by folder; returns texts → probabilities (n_texts, 3) in Label order."""
    is_folder = (Path(model) / "manifest.json").is_file()
    version = None if is_folder else scoring.version_to_score(engine, model)
    stay_offline()
    return load_folder(
        settings, Path(model) if version is None else settings.versions_dir / version.folder
    ).probabilities


def load_folder(settings: Settings, folder: Path) -> Classifier:
    """The version in that folder, with its encoder from wherever it lies on this machine."""
    from core.learning.versions import load_version

    def base_path(name: str, sha256: str) -> Path:
        found = encoders.resolve_trained_on(name, sha256, **encoder_places(settings))
        logger.info("base encoder %s in %s", found.words, found.path)
        return found.path

    return load_version(folder, base_path=base_path)


def pretrain_encoder(
    files: list[Path],
    out_dir: Path,
    *,
    epochs: int,
    source: str,
    resume: bool,
    force: bool,
    report: Callable[[int, int, float], None],
) -> dict[str, object]:
    """Make an encoder from text files in this process; returns its figures.

    Raises Conflict when the folder holds one already, or part of one, unless told to overwrite it or to go on.
    """
    if not (resume or force):
        _refuse_overwriting(out_dir)
    from core.learning.pretraining import PretrainingConfig, pretrain
    from core.texts import read_texts

    result = pretrain(
        read_texts(files),
        out_dir,
        config=PretrainingConfig(epochs=epochs),
        resume=resume,
        source=source,
        report=lambda progress: report(progress.step, progress.steps, progress.loss),
    )
    return asdict(result)


def _refuse_overwriting(out_dir: Path) -> None:
    """Pretraining takes hours: a second one must not take the first one's place without a word."""
    if (out_dir / "checkpoint" / "state.pt").is_file():
        raise Conflict(
            _("{out_dir} holds an unfinished encoder; --resume goes on with it, --force begins anew.").format(
                out_dir=out_dir
            )
        )
    if encoders.weights_file(out_dir) is not None:
        raise Conflict(
            _("{out_dir} holds an encoder already; name another folder, or --force to overwrite it.").format(
                out_dir=out_dir
            )
        )


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it speaks at every start, migration or not
    settings = read_settings(os.environ)
    engine = open_engine(settings.database_url)
    migrate(engine, backups_dir=settings.backups_dir)
    try:
        ended = execute(settings, engine, int(sys.argv[1]))
    except Conflict as err:  # taken by another process, or its turn has not come: it stays in line
        logger.info("%s", err)
        sys.exit(0)
    sys.exit(0 if ended.status is RunStatus.succeeded else 1)


if __name__ == "__main__":
    main()
