"""Drafters: processes that turn blocks of an export into drafts, while their client stores what came before.

Plain pipes rather than multiprocessing: that would load the client's own main module, with the database and the
command line, into each of them.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from typing import IO, NamedTuple

from core.blocks import Block, rows_of_block
from core.drafts import Draft, draft_posts, marks_by_hash
from core.errors import TiebreakError
from core.families import Mark
from core.settings import PROJECT_DIR
from core.tsv import ExportRow, RejectedRow

MOST_PROCESSES = 4
PROTOCOL = pickle.HIGHEST_PROTOCOL


class Drafted(NamedTuple):
    """What a block came to. rejects: (line, reason, raw line). end: the place in the file behind it.

    marks: of the drafts' texts, by hash; empty where rows were not read in blocks, and the client makes them.
    """

    rows: int
    rejects: list[tuple[int, str, str]]
    drafts: list[Draft]
    end: int
    marks: Mapping[str, Mark] = {}


def draft_block(block: Block, *, quotes: bool) -> Drafted:
    rows = list(rows_of_block(block))
    rejects = [(row.line, row.reason, row.raw) for row in rows if isinstance(row, RejectedRow)]
    drafts = draft_posts((row for row in rows if isinstance(row, ExportRow)), quotes=quotes)
    return Drafted(len(rows), rejects, drafts, block.end, marks_by_hash(draft.text for draft in drafts))


def draft_here(blocks: Iterable[Block], *, quotes: bool) -> Generator[Drafted, None, None]:
    """Draft in this process: what a small file needs."""
    return (draft_block(block, quotes=quotes) for block in blocks)


def draft_aside(blocks: Iterable[Block], *, quotes: bool) -> Generator[Drafted, None, None]:
    """Draft in as many processes as there are processors, up to four; results come in the order of the blocks.

    Raises TiebreakError when one of them ends before its time. Closing the iterator ends them all.
    """
    with _processes(min(MOST_PROCESSES, os.cpu_count() or 1), quotes=quotes) as processes:
        busy: deque[subprocess.Popen[bytes]] = deque()
        for block, process in zip(blocks, cycle(processes), strict=False):
            done = _receive(busy.popleft()) if len(busy) == len(processes) else None  # the one whose turn it is
            _send(process, block)  # before anything is done with that, for the process would have to wait
            busy.append(process)
            if done is not None:
                yield done
        while busy:
            yield _receive(busy.popleft())


@contextmanager
def _processes(count: int, *, quotes: bool) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-c", "from core.drafters import main; main()", *(["--quotes"] if quotes else [])]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT_DIR) for _ in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _send(process: subprocess.Popen[bytes], block: Block) -> None:
    try:
        pickle.dump(block, _pipe(process.stdin), PROTOCOL)
        _pipe(process.stdin).flush()
    except BrokenPipeError as err:
        raise _ended(process) from err


def _receive(process: subprocess.Popen[bytes]) -> Drafted:
    gc.disable()  # else it looks through the thousands of new tuples again and again
    try:
        drafted: Drafted = pickle.load(_pipe(process.stdout))  # from our own child
    except (EOFError, pickle.UnpicklingError) as err:
        raise _ended(process) from err
    finally:
        gc.enable()
    return drafted


def _ended(process: subprocess.Popen[bytes]) -> TiebreakError:
    return TiebreakError(
        f"A process that reads the file ended before its time (exit code {process.wait()}): killed, or out of memory. "
        "Nothing of the import is visible; run it again."
    )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe


def main() -> None:
    """Answer each block on standard input with its drafts on standard output, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the client ends us
    gc.disable()  # drafts hold no cycles
    quotes = "--quotes" in sys.argv
    while True:
        try:
            block = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(draft_block(block, quotes=quotes), sys.stdout.buffer, PROTOCOL)
        sys.stdout.buffer.flush()
