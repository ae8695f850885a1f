"""What a report of a version says: its figures, its curves, and the texts kept aside that it judges wrongly."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Engine

from core.domain import Actor, ModelVersion, RunPoint, Side
from core.permissions import Permission, require
from core.services import auditing
from core.version_report import VersionReport, WorstError
from db import golds, models, runs
from db.engine import read

MOST_ERRORS = 20


def version_report(engine: Engine, actor: Actor, name: str, *, now: datetime) -> VersionReport:
    """Everything but author and address, which no report needs; it leaves the program, and that is on record.

    Raises NotFound for an unknown version.
    """
    require(actor, Permission.look)
    with read(engine) as conn:
        found = _report(conn, name)
    auditing.record_export(engine, actor, f"report of version {found.name}", now=now)
    return found


def _report(conn: Connection, name: str) -> VersionReport:
    version = models.require_version(conn, name)
    active = models.active_version(conn)
    errors = _errors(conn, version)
    return VersionReport(
        version.name,
        version.base,
        version.created_at,
        active is not None and active.id == version.id,
        version.manifest,
        version.metrics,
        tuple(_curves(conn, version)),
        tuple(errors[:MOST_ERRORS]),
        len(errors),
    )


def _errors(conn: Connection, version: ModelVersion) -> list[WorstError]:
    """Surest first. Labels are those that count now, not those that counted when it was measured."""
    aside = [gold for gold in golds.gold_posts(conn) if gold.side is not Side.train]
    by_text = {gold.text_id: gold for gold in golds.gold_families(aside)}
    found = [
        WorstError(gold.text, gold.label, said.label, said.probabilities[said.label])
        for said in models.predictions_for(conn, version_id=version.id, text_ids=list(by_text))
        if (gold := by_text[said.text_id]).label is not said.label
    ]
    return sorted(found, key=lambda error: -error.probability)


def _curves(conn: Connection, version: ModelVersion) -> list[RunPoint]:
    """Of its run; a baseline has none."""
    if version.is_baseline or version.run_id is None:
        return []
    return runs.points_of(conn, version.run_id)
