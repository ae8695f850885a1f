"""One piece of work by several processes, one on each device: each has a seat and talks to the process that started it.

They are started anew (spawned), never forked: CUDA outlives no fork. Whoever starts them takes part in nothing that
they do together, so it never hangs when one of them dies; it ends the others and says so.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from core.errors import TiebreakError
from core.wording import _

GRACE_S = 2.0  # in which a process that died without a word is told from those that fail because of it


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one of them works. device: as torch names it. meeting: file by which the seats find one another.

    say: gives something to whoever started them, receive: waits for what they were sent (see Crew.send).
    """

    rank: int
    count: int
    device: str
    say: Callable[[Any], None]
    receive: Callable[[], Any]
    meeting: Path


Work = Callable[..., Any]  # (seat, *arguments) → result; all of it can be pickled


@dataclass(slots=True)
class _Member:
    process: Any
    pipe: Connection[Any, Any]
    has_ended: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    message: Any


@dataclass(frozen=True, slots=True)
class _Ended:
    result: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    """error: what people can mend; else the traceback."""

    error: TiebreakError | None
    details: str


class Crew:
    """The processes while they work: `with Crew(work, devices, …) as crew`. Leaving the block ends those still there.

    work is a function of a module, called in each process as work(seat, *arguments).
    """

    def __init__(self, work: Work, devices: Sequence[str], *arguments: Any) -> None:
        self.results: list[Any] = [None] * len(devices)  # by rank, complete when `hear` says that all have ended
        self._work, self._devices, self._arguments = work, devices, arguments
        self._members: list[_Member] = []
        self._folder = tempfile.TemporaryDirectory(prefix="tiebreak-seats-")

    def __enter__(self) -> Crew:
        spawning = multiprocessing.get_context("spawn")
        meeting = Path(self._folder.name) / "meeting"
        try:
            for rank, device in enumerate(self._devices):
                ours, theirs = spawning.Pipe()
                work = (self._work, self._arguments, rank, len(self._devices), device, meeting, theirs)
                process = spawning.Process(target=_sit_down, args=work, name=f"seat-{rank}", daemon=True)
                process.start()
                theirs.close()
                self._members.append(_Member(process, ours))
        except BaseException:
            self._end_all()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._end_all()

    @property
    def is_done(self) -> bool:
        return all(member.has_ended for member in self._members)

    def send(self, rank: int, message: Any) -> None:
        """Give a seat something; it waits for it in `receive`. Blocks while the seat has much still to take."""
        try:
            self._members[rank].pipe.send(message)
        except OSError as err:
            raise self._death(rank) from err

    def hear(self, *, timeout_s: float) -> list[tuple[int, Any]]:
        """(rank, message) of what the seats said since, in each one's order; empty when the time is over or all ended.

        Raises what a seat raised, if a person can mend it; TiebreakError when a process died, RuntimeError with its
        traceback when it failed otherwise.
        """
        working = {member.pipe: rank for rank, member in enumerate(self._members) if not member.has_ended}
        heard = []
        for pipe in wait(list(working), timeout=timeout_s):
            rank = working[pipe]  # type: ignore[index]
            said = self._read(rank)
            if isinstance(said, _Said):
                heard.append((rank, said.message))
        return heard

    def _read(self, rank: int) -> _Said | _Ended:
        member = self._members[rank]
        try:
            said = member.pipe.recv()
        except (EOFError, OSError) as err:
            raise self._death(rank) from err
        if isinstance(said, _Failed):
            raise self._reason(rank, said)
        if isinstance(said, _Ended):
            self.results[rank], member.has_ended = said.result, True
        return said  # type: ignore[no-any-return]

    def _reason(self, rank: int, said: _Failed) -> Exception:
        """A seat fails, too, because another one has died: then that one is the reason."""
        if said.error is not None:
            return said.error
        others = {m.process.sentinel: at for at, m in enumerate(self._members) if at != rank}
        for sentinel in wait(list(others), timeout=GRACE_S):
            other = others[sentinel]  # type: ignore[index]
            self._members[other].process.join(GRACE_S)  # it is gone, but its exit code may not be known yet
            if self._members[other].process.exitcode:
                return self._death(other)
        return RuntimeError(f"process {rank + 1} of {len(self._members)}: {said.details}")

    def _death(self, rank: int) -> Exception:
        member = self._members[rank]
        member.process.join(GRACE_S)
        said = _(
            "Process {number} of {count} (on {device}) ended without a word (exit code {code}): killed, or out of "
            "memory."
        )
        return TiebreakError(
            said.format(
                number=rank + 1,
                count=len(self._members),
                device=self._devices[rank],
                code=member.process.exitcode,
            )
        )

    def _end_all(self) -> None:
        for member in self._members:
            if not member.has_ended:
                member.process.terminate()
        for member in self._members:
            member.process.join(GRACE_S)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            member.pipe.close()
        self._folder.cleanup()


def _sit_down(
    work: Work,
    arguments: tuple[Any, ...],
    rank: int,
    count: int,
    device: str,
    meeting: Path,
    pipe: Connection[Any, Any],
) -> None:
    """The main function of a process that was started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal; whoever started us ends us
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # As accelerate and torch look for them.
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count)}
    seat = Seat(rank, count, device, lambda message: pipe.send(_Said(message)), pipe.recv, meeting)
    try:
        said: _Ended | _Failed = _Ended(work(seat, *arguments))
    except TiebreakError as err:
        said = _Failed(err, "")
    except Exception:  # noqa: BLE001 - the main function of a process: what went wrong goes to whoever started it
        said = _Failed(None, traceback.format_exc())
    pipe.send(said)


def _leave_with_parent() -> None:
    """A parent that was killed cannot end its children."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
