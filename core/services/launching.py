"""Starting workers: each run is executed by a process of its own, which outlives page, browser and server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from core.domain import RunKind, RunStatus
from core.services.forgetting import finish_forgetting
from core.services.importing import sweep_leftovers, sweep_rejects, sweep_uploads
from core.services.queueing import catch_up
from core.services.retraining import BY_ITSELF, retrain_if_due
from core.services.runs import fail_dead_runs
from core.services.scoring import queue_scoring_if_needed
from core.services.searching import index_new_texts
from core.services.sessions import sweep_addresses
from core.services.takeback import finish_takebacks
from core.settings import PROJECT_DIR, Settings
from core.wording import _
from db import runs
from db.engine import read, write

TEXTS_A_STEP = 10_000

Launch = Callable[[Settings, int], "subprocess.Popen[bytes]"]


def launch_worker(settings: Settings, run_id: int) -> subprocess.Popen[bytes]:
    """Start `python -m core.worker RUN` in a session of its own, its output appended to the run's log."""
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    environ |= {
        "TIEBREAK_HOME": str(settings.home),
        "TIEBREAK_DATABASE_URL": settings.database_url,
        "HF_HUB_CACHE": str(settings.hub_cache),
    }
    with log_path(settings, run_id).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "core.worker", str(run_id)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environ,
            cwd=PROJECT_DIR,
        )


def log_path(settings: Settings, run_id: int) -> Path:
    return settings.logs_dir / f"run-{run_id}.log"


class Supervisor:
    """Starts queued runs, one at a time of each kind, and marks those as failed whose process died.

    Holds only the child processes it started (a finished child stays a zombie until it is polled);
    everything else is read from the database at each step, so any number of restarts is harmless.
    """

    def __init__(self, engine: Engine, settings: Settings, *, launch: Launch = launch_worker) -> None:
        self._engine = engine
        self._settings = settings
        self._launch = launch
        self._swept_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._may_have_leftovers = True  # of an import that died while nobody supervised

    def step(self, *, now: datetime) -> None:
        for run_id, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[run_id]
                self._fail_if_never_begun(run_id, child.returncode, now=now)
        failed = fail_dead_runs(self._engine, now=now)
        self._may_have_leftovers |= any(run.kind is RunKind.importing for run in failed)
        self._sweep_after_imports()
        finish_takebacks(self._engine)
        self._sweep_daily(now)
        self._retrain_if_due(now)
        if catch_up(self._engine, now=now):
            queue_scoring_if_needed(self._engine, created_by="supervisor", now=now)
        self._index_texts()
        for run_id in self._startable():
            self._children[run_id] = self._launch(self._settings, run_id)

    def _retrain_if_due(self, now: datetime) -> None:
        """Looked at each minute: counting decisions each time would cost more than it is worth."""
        if self._asked_at is None or now - self._asked_at >= timedelta(minutes=1):
            self._asked_at = now
            retrain_if_due(self._engine, BY_ITSELF, now=now)

    def _sweep_daily(self, now: datetime) -> None:
        """At the server's start and each day after."""
        if self._swept_at is None or now - self._swept_at >= timedelta(days=1):
            self._swept_at = now
            sweep_rejects(self._engine, now=now)
            sweep_uploads(self._engine, self._settings.uploads_dir, now=now)
            sweep_addresses(self._engine, now=now)
            finish_forgetting(self._engine, self._settings, now=now)

    def _sweep_after_imports(self) -> None:
        """What a killed import has read lies about, unseen, with authors and addresses; not while another reads."""
        if not self._may_have_leftovers:
            return
        with read(self._engine) as conn:
            is_busy = any(run.status is RunStatus.running for run in runs.open_runs(conn, kind=RunKind.importing))
        if not is_busy:
            sweep_leftovers(self._engine)
            self._may_have_leftovers = False

    def _index_texts(self) -> None:
        """What a killed import did not come to, and what was there before there was an index; not beside an import."""
        with read(self._engine) as conn:
            is_idle = not runs.open_runs(conn, kind=RunKind.importing)
        if is_idle:
            index_new_texts(self._engine, most=TEXTS_A_STEP)

    def _fail_if_never_begun(self, run_id: int, returncode: int, *, now: datetime) -> None:
        """A worker that ended before it claimed its run would be started again for ever."""
        with write(self._engine) as conn:
            if runs.require_run(conn, run_id).status is RunStatus.queued and returncode != 0:
                said = _("The worker could not start (exit code {code}); see {path}.")
                error = said.format(code=returncode, path=log_path(self._settings, run_id))
                runs.finish_run(conn, run_id, status=RunStatus.failed, now=now, error=error)

    def _startable(self) -> list[int]:
        """The oldest queued run of each kind that has none running or starting."""
        with read(self._engine) as conn:
            waiting = runs.open_runs(conn)
        busy = {found.kind for found in waiting if found.status is RunStatus.running or found.id in self._children}
        first: dict[str, int] = {}
        for found in waiting:
            if found.kind not in busy:
                first.setdefault(found.kind, found.id)
        return list(first.values())
