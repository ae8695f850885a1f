"""The team of the benchmark, in small: it goes on where connections are cut, and fails where a decision is wrong."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from core.settings import PROJECT_DIR
from db.tables import decision, source
from tests.benchmarks import team
from tests.benchmarks.figures import BenchmarkFailed
from tests.e2e.conftest import Served, free_port

pytestmark = pytest.mark.slow

CUT_EACH = 5  # answers


class Cutting(BaseHTTPRequestHandler):
    """Passes requests on over connections that are kept; each fifth answer is lost with its connection."""

    protocol_version = "HTTP/1.1"
    port = 0
    cut = 0
    answers = count(1)

    def do_GET(self) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.port)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if next(self.answers) % CUT_EACH == 0:
            type(self).cut += 1
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def forum(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path, free_port())
    server.run("import", str(PROJECT_DIR / "data" / "samples" / "forum.tsv"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cut_port(forum: Served) -> Iterator[int]:
    """Where the forum is reached over connections that are cut."""
    handler = type("CuttingForum", (Cutting,), {"port": forum.port, "answers": count(1)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
        assert handler.cut > 5  # type: ignore[attr-defined]


def test_team_decides_on_where_connections_are_cut_and_fails_for_a_decision_that_is_not_there_as_it_was_made(
    forum: Served, cut_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "DECISION_S", 0.1)
    monkeypatch.setattr(team, "ARRIVING_S", 0.1)
    people = [replace(team.signed_in(forum, name), port=cut_port) for name in ("mo", "mimi")]
    made = team.work_together(people, seconds=3.0)
    assert len(made) > 10
    team.require_saved(forum, made)

    with pytest.raises(BenchmarkFailed, match="or they differ"):
        team.require_saved(forum, [*made, replace(made[0], press_id="never-arrived")])
    with forum.engine.begin() as conn:  # under another name
        other = conn.execute(select(source.c.id).where(source.c.name != made[0].name, source.c.kind == "person"))
        is_first = decision.c.press_id == made[0].press_id
        conn.execute(update(decision).where(is_first).values(source_id=other.scalars().first()))
        assert conn.execute(select(func.count()).where(is_first)).scalar() == 1
    with pytest.raises(BenchmarkFailed, match="or they differ"):
        team.require_saved(forum, made)


def test_server_that_answers_nobody_fails_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "ARRIVING_S", 0.0)
    people = [team.Moderator("mo", free_port(), "", "")]
    with pytest.raises(BenchmarkFailed, match="1 of 1 moderators could not go on: ConnectionRefusedError"):
        team.work_together(people, seconds=1.0)
