"""A team at work: 1, 10, 50 and 100 moderators over real HTTP against the served app, 1.5 s a decision. How long the
server takes to answer, and whether each decision is in the database once, as it was made, under its author's name."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
from sqlalchemy import select

from core.clock import utc_now
from core.domain import LABEL_NAMES, Role
from core.services import accounts
from db.engine import read
from db.tables import decision, second_opinion, source
from tests.benchmarks.aside import call_aside
from tests.benchmarks.figures import BenchmarkFailed, Figure, percentile_ms, target
from tests.benchmarks.forum import copied_forum
from tests.benchmarks.labelling import HELD
from tests.benchmarks.workshop import Workshop
from tests.e2e.conftest import PASSWORD, Served, free_port
from ui.server.cookies import COOKIE

TEAMS = (1, 10, 50, 100)
SHIFT_S = 60.0
DECISION_S = 1.5
ARRIVING_S = 5.0
WITH_TARGET, MOST_MS = 50, {"median": 50, "95th percentile": 150}
PERCENTILES = {"median": 50, "95th percentile": 95, "99th percentile": 99}


@dataclass(frozen=True, slots=True)
class Made:
    """A decision that the server called saved. post seconds: from sending it to the whole answer; bare: of /healthz."""

    name: str
    press_id: str
    post_id: int
    label: str
    seconds: float
    bare: float


@dataclass(slots=True)
class Moderator:
    """One person's page without a browser: what it holds, and what it may send."""

    name: str
    port: int
    secret: str
    csrf: str
    cards: list[dict[str, Any]] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)

    def work(self, all_here: threading.Barrier, seconds: float) -> None:
        """Fetch cards, and once everybody has some, decide one each 1.5 seconds or so; give the others back."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        time.sleep(random.uniform(0, ARRIVING_S))
        self._sync(connection, [])
        all_here.wait()
        ends_at = time.monotonic() + seconds
        time.sleep(random.uniform(0, DECISION_S))  # nobody begins in step
        while time.monotonic() < ends_at:
            self._decide(connection)
            time.sleep(DECISION_S * random.uniform(0.5, 1.5))
        self._sync(connection, [], leaving=True)
        connection.close()

    def _decide(self, connection: http.client.HTTPConnection) -> None:
        card = self.cards.pop(0)
        press = {
            "press_id": str(uuid.uuid4()), "kind": "decide", "lease_id": card["lease_id"], "post_id": card["post_id"],
            "text_id": card["text_id"], "label": random.choice(LABEL_NAMES), "seconds": DECISION_S,
        }  # fmt: skip
        begun = time.perf_counter()
        answer = self._sync(connection, [press])
        seconds = time.perf_counter() - begun
        if answer["acked"] != [press["press_id"]]:
            raise BenchmarkFailed(f"A decision of {self.name} was not saved: {answer['refused']}")
        begun = time.perf_counter()
        ask(connection, "GET", "/healthz")
        bare = time.perf_counter() - begun
        self.made.append(Made(self.name, press["press_id"], card["post_id"], press["label"], seconds, bare))

    def _sync(
        self, connection: http.client.HTTPConnection, presses: list[dict[str, Any]], *, leaving: bool = False
    ) -> dict[str, Any]:
        holding = [card["lease_id"] for card in self.cards]
        asked = {"presses": presses, "holding": holding, "want": HELD, "today": TODAY, "leaving": leaving}
        headers = {"Cookie": f"{COOKIE}={self.secret}", "X-Csrf-Token": self.csrf, "Content-Type": "application/json"}
        status, body = ask(connection, "POST", "/api/label/sync", json.dumps(asked), headers)
        if status != 200:
            raise BenchmarkFailed(f"The server answered {self.name} with {status}: {body[:200]!r}")
        answer: dict[str, Any] = json.loads(body)
        self.cards = [card for card in self.cards if card["lease_id"] not in answer["lost"]] + answer["cards"]
        return answer


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str = "",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """(status, body); asked over a new connection once more where the server has closed the one that was kept.

    Servers close what is idle, at any moment, and browsers do the same then. It is safe whatever became of the first
    question: a press that arrives twice is one decision.
    """
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
    except ConnectionError:
        connection.close()
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
    return response.status, response.read()


TODAY = utc_now().replace(hour=0, minute=0, second=0, microsecond=0).isoformat()


def measure(workshop: Workshop) -> list[Figure]:
    server = Served(copied_forum(workshop, "team").home, free_port())
    server.start()
    try:
        return [figure for size in TEAMS for figure in _shift(server, size)]
    finally:
        server.stop()


def _shift(server: Served, size: int) -> list[Figure]:
    people = [signed_in(server, f"team of {size}, {number}") for number in range(size)]
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    before = process.cpu_times()
    # In a process of its own: what clients compute must not slow the clock that they are measured by.
    made: list[Made] = call_aside(work_together, people, SHIFT_S).value
    after = process.cpu_times()
    worked_s = after.user + after.system - before.user - before.system
    require_saved(server, made)
    name = "1 moderator" if size == 1 else f"{size} moderators"
    figures = [Figure(f"{name}: decisions", len(made), "", "none lost, double or misattributed")]
    for called, percentile in PERCENTILES.items():
        found = percentile_ms([each.seconds for each in made], percentile)
        bare = percentile_ms([each.bare for each in made], percentile)
        most = MOST_MS.get(called) if size == WITH_TARGET else None
        note = "" if most is None else target(found < most, f"under {most} ms ({called})")
        figures += [Figure(f"{name}: {called}", found, "ms", note), Figure(f"{name}: /healthz, {called}", bare, "ms")]
    return [*figures, Figure(f"{name}: server's CPU a decision", worked_s / len(made) * 1_000, "ms")]


def signed_in(server: Served, name: str) -> Moderator:
    server.add_user(name, Role.moderator)
    secret, _ = accounts.sign_in(server.engine, name=name, password=PASSWORD, address="benchmark", now=utc_now())
    session = accounts.session_of(server.engine, secret, now=utc_now())
    assert session is not None
    return Moderator(name, server.port, secret, session.csrf)


def work_together(people: Sequence[Moderator], seconds: float) -> list[Made]:
    """Let everybody decide for so long, each on a thread; what went wrong for one goes wrong for all."""
    all_here, failures = threading.Barrier(len(people), timeout=120), list[BaseException]()

    def work(person: Moderator) -> None:
        try:
            person.work(all_here, seconds)
        except (BenchmarkFailed, OSError, threading.BrokenBarrierError, http.client.HTTPException, IndexError) as err:
            failures.append(err)
            all_here.abort()

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BenchmarkFailed(f"{len(failures)} of {len(people)} moderators could not go on: {failures[0]!r}")
    return [made for person in people for made in person.made]


def require_saved(server: Served, made: Sequence[Made]) -> None:
    """Each decision is in the database once, with its post, its label and its author; only drawn posts have two."""
    columns = decision.c.press_id, source.c.name, decision.c.post_id, decision.c.label
    query = select(*columns).join(source, source.c.id == decision.c.source_id).where(decision.c.press_id.is_not(None))
    with read(server.engine) as conn:
        found = [(press, name, post, LABEL_NAMES[label]) for press, name, post, label in conn.execute(query)]
        drawn = set(conn.execute(select(second_opinion.c.post_id)).scalars())
    names = {each.name for each in made}
    kept = sorted(row for row in found if row[1] in names)
    if kept != sorted((each.press_id, each.name, each.post_id, each.label) for each in made):
        raise BenchmarkFailed(f"{len(made):,} decisions were called saved, {len(kept):,} are there, or they differ.")
    people_of = Counter(post for _, _, post, _ in found)
    twice = [post for post, count in people_of.items() if count > (2 if post in drawn else 1)]
    if twice:
        raise BenchmarkFailed(f"{len(twice):,} posts were decided by more people than were to judge them.")
