"""Runs: one at a time of a kind, cancelled when asked, failed readably when their process is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from core import context, worker
from core.clock import utc_now
from core.domain import Actor, Run, RunKind, RunStatus, Side
from core.drafts import DraftText
from core.errors import Conflict
from core.families import Mark
from core.services import importing, scoring
from core.services import runs as service
from core.services.launching import Supervisor
from core.settings import PROJECT_DIR, Settings
from db import models, posts, runs, texts
from db.engine import DatabaseBusy, read, write
from db.tables import distinct_text, post, queue_round
from db.tables import run as run_table
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR


def add(engine: Engine, kind: RunKind = RunKind.training) -> Run:
    with write(engine) as conn:
        return runs.add_run(conn, kind=kind, config={}, created_by="lea", now=NOW)


def claim(engine: Engine, run: Run, *, pid: int, started: float = 1.0) -> Run | None:
    with write(engine) as conn:
        return runs.claim_run(conn, run.id, pid=pid, process_started=started, now=NOW)


def status(engine: Engine, run: Run) -> RunStatus:
    with read(engine) as conn:
        return runs.require_run(conn, run.id).status


def test_run_is_claimed_once_and_one_of_a_kind_runs_at_a_time(engine: Engine) -> None:
    first, second, other = add(engine), add(engine), add(engine, RunKind.scoring)
    assert claim(engine, first, pid=1) is not None
    assert claim(engine, first, pid=2) is None
    assert claim(engine, second, pid=3) is None
    assert claim(engine, other, pid=4) is not None


def test_schema_itself_forbids_two_running_runs_of_a_kind(engine: Engine) -> None:
    first, second = add(engine), add(engine)
    claim(engine, first, pid=1)
    with pytest.raises(IntegrityError), write(engine) as conn:
        conn.exec_driver_sql("UPDATE run SET status = 'running' WHERE id = ?", (second.id,))


def test_queued_run_is_cancelled_at_once_and_a_running_one_is_asked_to_stop(engine: Engine, lead: Actor) -> None:
    queued, running = add(engine, RunKind.scoring), add(engine)
    claim(engine, running, pid=1)
    assert service.cancel_run(engine, lead, queued.id, now=NOW).status is RunStatus.cancelled
    asked = service.cancel_run(engine, lead, running.id, now=NOW)
    assert (asked.status, asked.cancel_requested_at) == (RunStatus.running, NOW)
    with write(engine) as conn:
        assert runs.beat(conn, running.id, now=NOW)
    with pytest.raises(Conflict, match="already ended"):
        service.cancel_run(engine, lead, queued.id, now=NOW)


def test_run_of_a_dead_process_fails_with_a_readable_reason_and_a_new_one_can_start(engine: Engine) -> None:
    run = add(engine)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(gone.pid).create_time()
    gone.wait()
    claim(engine, run, pid=gone.pid, started=started)
    (failed,) = service.fail_dead_runs(engine, now=NOW)
    assert failed.id == run.id
    error = str(rows(engine, run_table, id=run.id)[0]["error"])
    assert "ended without a word" in error
    assert "start the run again" in error
    assert claim(engine, add(engine), pid=1) is not None


def test_pid_that_was_reused_does_not_keep_a_run_alive(engine: Engine) -> None:
    me = psutil.Process()
    run = add(engine)
    claim(engine, run, pid=me.pid, started=me.create_time() - 1_000)
    assert [found.id for found in service.fail_dead_runs(engine, now=NOW)] == [run.id]


def test_zombie_is_dead(engine: Engine) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(child.pid).create_time()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    run = add(engine)
    claim(engine, run, pid=child.pid, started=started)
    assert [found.id for found in service.fail_dead_runs(engine, now=NOW)] == [run.id]
    child.wait()


def test_living_process_that_has_been_silent_for_two_minutes_is_given_up(engine: Engine) -> None:
    me = psutil.Process()
    run = add(engine)
    claim(engine, run, pid=me.pid, started=me.create_time())
    assert service.fail_dead_runs(engine, now=NOW + timedelta(seconds=119)) == []
    assert len(service.fail_dead_runs(engine, now=NOW + timedelta(seconds=121))) == 1


def test_late_word_of_a_process_thought_dead_changes_nothing(engine: Engine) -> None:
    run = add(engine)
    claim(engine, run, pid=1)
    service.fail_dead_runs(engine, now=NOW, is_alive=lambda found: False)
    with write(engine) as conn:
        assert not runs.finish_run(conn, run.id, status=RunStatus.succeeded, now=NOW, result={"version": "v9"})
        assert runs.beat(conn, run.id, now=NOW)
    assert status(engine, run) is RunStatus.failed


def test_import_that_died_after_publishing_has_succeeded_and_the_queue_catches_up(
    engine: Engine, settings: Settings
) -> None:
    run = add(engine, RunKind.importing)
    claim(engine, run, pid=1)
    with write(engine) as conn:
        runs.mark_published(conn, run.id, result={"rows": 5}, now=utc_now())
    service.fail_dead_runs(engine, now=NOW, is_alive=lambda found: False)
    with read(engine) as conn:
        found = runs.require_run(conn, run.id)
    assert (found.status, found.result) == (RunStatus.succeeded, {"rows": 5})
    supervisor = Supervisor(engine, settings, launch=lambda settings, run_id: pytest.fail("nothing to launch"))
    supervisor.step(now=utc_now())
    supervisor.step(now=utc_now())
    assert len(rows(engine, queue_round)) == 1


# --- the supervisor -------------------------------------------------------------------------------------------------


class Launched(list[int]):
    """Remembers what was started, as processes that end at once with the given code."""

    def __init__(self, code: int = 0) -> None:
        super().__init__()
        self.code = code
        self.children: list[subprocess.Popen[bytes]] = []

    def __call__(self, settings: Settings, run_id: int) -> subprocess.Popen[bytes]:
        self.append(run_id)
        self.children.append(subprocess.Popen([sys.executable, "-c", f"raise SystemExit({self.code})"]))
        return self.children[-1]


def test_supervisor_starts_the_oldest_queued_run_of_each_kind_once(engine: Engine, settings: Settings) -> None:
    first, _, scoring = add(engine), add(engine), add(engine, RunKind.scoring)
    launched = Launched()
    supervisor = Supervisor(engine, settings, launch=launched)
    supervisor.step(now=NOW)
    claim(engine, first, pid=psutil.Process().pid, started=psutil.Process().create_time())
    claim(engine, scoring, pid=psutil.Process().pid, started=psutil.Process().create_time())
    supervisor.step(now=NOW)
    assert launched == [first.id, scoring.id]


def test_worker_that_cannot_start_fails_its_run_instead_of_being_started_for_ever(
    engine: Engine, settings: Settings
) -> None:
    run = add(engine)
    launched = Launched(code=3)
    supervisor = Supervisor(engine, settings, launch=launched)
    supervisor.step(now=NOW)
    launched.children[0].wait()
    supervisor.step(now=NOW)
    supervisor.step(now=NOW)
    assert launched == [run.id]
    assert "could not start (exit code 3)" in str(rows(engine, run_table)[0]["error"])


def test_worker_survives_the_server_and_executes_its_run(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("pid\tcontext\n1\thello there\n")
    run = importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(path), "x.tsv"), now=NOW)
    Supervisor(engine, settings).step(now=utc_now())  # and nobody looks after it from here on
    deadline = time.monotonic() + 60
    while status(engine, run) in (RunStatus.queued, RunStatus.running) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status(engine, run) is RunStatus.succeeded
    assert rows(engine, run_table)[0]["result"]["posts_added"] == 1  # type: ignore[index]


def test_waiting_run_whose_turn_was_taken_stays_in_line(engine: Engine, settings: Settings) -> None:
    waiting, taken = add(engine), add(engine)
    claim(engine, taken, pid=psutil.Process().pid, started=psutil.Process().create_time())
    environ = os.environ | {"TIEBREAK_HOME": str(settings.home)}
    command = [sys.executable, "-m", "core.worker", str(waiting.id)]
    done = subprocess.run(command, env=environ, cwd=PROJECT_DIR, capture_output=True, check=False)
    assert done.returncode == 0
    assert status(engine, waiting) is RunStatus.queued


def test_import_that_is_stopped_after_publishing_has_succeeded(
    engine: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("pid\tcontext\n1\thello there\n")
    run = importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(path), "x.tsv"), now=NOW)

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.queueing, "renew_queue", stop)
    ended = worker.execute(settings, engine, run.id)
    assert (ended.status, ended.result["posts_added"]) == (RunStatus.succeeded, 1)


def test_heartbeat_that_could_not_be_written_once_goes_on(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run = add(engine)
    claim(engine, run, pid=1)
    monkeypatch.setattr(context, "HEARTBEAT_EVERY_S", 0.02)
    beats: list[int] = []
    beat = runs.beat

    def fail_once(conn: Connection, run_id: int, *, now: datetime) -> bool:
        beats.append(run_id)
        if len(beats) == 1:
            raise DatabaseBusy("UPDATE run", {}, Exception("database is locked"))
        return beat(conn, run_id, now=now)

    monkeypatch.setattr(context.runs, "beat", fail_once)
    with context.Pulse(engine, run.id):
        time.sleep(0.5)
    assert len(beats) > 2


def test_scoring_that_has_begun_does_not_stand_for_what_came_since(engine: Engine) -> None:
    with write(engine) as conn:
        version = models.add_version(
            conn, name="v1", run_id=None, base="b", folder="v1", manifest={}, metrics={}, now=NOW
        )
        first = scoring.put_in_line(conn, version, created_by="x", now=NOW)
        assert scoring.put_in_line(conn, version, created_by="x", now=NOW).id == first.id
        runs.claim_run(conn, first.id, pid=1, process_started=1.0, now=NOW)
        assert scoring.put_in_line(conn, version, created_by="x", now=NOW).id != first.id


def test_what_a_killed_import_left_is_swept_once_it_is_known_to_be_dead(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("pid\ttext\n1\tgood\n")
    supervisor = Supervisor(engine, settings, launch=lambda settings, run_id: pytest.fail("nothing to start"))
    supervisor.step(now=NOW)
    queued = importing.queue_import(engine, OPERATOR, importing.ImportRequest(str(path), path.name), now=NOW)
    claim(engine, queued, pid=2**22 + 1)
    with write(engine) as conn:
        left = texts.add_texts(conn, [DraftText("h", "h", "good", Side.train)], {"h": Mark(1, None)})
        posts.add_posts(conn, queued.id, [posts.NewPost("1", None, left["h"], "good", None, None, None, {})])
    supervisor.step(now=NOW + timedelta(seconds=1))
    assert status(engine, queued) is RunStatus.failed
    assert [rows(engine, table) for table in (post, distinct_text)] == [[], []]
