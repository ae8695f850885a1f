"""Commands as a person starts them, watched from outside: seconds, stages of their run, memory."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from core.settings import PROJECT_DIR, Settings
from tests.benchmarks.aside import recorded_peak_mib
from tests.benchmarks.figures import BenchmarkFailed

LOOK_EVERY_S = 0.05
CHILDREN_EVERY_S = 0.2  # finding them costs a look at every process of the machine
BEFORE, AFTER = "starting", "ending"  # of the process, outside the run


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, on the monotonic clock, that a run spent in one stage. A stage may have several."""

    stage: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A command that came to its end. spans: without gaps, stages by the names that the run gave them.

    peak_mib: of the process with its children, pages that they share counted in each of them.
    """

    counts: dict[str, Any]
    spans: Sequence[Span]
    peak_mib: float

    @property
    def begun(self) -> float:
        return self.spans[0].begun

    @property
    def ended(self) -> float:
        return self.spans[-1].ended

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def stages(self) -> dict[str, float]:
        """Seconds by stage, in the order in which they began."""
        seconds: dict[str, float] = {}
        for span in self.spans:
            seconds[span.stage] = seconds.get(span.stage, 0.0) + span.ended - span.begun
        return seconds


def import_by_command(settings: Settings, export: Path) -> Watched:
    """Import into the home of the settings; raises BenchmarkFailed when the command does."""
    return watch_command(settings, "import", str(export))


def watch_command(settings: Settings, *arguments: str) -> Watched:
    """Run a command that executes a run, in the home of the settings; raises BenchmarkFailed when it fails."""
    # Output goes to a file: a pipe that nobody empties would stop the command.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        clock, begun = _Clock(settings.database_path), time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "ui.cli", *arguments, "--json"],
            cwd=PROJECT_DIR,
            env=os.environ | {"TIEBREAK_HOME": str(settings.home), "TIEBREAK_DATABASE_URL": settings.database_url},
            stdout=out,
            stderr=log,
        )
        try:
            spans, peak_mib = _watch(process, clock, begun=begun)
        finally:
            process.kill()  # only an interrupted benchmark leaves one running
            process.wait()
        out.seek(0)
        log.seek(0)
        if process.returncode != 0:
            said = f"`tiebreak {arguments[0]}` ended with exit code {process.returncode}"
            raise BenchmarkFailed(f"{said}: {log.read()[-2_000:]}")
        return Watched(json.loads(out.read()), spans, peak_mib)


def _watch(process: subprocess.Popen[bytes], clock: _Clock, *, begun: float) -> tuple[list[Span], float]:
    """Look at the process until it has ended; returns its stages and its peak memory."""
    spans: list[Span] = []
    memory, stage = _Memory(process.pid), BEFORE
    while process.poll() is None:
        memory.look()
        found = clock.stage()
        if found != stage:
            spans.append(Span(stage, begun, time.monotonic()))
            stage, begun = found, spans[-1].ended
        time.sleep(LOOK_EVERY_S)
    return [*spans, Span(stage, begun, time.monotonic())], memory.peak_mib


@dataclass(slots=True)
class _Memory:
    """The most that the processes of a command held at one time, of those times that were looked at.

    For one process the system's own record counts as well: it misses nothing between two looks.
    """

    pid: int
    peak_mib: float = 0.0
    _family: list[psutil.Process] = field(default_factory=list)
    _found_at: float = 0.0

    def look(self) -> None:
        try:
            if time.monotonic() - self._found_at > CHILDREN_EVERY_S:
                parent = psutil.Process(self.pid)
                self._family = [parent, *parent.children(recursive=True)]
                self._found_at = time.monotonic()
        except psutil.NoSuchProcess:
            return
        held = sum(_resident_mib(process) for process in self._family)
        self.peak_mib = max(self.peak_mib, held, *(recorded_peak_mib(each.pid) or 0.0 for each in self._family))


def _resident_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:  # a child that has ended since it was found
        return 0.0


class _Clock:
    """Tells the stage of what a command runs, from the database that it makes and writes."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._last = BEFORE
        self._earlier = 0  # runs that were there before the command
        self._earlier, _, _ = self._newest() or (0, "", None)

    def stage(self) -> str:
        if found := self._newest():
            _, stage, finished_at = found
            self._last = AFTER if finished_at else stage or BEFORE
        return self._last

    def _newest(self) -> tuple[int, str, str | None] | None:
        query = "SELECT id, stage, finished_at FROM run WHERE id > ? ORDER BY id DESC LIMIT 1"
        try:
            with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=0)) as conn:
                return conn.execute(query, [self._earlier]).fetchone()
        except sqlite3.OperationalError:  # not there yet, without tables yet, or locked for this moment
            return None
