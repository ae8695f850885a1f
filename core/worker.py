"""The worker: executes one run in a process of its own, with heartbeat, progress and a readable end."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

import psutil
from sqlalchemy import Engine

from core.clock import utc_now
from core.context import Context, Listener, Pulse
from core.domain import Run, RunKind, RunStatus
from core.errors import Cancelled, Conflict, TiebreakError
from core.pretrainer import adapt_encoder
from core.scorer import score_pool
from core.services import columns, importing, queueing, scoring, searching, takeback
from core.settings import Settings, read_settings
from core.trainer import train_version
from core.wording import _
from db import runs
from db.engine import migrate, open_engine, write

logger = logging.getLogger(__name__)


def execute(settings: Settings, engine: Engine, run_id: int, *, listen: Listener = lambda run: None) -> Run:
    """Claim a queued run, execute it in this process, and return it ended (whatever the end).

    Raises Conflict when the run is not queued or another of its kind is running.
    """
    me = psutil.Process()
    with write(engine) as conn:
        found = runs.claim_run(conn, run_id, pid=me.pid, process_started=me.create_time(), now=utc_now())
    if found is None:
        raise Conflict(
            _("Run {run_id} cannot start: it is not queued, or another run of its kind is running.").format(
                run_id=run_id
            )
        )
    logger.info("%s run %s for %s begins in process %s", found.kind, run_id, found.created_by, me.pid)
    status, result, error, details = RunStatus.failed, None, None, None
    try:
        with Pulse(engine, run_id) as pulse:
            result = _task(found.kind)(Context(engine, settings, found, pulse, listen))
        status = RunStatus.succeeded
    except (Cancelled, KeyboardInterrupt):
        status = RunStatus.cancelled
    except TiebreakError as err:
        error = str(err)
    except Exception as err:
        logger.exception("run %s failed", run_id)
        said = _("Unexpected {kind}: {error}. The log of run {run_id} tells more.")
        error = said.format(kind=type(err).__name__, error=err, run_id=run_id)
        details = traceback.format_exc()
    with write(engine) as conn:
        if runs.require_run(conn, run_id).published_at is not None:  # an import is done once it is published,
            status, error = RunStatus.succeeded, None  # whatever stopped it after; the supervisor renews the queue
        runs.finish_run(conn, run_id, status=status, now=utc_now(), result=result, error=error, traceback=details)
        ended = runs.require_run(conn, run_id)
    logger.info("run %s: %s%s", run_id, ended.status, f": {ended.error}" if ended.error else "")
    listen(ended)
    if ended.kind is RunKind.scoring and status is RunStatus.succeeded:
        _write_columns(settings, engine, str(ended.config["version"]))
    return ended


def _write_columns(settings: Settings, engine: Engine, version: str) -> None:
    """So that nobody who looks at what was scored has to wait for them; whoever does where this failed."""
    try:
        columns.make(engine, settings, version=version)
    except OSError as err:
        logger.warning("the pool's columns could not be written (%s); they are when somebody looks", err)


def _task(kind: RunKind) -> Callable[[Context], dict[str, object]]:
    return {
        RunKind.importing: import_posts,
        RunKind.training: train_version,
        RunKind.scoring: score_pool,
        RunKind.pretraining: adapt_encoder,
    }[kind]


def import_posts(context: Context) -> dict[str, object]:
    """Import one file, or take one back; then renew the queue by what is there now, and have it scored."""
    importing.sweep_leftovers(context.engine)
    execute_run = takeback.run_take_back if takeback.is_take_back(context.run) else importing.run_import
    counts = execute_run(context.engine, context.run, report=context.report)
    _release_memory()
    queueing.renew_queue(context.engine, now=utc_now())
    scoring.queue_scoring_if_needed(context.engine, created_by=context.run.created_by, now=utc_now())
    with suppress(Cancelled):  # the server goes on with it
        searching.index_new_texts(context.engine, report=context.report)
    return counts


def _release_memory() -> None:
    """Give back what the stages so far have freed: glibc keeps it, and the pool's arrays need as much once more."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it speaks at every start, migration or not
    settings = read_settings(os.environ)
    engine = open_engine(settings.database_url)
    migrate(engine, backups_dir=settings.backups_dir)
    try:
        ended = execute(settings, engine, int(sys.argv[1]))
    except Conflict as err:  # taken by another process, or its turn has not come: it stays in line
        logger.info("%s", err)
        sys.exit(0)
    sys.exit(0 if ended.status is RunStatus.succeeded else 1)


if __name__ == "__main__":
    main()
