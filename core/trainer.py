"""The training of a version, as a run: a snapshot of the decisions goes to learning, what it made is stored."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core import encoders
from core.clock import utc_now
from core.context import Context
from core.domain import Label, ModelVersion, Prediction, RunPoint, Side
from core.errors import Cancelled
from core.evaluation import Aside, Evaluation, evaluate
from core.loading import checked, encoder_places, load_folder, prepare_libraries, read_training_mix
from core.services import retraining, scoring, training
from core.services.training import NewVersion
from core.settings import Settings
from core.wording import N_, _
from db.doubts import Doubt

if TYPE_CHECKING:
    from core.learning.fitting import Setup, TrainingProgress

TEXTS_FOR_A_PACE = 256

logger = logging.getLogger(__name__)


def train_version(context: Context) -> dict[str, object]:
    """Train a version and the baseline on a snapshot; returns their names and figures on what was kept aside."""
    prepare_libraries()
    context.report(N_("preparing"), 0, None, N_("loading the libraries"))
    from core.learning import baseline
    from core.learning import training as learning
    from core.learning.device import find_devices
    from core.learning.examples import TrainingExample

    request = training.TrainingRequest(**context.run.config)  # type: ignore[arg-type]
    context.report(N_("preparing"), 0, None, N_("taking a snapshot of the decisions"))
    snapshot = training.take_snapshot(context.engine, context.run.id)
    encoder = encoders.resolve_encoder(request.base, **encoder_places(context.settings))
    context.report(N_("preparing"), 0, None, _("base encoder: {encoder}").format(encoder=encoder.words))
    logger.info("base encoder %s in %s", encoder.name, encoder.path)
    examples = [TrainingExample(t.text, int(t.label), t.weight) for t in snapshot.on(Side.train)]

    def evaluating() -> None:
        context.report(N_("evaluating"), 0, None, N_("scoring what was kept aside"))

    name = training.next_version_name(context.engine)
    folder = context.settings.versions_dir / name
    simple, tuned = (Measure(context.settings, snapshot, seed=request.seed, begin=evaluating) for _version in range(2))
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
            devices=find_devices() if request.all_gpus else (),
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
        look_for_doubts(context, version, snapshot, seed=request.seed)
    return {
        "version": name,
        "base": encoder.words,
        "metrics": result.manifest["metrics"],
        "baseline": simple_folder.name,
        "baseline_metrics": simple_manifest["metrics"],
        "warnings": list(result.warnings),
        scoring.PACE: tuned.pace,
        **_by_itself(context, request, name),
    }


def _by_itself(context: Context, request: training.TrainingRequest, name: str) -> dict[str, object]:
    """What becomes of the version where nobody clicked."""
    if not request.by_itself:
        return {}
    said = retraining.finish(context.engine, retraining.BY_ITSELF, name, now=utc_now())
    logger.info("%s", said)
    return {"by_itself": said}


def look_for_doubts(context: Context, version: ModelVersion, snapshot: training.Snapshot, *, seed: int) -> None:
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


class Measure:
    """Measures a new version on the texts that were kept aside, and remembers what it said of each; and its pace."""

    def __init__(
        self, settings: Settings, snapshot: training.Snapshot, *, seed: int, begin: Callable[[], None] = lambda: None
    ) -> None:
        self._settings, self._seed, self._begin = settings, seed, begin
        self._texts = snapshot.on(Side.evaluation, Side.audit)
        self._sample = [text.text for text in snapshot.texts[:TEXTS_FOR_A_PACE]]
        self._proba = np.zeros((0, len(Label)))
        self.pace = 0.0  # texts/s

    def __call__(self, folder: Path) -> Evaluation:
        self._begin()
        mix = read_training_mix(folder)
        classifier = load_folder(self._settings, folder)
        logits = classifier.logits([text.text for text in self._texts])
        found = evaluate(logits, aside_of(self._texts), trained=mix, seed=self._seed)
        self._proba = found.proba
        begun = time.monotonic()
        classifier.logits(self._sample)
        self.pace = round(len(self._sample) / (time.monotonic() - begun), 2)
        return found

    def predictions(self) -> list[Prediction]:
        found = zip(self._texts, checked(self._proba.astype(np.float32)).tolist(), strict=True)
        return [Prediction(0, text.text_id, (row[0], row[1], row[2])) for text, row in found]


def aside_of(texts: list[training.SnapshotText]) -> Aside:
    return Aside(
        np.array([int(text.label) for text in texts], dtype=np.int64),
        np.array([text.text_id for text in texts], dtype=np.int64),  # one text stands for each family
        np.array([text.posts for text in texts], dtype=np.float64),
        np.array([text.side is Side.audit for text in texts], dtype=bool),
    )


def _report_training(context: Context, progress: TrainingProgress) -> None:
    if progress.setup is not None:
        context.add_facts(asdict(progress.setup))
        logger.info("%s", _how(progress.setup))
    context.report(progress.stage, progress.done, progress.total, progress.message)
    if progress.loss is not None:
        logger.info("%s: loss %.3f", progress.message, progress.loss)
    if progress.macro_f1 is not None:
        logger.info("%s: macro-F1 %.3f on what was kept aside", progress.message, progress.macro_f1)
    if progress.loss is not None or progress.macro_f1 is not None:
        context.add_point(RunPoint(progress.done, progress.loss, progress.macro_f1, progress.recall))


def _how(setup: Setup) -> str:
    """A line for the log."""
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in setup.class_weights.items())
    return (
        f"{setup.devices} × {setup.device} in {setup.precision}, {setup.steps} steps of {setup.batch_size} examples, "
        f"{setup.at_once} of them at once; class weights: {weights}"
    )
