"""Training on another machine: a snapshot goes out, a version comes back and is measured here."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from core.domain import LABEL_NAMES, Actor, ModelVersion, Run, Side
from core.encoders import Encoder, resolve_trained_on
from core.errors import Conflict
from core.learning.folders import written_aside
from core.loading import encoder_places, prepare_libraries
from core.services import training
from core.services.training import NewVersion, SnapshotText
from core.settings import Settings
from core.shipping import refuse_filled
from core.trainer import Measure
from core.training_files import hash_of, read_training_file
from core.wording import N_, _

FILES = {Side.train: "train.jsonl", Side.evaluation: "validation.jsonl"}
SEED = 13  # of the folds and the intervals by which an imported version is measured
UNKNOWN_SNAPSHOT = N_(
    "It was not made from a snapshot that was exported here: it may have learned from posts that it is measured on."
)


def export_snapshot(engine: Engine, actor: Actor, out: Path, *, now: datetime) -> Run:
    """Write what a training started now would learn from and choose by, for `tiebreak train` on another machine.

    train.jsonl and validation.jsonl, one object a line with text, label and weight; texts as models read them, without
    author or IP. The audit slice stays here, so that what comes back can be measured on it. Raises Conflict when there
    is too little to learn from, or the folder holds something.
    """
    refuse_filled(out)
    snapshot = training.read_snapshot(engine, actor)
    counts = Counter(text.label.name for text in snapshot.on(Side.train))
    training.refuse_too_few({name: counts[name] for name in LABEL_NAMES})
    if not snapshot.on(Side.evaluation):
        raise Conflict(_("No post that is kept aside for evaluation is decided yet; decide more posts."))
    with written_aside(out) as partial:
        for side, name in FILES.items():
            with (partial / name).open("w", encoding="utf-8") as stream:
                stream.writelines(_line(text) for text in snapshot.on(side))
        files_hash = hash_of(*(read_training_file(partial / name) for name in FILES.values()))
        return training.record_export(engine, actor, snapshot, files_hash=files_hash, now=now)


def _line(text: SnapshotText) -> str:
    example: dict[str, object] = {"text": text.text, "label": text.label.name}
    if text.weight != 1:
        example["weight"] = round(text.weight, 6)
    return json.dumps(example, ensure_ascii=False) + "\n"


def import_version(
    settings: Settings, engine: Engine, actor: Actor, source: Path, *, name: str | None, now: datetime
) -> ModelVersion:
    """Take in a version that was trained elsewhere, measured here on the posts kept aside; returns it.

    Raises BadInput for a folder that is not what its manifest says, or whose base encoder is not here with the same
    weights; Conflict for a name that is taken.
    """
    chosen = name or training.next_imported_name(engine)
    training.refuse_taken_name(engine, actor, chosen)
    folder = settings.versions_dir / chosen
    if folder.exists():
        raise Conflict(_("{folder} is there already; choose another name with --name.").format(folder=folder))
    prepare_libraries()
    from core.learning import arrivals
    from core.learning.manifests import record, with_evaluation, with_hashes

    arrival = arrivals.look_at(source)
    encoder = _encoder_of(settings, arrival.base_name, arrival.sha256)
    known = {"name": arrival.base_name, "sha256": arrival.sha256}
    base = known if encoder is None else known | {"name": encoder.name, "origin": encoder.origin}
    manifest = arrival.manifest | {"base": base, "imported": True}
    if not training.was_exported(engine, actor, str(manifest["snapshot"])):
        manifest["warnings"] = [*manifest["warnings"], _(UNKNOWN_SNAPSHOT)]
    snapshot = training.read_snapshot(engine, actor)
    measure = Measure(settings, snapshot, seed=SEED)
    with written_aside(folder) as partial:
        arrivals.take_in(arrival, partial, base_path=None if encoder is None else encoder.path)
        manifest = with_hashes(partial, manifest)
        record(partial, manifest)
        manifest = with_evaluation(manifest, measure(partial))
        record(partial, manifest)
    try:
        new = NewVersion(chosen, str(base["name"]), manifest, measure.predictions())
        measured = [found for found in snapshot.decisions if found[1] is not Side.train]
        return training.store_imported(engine, actor, new, measured=measured, pace=measure.pace, now=now)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _encoder_of(settings: Settings, name: str, sha256: str | None) -> Encoder | None:
    return None if sha256 is None else resolve_trained_on(name, sha256, **encoder_places(settings))
