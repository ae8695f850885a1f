"""Processes that work together: they answer, they are heard, and none of them outlives the others' end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from core.errors import BadInput, TiebreakError
from core.learning.seats import Crew, Seat
from core.settings import PROJECT_DIR

pytestmark = pytest.mark.slow


def square(seat: Seat, power: int) -> int:
    """Answers what it is sent until it is sent None."""
    while (number := seat.receive()) is not None:
        seat.say((seat.device, number**power))
    return seat.rank


def refuse(seat: Seat) -> None:
    if seat.rank == 1:
        raise BadInput("line 3 is wrong")
    seat.receive()


def stumble(seat: Seat) -> None:
    if seat.rank == 1:
        raise KeyError("nothing here")
    seat.receive()


def die_first(seat: Seat) -> None:
    """The second one is killed; the first fails because of it, and may say so before anybody has noticed the other."""
    seat.say("here")
    seat.receive()
    if seat.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    raise ConnectionError("connection closed by peer")


def sleep(seat: Seat) -> None:
    seat.say(os.getpid())
    time.sleep(600)


def hear_all(crew: Crew) -> list[tuple[int, Any]]:
    heard: list[tuple[int, Any]] = []
    deadline = time.monotonic() + 60
    while not crew.is_done:
        assert time.monotonic() < deadline
        heard += crew.hear(timeout_s=1)
    return heard


def send_on(crew: Crew) -> None:
    """Once both have said something."""
    here = 0
    while here < 2:
        here += len(crew.hear(timeout_s=1))
    for rank in range(2):
        crew.send(rank, "go on")
    hear_all(crew)


def test_each_gets_what_it_is_sent_and_all_that_they_say_is_heard_in_order() -> None:
    with Crew(square, ["cpu", "other"], 2) as crew:
        for number in range(6):
            crew.send(number % 2, number)
        for rank in range(2):
            crew.send(rank, None)
        heard = hear_all(crew)
    assert [said for rank, said in heard if rank == 0] == [("cpu", 0), ("cpu", 4), ("cpu", 16)]
    assert [said for rank, said in heard if rank == 1] == [("other", 1), ("other", 9), ("other", 25)]
    assert crew.results == [0, 1]


def test_what_a_person_can_mend_arrives_as_it_was_raised() -> None:
    with pytest.raises(BadInput, match="line 3 is wrong"), Crew(refuse, ["cpu", "cpu"]) as crew:
        hear_all(crew)


def test_other_failures_arrive_with_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="process 2 of 2") as caught, Crew(stumble, ["cpu", "cpu"]) as crew:
        hear_all(crew)
    assert "in stumble" in str(caught.value)


def test_process_that_died_is_named_and_not_the_one_that_failed_because_of_it() -> None:
    with pytest.raises(TiebreakError, match=r"Process 2 of 2 .* \(exit code -9\)"), Crew(die_first, ["a", "b"]) as crew:
        send_on(crew)


def test_leaving_the_block_ends_all_of_them() -> None:
    with Crew(sleep, ["cpu", "cpu"]) as crew:
        pids: list[int] = []
        while len(pids) < 2:
            pids += [pid for _rank, pid in crew.hear(timeout_s=1)]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_processes_whose_parent_was_killed_leave_too() -> None:
    script = (
        "import sys; from core.learning.seats import Crew; from tests.core.learning.test_seats import sleep\n"
        "if __name__ == '__main__':\n"
        "    with Crew(sleep, ['cpu', 'cpu']) as crew:\n"
        "        while True:\n"
        "            for _rank, pid in crew.hear(timeout_s=1): print(pid, flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    children = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert (len(gone), alive) == (2, [])
