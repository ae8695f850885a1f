"""Whatever is pulled out: what was called saved is in the database, once, and what was not can be sent again."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from core.clock import utc_now
from core.domain import Role
from core.services import accounts
from core.settings import PROJECT_DIR
from db.tables import decision
from tests.conftest import rows
from tests.e2e.conftest import PASSWORD, Served, free_port, wait_until
from ui.server.cookies import COOKIE

pytestmark = pytest.mark.slow
Card = dict[str, Any]


@pytest.fixture
def forum(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path, free_port())
    server.run("import", str(PROJECT_DIR / "data" / "samples" / "forum.tsv"))
    server.start()
    yield server
    server.stop()


class Page:
    """What the label page does with the server, press by press."""

    def __init__(self, server: Served, name: str) -> None:
        self.server, self.name = server, name
        server.add_user(name, Role.moderator)
        self.enter()
        self.cards: list[Card] = []

    def enter(self) -> None:
        engine, now = self.server.engine, utc_now()
        self.secret, _ = accounts.sign_in(engine, name=self.name, password=PASSWORD, address="test", now=now)
        session = accounts.session_of(engine, self.secret, now=now)
        assert session is not None
        self.csrf = session.csrf

    def press(self) -> dict[str, Any]:
        """The first card, decided; not sent yet."""
        card = self.cards.pop(0)
        return {
            "press_id": str(uuid.uuid4()), "kind": "decide", "lease_id": card["lease_id"],
            "post_id": card["post_id"], "text_id": card["text_id"], "label": "violation",
        }  # fmt: skip

    def body(self, *presses: dict[str, Any], want: int = 5) -> dict[str, Any]:
        holding = [card["lease_id"] for card in self.cards]
        today = utc_now().isoformat()
        return {"presses": presses, "holding": holding, "want": want, "today": today, "leaving": False}

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": f"{COOKIE}={self.secret}", "X-Csrf-Token": self.csrf, "Content-Type": "application/json"}

    def sync(self, *presses: dict[str, Any], timeout: float = 30) -> dict[str, Any]:
        url = f"{self.server.url}/api/label/sync"
        response = httpx.post(url, json=self.body(*presses), headers=self.headers, timeout=timeout)
        answer: dict[str, Any] = response.raise_for_status().json()
        self.cards += answer["cards"]
        return answer

    def send_without_listening(self, *presses: dict[str, Any]) -> socket.socket:
        """The request is on its way; nobody reads the answer."""
        body = json.dumps(self.body(*presses)).encode()
        headers = self.headers | {"Host": f"127.0.0.1:{self.server.port}", "Content-Length": str(len(body))}
        lines = ["POST /api/label/sync HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        connection = socket.create_connection(("127.0.0.1", self.server.port))
        connection.sendall("\r\n".join(lines).encode() + body)
        return connection


def kill(server: Served) -> None:
    assert server.process is not None
    server.process.kill()
    server.process.wait(timeout=30)
    server.process = None


def saved(server: Served) -> list[str | None]:
    return [made["press_id"] for made in rows(server.engine, decision) if made["press_id"]]


def test_press_is_saved_once_wherever_the_server_is_killed(forum: Served) -> None:
    page = Page(forum, "mo")
    page.sync()
    # Between the press and its answer, before anything is written: the request lies there, nobody reads it.
    first = page.press()
    assert forum.process is not None
    forum.process.send_signal(signal.SIGSTOP)
    with page.send_without_listening(first):
        kill(forum)
    assert saved(forum) == []
    with pytest.raises(httpx.ConnectError):
        page.sync(first)
    forum.start()
    assert page.sync(first)["acked"] == [first["press_id"]]
    # After the commit, before the answer is read.
    second = page.press()
    with page.send_without_listening(second):
        wait_until(lambda: second["press_id"] in saved(forum), seconds=20, step=0.01)
        kill(forum)
    forum.start()
    # The page goes on with what it held: presses made meanwhile are sent with the one whose answer was lost.
    third = page.press()
    answer = page.sync(second, third)
    assert answer["acked"] == [second["press_id"], third["press_id"]]
    assert answer["lost"] == []
    assert saved(forum) == [press["press_id"] for press in (first, second, third)]
    with closing(sqlite3.connect(forum.home / "data" / "tiebreak.db")) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_press_of_an_ended_session_is_refused_and_taken_after_signing_in_again(forum: Served) -> None:
    page = Page(forum, "mo")
    page.sync()
    accounts.sign_out(forum.engine, page.secret, now=utc_now())
    press = page.press()
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        page.sync(press)
    assert saved(forum) == []
    page.enter()
    assert page.sync(press)["acked"] == [press["press_id"]]


def test_press_of_a_disabled_user_is_not_saved_and_the_cards_go_to_others(forum: Served) -> None:
    page, other = Page(forum, "mo"), Page(forum, "mimi")
    page.sync()
    held, press = {card["post_id"] for card in page.cards}, page.press()
    forum.run("users", "disable", "mo")
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        page.sync(press)
    other.sync()
    assert saved(forum) == []
    assert {card["post_id"] for card in other.cards} == held


def test_pages_that_ask_again_and_again_while_the_database_is_locked_keep_nobody_else_waiting(forum: Served) -> None:
    page = Page(forum, "mo")
    page.sync()
    press = page.press()
    assert forum.process is not None
    process = psutil.Process(forum.process.pid)
    with closing(sqlite3.connect(forum.home / "data" / "tiebreak.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = process.num_threads()
        for _ in range(60):  # more than there are threads; each gives up before it is answered
            with pytest.raises(httpx.TimeoutException):
                page.sync(press, timeout=0.05)
        assert process.num_threads() <= before + 3
        reading = httpx.get(f"{forum.url}/api/label/family?post_id={press['post_id']}", headers=page.headers, timeout=5)
        assert reading.status_code == 200
        assert saved(forum) == []
        other.execute("ROLLBACK")
    assert page.sync(press)["acked"] == [press["press_id"]]
    assert saved(forum) == [press["press_id"]]
    with closing(sqlite3.connect(forum.home / "data" / "tiebreak.db")) as conn:  # nobody's page claimed cards unseen
        (leases,) = conn.execute("SELECT count(*) FROM lease WHERE ended_at IS NULL").fetchone()
    assert leases <= 2 * 5
