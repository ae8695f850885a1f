"""Retraining: what there is to learn from, the queued run, its snapshot, and the version that comes out."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from core.domain import (
    LABEL_NAMES,
    Actor,
    FamilyWeight,
    Label,
    ModelVersion,
    Prediction,
    Run,
    RunKind,
    RunPoint,
    RunStatus,
    Side,
)
from core.errors import BadInput, Conflict
from core.permissions import Permission, require
from core.services import scoring
from core.wording import _
from db import audit, doubts, families, golds, models, policies, runs, snapshots
from db.doubts import Doubt
from db.engine import read, write
from db.golds import GoldPost

HEAVIEST_FAMILY = 3.0
# A version that is being trained has taken its name before anybody sees it: an imported one must not take it too.
_IMPORTED_NAME = re.compile(r"(?!v\d+(-|$))[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
LABELS_A_CLASS = 8  # below this a class cannot be learned, nor its absence noticed


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What the lead asks for; stored with the run. base: an encoder's name or path, None for the best there is."""

    quick: bool = False
    base: str | None = None
    seed: int = 13
    all_gpus: bool = False
    by_itself: bool = False  # nobody clicked: see core.services.retraining


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Families with a gold label, by label name; most are of one post.

    left_out: decided posts for neither, because an import changed their text's side after a version had used them.
    """

    train: dict[str, int]
    held_out: dict[str, int]
    since_last_run: dict[str, int]
    left_out: int


@dataclass(frozen=True, slots=True)
class SnapshotText:
    """One family with its gold label. posts: how many it has. weight: how much it counts in training, by policy."""

    text_id: int
    text: str
    label: Label
    side: Side
    posts: int
    weight: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """decisions: (id, side) of each that the texts have their labels from."""

    texts: tuple[SnapshotText, ...]
    hash: str
    decisions: tuple[tuple[int, Side], ...]

    def on(self, *sides: Side) -> list[SnapshotText]:
        return [text for text in self.texts if text.side in sides]


def count_labels(engine: Engine, actor: Actor) -> LabelCounts:
    """What a run started now would learn from and be measured on."""
    require(actor, Permission.look)
    with read(engine) as conn:
        found = list(golds.gold_posts(conn))
        finished = runs.list_runs(conn, kind=RunKind.training, statuses=[RunStatus.succeeded], limit=1)
        used = {d for run in finished for d, _side in snapshots.decisions_of_snapshot(conn, run.id)}
        left_out = golds.count_left_out(conn)
    texts = golds.gold_families(found)
    new = golds.gold_families([gold for gold in found if not used.intersection(gold.decision_ids)])
    return LabelCounts(
        _by_label(text for text in texts if text.side is Side.train),
        _by_label(text for text in texts if text.side is not Side.train),
        _by_label(new),
        left_out,
    )


def _by_label(texts: object) -> dict[str, int]:
    counted = Counter(text.label.name for text in texts)  # type: ignore[attr-defined]
    return {name: counted[name] for name in LABEL_NAMES}


def queue_training(engine: Engine, actor: Actor, request: TrainingRequest, *, now: datetime) -> Run:
    """Put a training run in line. Refused while another is open, and when there is too little to learn from."""
    require(actor, Permission.manage_runs)
    counts = count_labels(engine, actor)
    refuse_too_few(counts.train)
    with write(engine) as conn:
        busy = runs.open_runs(conn, kind=RunKind.training)
        if busy:
            raise Conflict(
                _("Training run {run_id} is under way; wait for it or cancel it first.").format(run_id=busy[0].id)
            )
        added = runs.add_run(conn, kind=RunKind.training, config=asdict(request), created_by=actor.name, now=now)
        audit.record_action(conn, actor, "retrain", details={"run": added.id} | asdict(request), now=now)
        return added


def refuse_too_few(train: dict[str, int]) -> None:
    """Raise Conflict unless two classes have enough labels; the message says what is missing and how to get it."""
    enough = [name for name, count in train.items() if count >= LABELS_A_CLASS]
    if len(enough) >= 2:
        return
    have = ", ".join(f"{name} {count}" for name, count in train.items())
    raise Conflict(
        _(
            "Training needs at least two classes with {least} or more labels; there are: {have} "
            "(about a fifth of what is decided is kept aside for measuring). Decide more posts on the "
            "Label page, or import a labelled file."
        ).format(least=LABELS_A_CLASS, have=have)
    )


def take_snapshot(engine: Engine, run_id: int) -> Snapshot:
    """Fix what a run learns from and is measured on, and store which decisions these are."""
    with write(engine) as conn:
        snapshot = _snapshot(conn)
        snapshots.add_snapshot(conn, run_id, snapshot.decisions)
        return snapshot


def read_snapshot(engine: Engine, actor: Actor) -> Snapshot:
    """What a run started now would learn from and be measured on; nothing is stored."""
    require(actor, Permission.manage_runs)
    with read(engine) as conn:
        return _snapshot(conn)


def _snapshot(conn: Connection) -> Snapshot:
    found = list(golds.gold_posts(conn))
    chosen = tuple((decision_id, gold.side) for gold in found for decision_id in gold.decision_ids)
    found_families = golds.gold_families(found)
    sizes = families.sizes_of(conn, [gold.family for gold in found_families])
    counts_as = policies.current_policy(conn).family_weight
    texts = tuple(_snapshot_text(gold, sizes[gold.family], counts_as) for gold in found_families)
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text.text_id}\t{int(text.label)}\t{text.side}\t{text.weight:.6g}\n".encode())
    return Snapshot(texts, digest.hexdigest(), chosen)


def _snapshot_text(gold: GoldPost, size: int, counts_as: FamilyWeight) -> SnapshotText:
    weight = 1.0 if counts_as is FamilyWeight.one else min(HEAVIEST_FAMILY, math.sqrt(size))
    return SnapshotText(gold.text_id, gold.text, gold.label, gold.side, size, weight)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version whose folder is complete. predictions: for the texts kept aside, under whatever version_id."""

    name: str  # of its folder too
    base: str
    manifest: dict[str, Any]
    predictions: list[Prediction]


