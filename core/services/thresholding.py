"""Thresholds: what they would do to the forum, saved under names, and tried on any version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, Engine

from core.calibration import Correction, Floats, Ids
from core.columns import PostColumns
from core.domain import LABEL_NAMES, Actor, Label, ModelVersion, Side, ThresholdPolicy
from core.errors import BadInput, NotFound
from core.evaluation import ENOUGH, Aside, refitted
from core.permissions import Permission, require
from core.services import auditing
from core.services.columns import Columns
from core.sheets import CellKind, Column, Row, Sheet
from core.thresholds import Thresholds
from core.wording import _
from core.workload import Pace, Sample, Workload, frontier
from db import audit, golds, models, runs, threshold_policies
from db.engine import read, write

SEED = 17  # of folds: the same posts say the same each time that they are asked
LONGEST_NAME = 40
SHORTEST_SPAN = timedelta(days=1)  # from the first import to the last, for a pace to be told


@dataclass(frozen=True, slots=True)
class Trial:
    """What thresholds are tried on: all posts that the version has scored, and those drawn at random and judged.

    pace: None where it cannot be known: nothing came in a day or more after the first import.
    """

    version: str
    pool: Workload
    sample: Sample
    pace: Pace | None

    @property
    def is_enough(self) -> bool:
        """Whether it can be told what goes wrong."""
        return len(self.sample) >= ENOUGH


def trial(engine: Engine, actor: Actor, columns: Columns, *, version: str) -> Trial:
    """columns: with the probabilities of that version."""
    require(actor, Permission.look)
    with read(engine) as conn:
        found = models.require_version(conn, version)
        sample, times = _sample(conn, found, columns.posts), runs.times_of_imports(conn)
    is_scored = ~np.isnan(columns.proba[Label.normal])
    counted = Workload.of(columns.proba[Label.normal][is_scored], columns.proba[Label.violation][is_scored])
    return Trial(found.name, counted, sample, _pace(times, np.bincount(columns.posts.imports)))


def export_frontier(engine: Engine, actor: Actor, columns: Columns, *, version: str, now: datetime) -> Sheet:
    """A row for each pair of thresholds that no other beats; all but these are shares of posts. It is on record.

    Raises BadInput where too few posts are judged for it.
    """
    require(actor, Permission.export)
    found = trial(engine, actor, columns, version=version)
    if not found.is_enough:
        raise BadInput(_("Too few posts of the audit slice are judged for that; the Thresholds page says how many."))
    auditing.record_export(engine, actor, f"frontier of thresholds of {version} as csv", now=now)
    names = ("left", "missed", "wrong")
    rows: list[Row] = [
        (_as_text(point.thresholds.passes), _as_text(point.thresholds.removes), point.left, point.missed, point.wrong)
        for point in frontier(found.pool, found.sample)
    ]
    columns_of = (Column("passes"), Column("removes"), *(Column(name, CellKind.number) for name in names))
    return Sheet(columns_of, iter([rows]))


def _as_text(threshold: float | None) -> str | None:
    return None if threshold is None else f"{threshold:g}"


def _sample(conn: Connection, version: ModelVersion, posts: PostColumns) -> Sample:
    """Families of the audit slice, each by the post that stands for it, as far as they are judged and scored."""
    judged = golds.gold_families(golds.gold_posts(conn, side=Side.audit))
    said = {
        each.text_id: each.probabilities
        for each in models.predictions_for(conn, version_id=version.id, text_ids=[gold.text_id for gold in judged])
    }
    there = [gold for gold in judged if gold.text_id in said]
    places, are_known = posts.positions([gold.post_id for gold in there])
    sizes = np.where(are_known, posts.family_sizes[places], 1) if len(posts) else np.ones(len(there))
    drawn = Aside(
        np.array([gold.label for gold in there], dtype=np.int64),
        np.array([gold.family for gold in there], dtype=np.int64),
        sizes.astype(np.float64),
        np.full(len(there), True),
    )
    proba = np.array([said[gold.text_id] for gold in there], dtype=np.float64).reshape(-1, len(LABEL_NAMES))
    return Sample(_out_of_fold(proba, drawn, version), drawn.truth, drawn.sizes)


def _out_of_fold(proba: Floats, drawn: Aside, version: ModelVersion) -> Floats:
    """As they are for a version without a correction: then the posts have had no part in them."""
    correction, mix = version.manifest.get("calibration"), version.manifest.get("training_mix")
    if not isinstance(correction, dict) or not isinstance(mix, dict) or not len(drawn.truth):
        return proba
    fitted = Correction(float(correction["temperature"]), tuple(map(float, correction["offset"])))
    trained = np.array([mix[name] for name in LABEL_NAMES], dtype=np.float64)
    return refitted(proba, drawn, fitted, trained=trained, rng=np.random.default_rng(SEED))


def _pace(times: dict[int, datetime], posts: Ids) -> Pace | None:
    """What the first import brought had gathered before, nobody knows since when.

    times: when each import was published, oldest first. posts: by import, how many it brought.
    """
    brought = {run_id: int(posts[run_id]) for run_id in times if run_id < len(posts) and posts[run_id]}
    first, last = min(brought, key=times.__getitem__, default=None), max(brought, key=times.__getitem__, default=None)
    if first is None or last is None or times[last] - times[first] < SHORTEST_SPAN:
        return None
    later = sum(count for run_id, count in brought.items() if run_id != first)
    return Pace(later, (times[last] - times[first]) / timedelta(days=1))


# --- under a name -----------------------------------------------------------------------------------------------------


def list_policies(engine: Engine, actor: Actor) -> list[ThresholdPolicy]:
    """Newest first, those that a later one of the same name replaced among them."""
    require(actor, Permission.look)
    with read(engine) as conn:
        return threshold_policies.list_all(conn)


def save_policy(
    engine: Engine, actor: Actor, name: str, thresholds: Thresholds, *, version: str, now: datetime
) -> None:
    """Keep thresholds under a name, with who chose them when and on which version; the same name again replaces them.

    Raises BadInput without a name, or with one that is too long.
    """
    require(actor, Permission.save_thresholds)
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadInput(_("A name has from 1 to {most} characters.").format(most=LONGEST_NAME))
    passes, removes = thresholds.passes, thresholds.removes
    with write(engine) as conn:
        chosen_on = models.require_version(conn, version)
        threshold_policies.save(
            conn, actor, name=name, version_id=chosen_on.id, passes=passes, removes=removes, now=now
        )
        details: dict[str, object] = {"name": name, "version": version, "passes": passes, "removes": removes}
        audit.record_action(conn, actor, "save thresholds", details=details, now=now)


def require_policy(conn: Connection, name: str) -> ThresholdPolicy:
    found = threshold_policies.newest(conn, name)
    if found is None:
        raise NotFound(
            _("There are no thresholds under the name {name!r}; the Thresholds page lists and saves them.").format(
                name=name[:LONGEST_NAME]
            )
        )
    return found
