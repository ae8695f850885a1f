"""What the execution of a run gets: where things are, progress and cancellation, and a heartbeat meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Run, RunPoint
from core.errors import Cancelled
from core.services.runs import HEARTBEAT_EVERY_S
from core.settings import Settings
from core.wording import _
from db import runs
from db.engine import DatabaseBusy, read, write

logger = logging.getLogger(__name__)

Listener = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Context:
    """What the execution of a run gets: where things are, and the way to report and to learn of a cancellation."""

    engine: Engine
    settings: Settings
    run: Run
    pulse: Pulse
    listen: Listener

    def report(self, stage: str, done: int, total: int | None, message: str) -> None:
        """Store progress; raises Cancelled when somebody asked the run to stop."""
        if self.pulse.must_stop:
            raise Cancelled(_("Run {id} was cancelled.").format(id=self.run.id))
        with write(self.engine) as conn:
            before = runs.require_run(conn, self.run.id).stage
            runs.report_progress(conn, self.run.id, stage=stage, done=done, total=total, message=message)
        if stage != before:
            logger.info("%s%s", stage, f": {message}" if message else "")
        with read(self.engine) as conn:
            self.listen(runs.require_run(conn, self.run.id))

    def is_cancelled(self) -> bool:
        return self.pulse.must_stop

    def add_point(self, point: RunPoint) -> None:
        """Add to the run's curves."""
        with write(self.engine) as conn:
            runs.add_point(conn, self.run.id, point)

    def add_facts(self, facts: dict[str, object]) -> None:
        """Store what was found out of how the run is executed, such as device and precision, beside its config."""
        with write(self.engine) as conn:
            known = runs.require_run(conn, self.run.id).config
            found = known.get("found")
            before = found if isinstance(found, dict) else {}
            runs.set_config(conn, self.run.id, known | {"found": before | facts})


class Pulse:
    """Writes the heartbeat every two seconds from a thread of its own, and notices a cancellation."""

    def __init__(self, engine: Engine, run_id: int) -> None:
        self.must_stop = False
        self._engine = engine
        self._run_id = run_id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(HEARTBEAT_EVERY_S):
            try:
                with write(self._engine) as conn:
                    self.must_stop = runs.beat(conn, self._run_id, now=utc_now()) or self.must_stop
            except DatabaseBusy:  # locked for long, or the disk is full for a moment: the next beat may get through
                logger.warning("run %s: a heartbeat was not written", self._run_id)