def store_versions(engine: Engine, run: Run, tuned: NewVersion, *, baseline: NewVersion, now: datetime) -> ModelVersion:
    """Record the version that a run made, and the baseline beside it; returns the former."""
    with write(engine) as conn:
        version = _store_version(conn, tuned, run_id=run.id, baseline_of=None, now=now)
        _store_version(conn, baseline, run_id=None, baseline_of=version.id, now=now)
        return version


def _store_version(
    conn: Connection, new: NewVersion, *, run_id: int | None, baseline_of: int | None, now: datetime
) -> ModelVersion:
    version = models.add_version(
        conn,
        name=new.name,
        run_id=run_id,
        baseline_of=baseline_of,
        base=new.base,
        folder=new.name,
        manifest=new.manifest,
        metrics=new.manifest["metrics"],
        now=now,
    )
    models.add_predictions(conn, [Prediction(version.id, p.text_id, p.probabilities) for p in new.predictions])
    return version


def store_doubts(engine: Engine, version: ModelVersion, found: Sequence[Doubt]) -> None:
    """What a search for doubtful labels found after the version was trained."""
    with write(engine) as conn:
        doubts.add_doubts(conn, version.id, found)


def next_version_name(engine: Engine) -> str:
    with read(engine) as conn:
        return models.next_version_name(conn)


# --- trained elsewhere ----------------------------------------------------------------------------------------------

OUT = (Side.train, Side.evaluation)  # the audit slice stays: whoever has it could choose a version by it


