"""What every command shares: the installation it works on, output for people and as JSON, progress, runs here."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Actor, Role, Run, RunKind, RunStatus
from core.errors import BadInput
from core.settings import Settings, read_settings
from db.engine import migrate, open_engine

In8Bit = Annotated[
    bool, typer.Option("--load-in-8bit", help="The base encoder in 8 bits, to save memory (needs tiebreak[quant]).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout; messages go to stderr.")]


@dataclass(frozen=True, slots=True)
class Installation:
    """What every command works on."""

    settings: Settings
    engine: Engine
    actor: Actor


def open_installation() -> Installation:
    """Read the settings, create or migrate the database, and mark runs whose process died."""
    from core.services.runs import fail_dead_runs

    settings = read_settings(os.environ)
    engine = open_engine(settings.database_url)
    saved = migrate(engine, backups_dir=settings.backups_dir)
    if saved is not None:
        say(f"The database was migrated; the state before it is kept in {saved}.")
    fail_dead_runs(engine, now=utc_now())
    return Installation(settings, engine, operator())


def operator() -> Actor:
    """Whoever runs the machine: a lead's rights."""
    return Actor(None, f"cli:{getpass.getuser()}", Role.lead)


# --- output ---------------------------------------------------------------------------------------------------------


def say(message: str) -> None:
    """A message for people: stderr, so that stdout carries results only."""
    typer.echo(message, err=True)


def show(value: object, *, as_json: bool, text: Callable[[], Iterable[str]]) -> None:
    """Print the result: one JSON value, or lines for people."""
    if as_json:
        typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))
        return
    for line in text():
        typer.echo(line)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (Path, Enum)):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def fail(message: str, *, code: int = 1) -> NoReturn:
    say(f"tiebreak: {message}")
    raise SystemExit(code)


@contextmanager
def wrong_use() -> Iterator[None]:
    """What is wrong with the value of an option is wrong use (exit code 2), and said before anything begins."""
    try:
        yield
    except BadInput as err:
        raise typer.BadParameter(str(err)) from err


class ProgressLine:
    """Progress on stderr: one line that is rewritten on a terminal, a line for each change of stage elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last = ""

    def show(self, stage: str, line: str, *, is_last: bool = False) -> None:
        if self._is_terminal:
            sys.stderr.write(f"\r\x1b[2K{line[:150]}" + ("\n" if is_last else ""))
            sys.stderr.flush()
        elif stage != self._last or is_last:
            say(line)
        self._last = stage


class Progress:
    """The progress of a run."""

    def __init__(self) -> None:
        self._line = ProgressLine()

    def __call__(self, run: Run) -> None:
        share = f" {run.done / run.total:4.0%}" if run.total else ""
        line = f"{run.kind} {run.id}: {run.stage or run.status}{share} {run.message}".rstrip()
        ended = f"{run.kind} {run.id}: {run.status}"
        self._line.show(run.stage, line if run.is_open else ended, is_last=not run.is_open)


def run_in_foreground(installation: Installation, run: Run) -> Run:
    """Execute a queued run here with the worker's own function; Ctrl-C cancels it."""
    from core.worker import execute

    ended = execute(installation.settings, installation.engine, run.id, listen=Progress())
    if ended.status is RunStatus.failed:
        fail(ended.error or f"Run {run.id} failed; `tiebreak runs show {run.id}` tells more.")
    if ended.status is RunStatus.cancelled:
        if run.kind is RunKind.pretraining:
            fail(f"Run {run.id} was cancelled; --resume goes on with what it has learned.")
        fail(f"Run {run.id} was cancelled; nothing was changed.")
    return ended


def run_follow_ups(installation: Installation) -> None:
    """Scoring that an import or a promotion put in line is done here too, unless a worker has taken it."""
    from core.domain import RunKind
    from core.services.runs import list_runs

    waiting = [r for r in list_runs(installation.engine, installation.actor, kind=RunKind.scoring) if r.is_open]
    for run in reversed(waiting):
        if run.status is RunStatus.queued:
            run_in_foreground(installation, run)
