"""What reports say: of a version its figures, curves and errors; of a week what was decided, and how well."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from sqlalchemy import Connection, Engine

from core.domain import Actor, ModelVersion, RunPoint, Side
from core.permissions import Permission, may, require
from core.services import auditing
from core.services.agreeing import Measured, agreement_between
from core.version_report import VersionReport, WorstError
from core.week_report import Agreed, WeekReport, week_in_words
from db import figures, golds, models, posts, queue, runs, threshold_policies, words
from db.engine import read

MOST_ERRORS = 20
DAYS = 7
SEED = 31  # of intervals: the same week says the same each time


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


# --- of a week --------------------------------------------------------------------------------------------------------


def week_report(engine: Engine, actor: Actor, monday: date, *, now: datetime) -> WeekReport:
    """What happened from that day on for a week, days beginning at midnight UTC; it is on record that it leaves.

    Without author, address or anybody's name; how well people agree is for whoever reviews.
    """
    require(actor, Permission.look)
    starts = [datetime.combine(monday + timedelta(days=at), time(), UTC) for at in range(DAYS + 1)]
    since, until = starts[0], starts[-1]
    with read(engine) as conn:
        agreed = None
        if may(actor, Permission.review):
            then, all_before = agreement_between(conn, since, until, rng=np.random.default_rng(SEED))
            agreed = _agreed(then), _agreed(all_before)
        active = models.active_version(conn)
        imports, brought = runs.brought_between(conn, since, until)
        total = posts.count_posts(conn)
        newest = {policy.name: policy for policy in reversed(threshold_policies.list_all(conn))}
        found = WeekReport(
            monday=monday,
            by_day=tuple(figures.judged_by_label(conn, starts)),
            imports=imports,
            brought=brought,
            posts=total,
            pool=total - posts.count_decided(conn),
            left=queue.count_left(conn),
            agreement=agreed,
            version=None if active is None else active.name,
            metrics={} if active is None else active.metrics,
            promoted=tuple(models.promoted_between(conn, since, until)),
            policies=tuple(newest.values()),
            words=words.records(conn, since=since, until=until),
        )
    auditing.record_export(engine, actor, f"report of week {week_in_words(monday)}", now=now)
    return found


def _agreed(measured: Measured) -> Agreed:
    return Agreed(measured.posts, measured.alpha, measured.interval)
