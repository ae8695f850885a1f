"""Scoring runs: the pool by a model version, each distinct text once, resumable at any text."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Engine

from core.domain import Actor, ModelVersion, Prediction, Run, RunKind, RunStatus
from core.errors import Conflict
from core.permissions import Permission, require
from core.wording import _
from db import audit, models, runs
from db.engine import read, write


def queue_scoring(engine: Engine, actor: Actor, *, version: str | None, now: datetime) -> Run:
    """Put a scoring run in line, by the active version when none is named; one already in line is returned."""
    require(actor, Permission.manage_runs)
    with write(engine) as conn:
        chosen = models.active_version(conn) if version is None else models.require_version(conn, version)
        if chosen is None:
            raise Conflict(_("No model version is active yet: retrain first, then promote the new version."))
        audit.record_action(conn, actor, "score", details={"version": chosen.name}, now=now)
        return put_in_line(conn, chosen, created_by=actor.name, now=now)


def put_in_line(conn: Connection, version: ModelVersion, *, created_by: str, now: datetime) -> Run:
    """Scoring by one version needs only one run in line; one that has begun may be past what came since."""
    for waiting in runs.open_runs(conn, kind=RunKind.scoring):
        if waiting.status is RunStatus.queued and waiting.config.get("version") == version.name:
            return waiting
    return runs.add_run(conn, kind=RunKind.scoring, config={"version": version.name}, created_by=created_by, now=now)


def queue_scoring_if_needed(engine: Engine, *, created_by: str, now: datetime) -> Run | None:
    """After an import: score what the active version has not seen."""
    with write(engine) as conn:
        active = models.active_version(conn)
        if active is None or models.count_unscored(conn, version_id=active.id) == 0:
            return None
        return put_in_line(conn, active, created_by=created_by, now=now)


def version_to_score(engine: Engine, name: str) -> ModelVersion:
    with read(engine) as conn:
        return models.require_version(conn, name)


def count_unscored(engine: Engine, version: ModelVersion) -> int:
    with read(engine) as conn:
        return models.count_unscored(conn, version_id=version.id)


def unscored_texts(engine: Engine, version: ModelVersion, *, after: int, limit: int) -> list[tuple[int, str]]:
    """(text_id, text) still to be scored, in order of id."""
    with read(engine) as conn:
        return models.unscored_texts(conn, version_id=version.id, after=after, limit=limit)


def store_predictions(engine: Engine, predictions: list[Prediction]) -> None:
    with write(engine) as conn:
        models.add_predictions(conn, predictions)
