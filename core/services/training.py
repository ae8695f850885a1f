"""Retraining: what there is to learn from, the queued run, its snapshot, and the version that comes out."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from core.domain import LABEL_NAMES, Actor, FamilyWeight, Label, ModelVersion, Prediction, Run, RunKind, RunStatus, Side
from core.errors import Conflict
from core.permissions import Permission, require
from core.wording import _
from db import audit, doubts, families, golds, models, policies, runs, snapshots
from db.doubts import Doubt
from db.engine import read, write
from db.golds import GoldPost

HEAVIEST_FAMILY = 3.0
LABELS_A_CLASS = 8  # below this a class cannot be learned, nor its absence noticed


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What the lead asks for; stored with the run. base: an encoder's name or path, None for the best there is."""

    quick: bool = False
    base: str | None = None
    seed: int = 13
    all_gpus: bool = False


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
    texts: tuple[SnapshotText, ...]
    hash: str

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
        found = list(golds.gold_posts(conn))
        chosen = [(decision_id, gold.side) for gold in found for decision_id in gold.decision_ids]
        snapshots.add_snapshot(conn, run_id, chosen)
        found_families = golds.gold_families(found)
        sizes = families.sizes_of(conn, [gold.family for gold in found_families])
        counts_as = policies.current_policy(conn).family_weight
    texts = tuple(_snapshot_text(gold, sizes[gold.family], counts_as) for gold in found_families)
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text.text_id}\t{int(text.label)}\t{text.side}\t{text.weight:.6g}\n".encode())
    return Snapshot(texts, digest.hexdigest())


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
