"""Runs as people meet them: list, look at one, cancel; and the reconciliation of runs whose process died."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import Connection, Engine

from core.domain import Actor, Run, RunKind, RunPoint, RunStatus
from core.errors import Conflict
from core.permissions import Permission, require
from core.wording import _
from db import audit, runs
from db.engine import read, write

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 2.0
SILENT_FOR_TOO_LONG = timedelta(minutes=2)  # alive but hung; short enough to notice, long enough for a slow disk


def list_runs(engine: Engine, actor: Actor, *, kind: RunKind | None = None, limit: int = 50) -> list[Run]:
    require(actor, Permission.look)
    with read(engine) as conn:
        return runs.list_runs(conn, kind=kind, limit=limit)


def show_run(engine: Engine, actor: Actor, run_id: int) -> Run:
    require(actor, Permission.look)
    with read(engine) as conn:
        return runs.require_run(conn, run_id)


def points_of(engine: Engine, actor: Actor, run_id: int) -> list[RunPoint]:
    """The curves of a training or pretraining so far, in order of steps."""
    require(actor, Permission.look)
    with read(engine) as conn:
        return runs.points_of(conn, run_id)


def cancel_run(engine: Engine, actor: Actor, run_id: int, *, now: datetime) -> Run:
    """Ask a run to stop: a queued one ends at once, a running one within a few steps. Asking twice is harmless."""
    require(actor, Permission.manage_runs)
    with write(engine) as conn:
        found = runs.require_run(conn, run_id)
        if not found.is_open:
            raise Conflict(_("Run {run_id} has already ended; there is nothing to cancel.").format(run_id=run_id))
        runs.request_cancel(conn, run_id, now=now)
        if found.status is RunStatus.queued:
            runs.finish_run(conn, run_id, status=RunStatus.cancelled, now=now)
        audit.record_action(conn, actor, f"cancel {found.kind}", details={"run": run_id}, now=now)
        asked = runs.require_run(conn, run_id)
    if asked.status is RunStatus.cancelled and asked.config.get("delete_after"):
        Path(str(asked.config["path"])).unlink(missing_ok=True)  # an upload: no worker will come to delete it
    return asked


def is_alive(found: Run) -> bool:
    """Whether the process that claimed the run still lives. A pid alone is reused; a zombie is dead."""
    if found.pid is None:
        return False
    try:
        process = psutil.Process(found.pid)
        same = found.process_started is None or abs(process.create_time() - found.process_started) < 1.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def fail_dead_runs(engine: Engine, *, now: datetime, is_alive: Callable[[Run], bool] = is_alive) -> list[Run]:
    """Mark running runs as failed whose process is gone or has hung; returns them."""
    with read(engine) as conn:
        suspects = [
            found for found in runs.list_runs(conn, statuses=[RunStatus.running]) if _is_dead(found, now, is_alive)
        ]
    if not suspects:
        return []
    with write(engine) as conn:
        return [found for found in suspects if _fail(conn, found, now)]


def _is_dead(found: Run, now: datetime, is_alive: Callable[[Run], bool]) -> bool:
    silent = found.heartbeat_at is None or now - found.heartbeat_at > SILENT_FOR_TOO_LONG
    return not is_alive(found) or silent


def _fail(conn: Connection, found: Run, now: datetime) -> bool:
    if found.published_at is not None:  # an import that died after the one transaction that matters
        logger.warning("run %s (%s): process %s is gone, its work was done", found.id, found.kind, found.pid)
        return runs.finish_run(conn, found.id, status=RunStatus.succeeded, now=now)
    logger.warning("run %s (%s): process %s is gone", found.id, found.kind, found.pid)
    said = _(
        "The worker process {pid} ended without a word (killed, out of memory, or the machine stopped); the stage was: "
        "{reason}. Nothing that worked before was touched; start the run again."
    )
    error = said.format(pid=found.pid, reason=found.stage or "–")
    return runs.finish_run(conn, found.id, status=RunStatus.failed, now=now, error=error)