def record_export(engine: Engine, actor: Actor, snapshot: Snapshot, *, files_hash: str, now: datetime) -> Run:
    """Note which decisions have left to be trained on elsewhere. files_hash: what a version made of them will name."""
    require(actor, Permission.manage_runs)
    with write(engine) as conn:
        added = runs.add_run(conn, kind=RunKind.export, config={}, created_by=actor.name, now=now)
        result: dict[str, object] = {"snapshot": files_hash, **{str(side): len(snapshot.on(side)) for side in OUT}}
        runs.finish_run(conn, added.id, status=RunStatus.succeeded, now=now, result=result)
        snapshots.add_snapshot(conn, added.id, [found for found in snapshot.decisions if found[1] in OUT])
        audit.record_action(conn, actor, "export", details={"what": "snapshot", "run": added.id}, now=now)
        return runs.require_run(conn, added.id)


def was_exported(engine: Engine, actor: Actor, files_hash: str) -> bool:
    """Whether that snapshot was exported here: only then is it known what a version made of it has learned."""
    require(actor, Permission.manage_runs)
    with read(engine) as conn:
        return _export_of(conn, files_hash) is not None


def _export_of(conn: Connection, files_hash: str) -> Run | None:
    return runs.newest_with_result(conn, kind=RunKind.export, of="snapshot", value=files_hash)


def refuse_taken_name(engine: Engine, actor: Actor, name: str) -> None:
    """Raise Conflict when a version has that name, BadInput for one that is not for imported versions."""
    require(actor, Permission.manage_runs)
    if not _IMPORTED_NAME.fullmatch(name):
        raise BadInput(
            _(
                "{name!r} is no name for an imported version: letters, digits, dots, dashes and underscores, 40 at "
                "most, and not like v1, which versions trained here are called."
            ).format(name=name[:60])
        )
    with read(engine) as conn:
        if name in (version.name for version in models.list_versions(conn)):
            raise Conflict(_("There is a version {name} already; choose another with --name.").format(name=name))


def store_imported(
    engine: Engine,
    actor: Actor,
    new: NewVersion,
    *,
    measured: Sequence[tuple[int, Side]],
    pace: float,
    now: datetime,
) -> ModelVersion:
    """Record a version that was trained elsewhere, as a training run that has ended; returns it.

    measured: the decisions that it was measured by here; pace: texts/s meanwhile. What it has learned is known where
    its snapshot was exported here.
    """
    require(actor, Permission.manage_runs)
    with write(engine) as conn:
        exported = _export_of(conn, str(new.manifest["snapshot"]))
        config: dict[str, object] = {"imported": new.name}
        added = runs.add_run(conn, kind=RunKind.training, config=config, created_by=actor.name, now=now)
        result = {
            "version": new.name,
            "metrics": new.manifest["metrics"],
            "warnings": new.manifest["warnings"],
            scoring.PACE: pace,
        }
        runs.finish_run(conn, added.id, status=RunStatus.succeeded, now=now, result=result)
        for point in _told_curves(new.manifest):
            runs.add_point(conn, added.id, point)
        learned = [] if exported is None else snapshots.decisions_of_snapshot(conn, exported.id)
        snapshots.add_snapshot(conn, added.id, list((dict(measured) | dict(learned)).items()))
        version = _store_version(conn, new, run_id=added.id, baseline_of=None, now=now)
        details = {"version": new.name, "snapshot": new.manifest["snapshot"]}
        audit.record_action(conn, actor, "import model", details=details, now=now)
        return version


def _told_curves(manifest: dict[str, Any]) -> list[RunPoint]:
    """What a manifest says of the evaluations along the training."""
    told = manifest.get("evaluations")
    return [_told_point(each) for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _told_point(told: dict[str, object]) -> RunPoint:
    recall, step = told.get("recall"), told.get("step")
    known = recall if isinstance(recall, dict) else {}
    normal, suspicious, violation = (_number(known.get(name)) for name in LABEL_NAMES)
    return RunPoint(
        step if isinstance(step, int) else 0,
        macro_f1=_number(told.get("macro_f1")),
        recall=(normal, suspicious, violation),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def next_imported_name(engine: Engine) -> str:
    with read(engine) as conn:
        return models.next_imported_name(conn)
