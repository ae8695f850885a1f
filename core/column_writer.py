"""Writes the pool's columns in a process of its own: `python -m core.column_writer [VERSION]`.

It tells how far it is by lines of JSON, [stage, done, total]. Millions of rows go through it, which would make the web
process answer late.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Thread

from core.services import columns
from core.settings import PROJECT_DIR, Settings, read_settings
from db.engine import open_engine

NICENESS = 10  # moderators come first


@dataclass(slots=True)
class Writing:
    """One process, and what it said last. error: the last lines of one that failed."""

    process: subprocess.Popen[str]
    stage: str = ""
    share: float = 0.0
    error: str = ""
    _reader: Thread | None = None

    @classmethod
    def start(cls, settings: Settings, version: str | None) -> Writing:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.column_writer", *([version] if version else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TIEBREAK_HOME": str(settings.home), "TIEBREAK_DATABASE_URL": settings.database_url},
            cwd=PROJECT_DIR,
            text=True,
        )
        made = cls(process)
        made._reader = Thread(target=made._read, name="column writer", daemon=True)
        made._reader.start()
        return made

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self.stage, done, total = json.loads(line)
                self.share = done / total
            except ValueError:
                self.error = (self.error + line)[-2_000:]
        self.process.wait()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; returns whether it has ended."""
        assert self._reader is not None
        self._reader.join(seconds)
        return not self._reader.is_alive()


@dataclass(slots=True)
class Writings:
    """Those of one served process: of what several people wait for, there is one."""

    _under_way: dict[str | None, Writing] = field(default_factory=dict)
    _turn: Lock = field(default_factory=Lock)

    def join(self, settings: Settings, version: str | None) -> Writing:
        """The one under way for the version, or a new one."""
        with self._turn:
            found = self._under_way.get(version)
            if found is None or found.wait(0):
                found = self._under_way[version] = Writing.start(settings, version)
            return found


def main() -> None:
    settings = read_settings(os.environ)
    with suppress(OSError):
        os.nice(NICENESS)
    engine = open_engine(settings.database_url)
    version = sys.argv[1] if len(sys.argv) > 1 else None
    columns.make(engine, settings, version=version, report=_tell)
    engine.dispose()


def _tell(stage: str, done: int, total: int) -> None:
    sys.stdout.write(json.dumps([stage, done, total]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
