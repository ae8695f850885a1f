"""The served process: light, shut to strangers, and nothing at all without our server in front."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from core.clock import utc_now
from core.domain import Role
from core.services import accounts
from core.settings import PROJECT_DIR
from tests.e2e.conftest import PASSWORD, Served, free_port

pytestmark = pytest.mark.slow
MODEL_LIBRARIES = ("torch", "transformers", "peft", "datasets", "evaluate", "accelerate")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("served"), free_port())
    server.start()
    yield server
    server.stop()


def cookie_of(served: Served, name: str) -> str:
    user = served.add_user(name, Role.moderator)
    secret, _ = accounts.sign_in(served.engine, name=user, password=PASSWORD, address="test", now=utc_now())
    return f"tiebreak_session={secret}"


def open_stream(served: Served, **headers: str) -> None:
    uri = f"ws://127.0.0.1:{served.port}/_stcore/stream"
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with connect(uri, additional_headers=given, subprotocols=[Subprotocol("streamlit")]):
        pass


def test_websocket_opens_for_a_signed_in_browser_and_for_nobody_else(served: Served) -> None:
    cookie = cookie_of(served, "mo")
    own = f"http://127.0.0.1:{served.port}"
    open_stream(served, cookie=cookie, origin=own)
    for headers in (
        {"cookie": cookie, "origin": "https://evil.example"},
        {"origin": own},
        {"cookie": "tiebreak_session=guessed", "origin": own, "x_tiebreak_user": "mo"},
    ):
        with pytest.raises(InvalidStatus) as refused:
            open_stream(served, **headers)
        assert refused.value.response.status_code == 403


def test_streamlits_own_paths_are_behind_the_gate(served: Served) -> None:
    for path in ("/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/static/x.js", "/media/x", "/label"):
        assert httpx.get(served.url + path).status_code == 401, path
    with httpx.Client(headers={"cookie": cookie_of(served, "mia")}) as inside:
        assert inside.get(served.url + "/").status_code == 200
        assert "sha256-" in inside.get(served.url + "/").headers["content-security-policy"]


def test_web_process_never_imports_the_model_libraries() -> None:
    script = (
        "import sys, streamlit, altair, pandas; from ui.server.app import make_app; make_app()\n"
        "import runpy, pathlib, importlib\n"
        "import ui.page, ui.run_view, ui.device, ui.components, ui.identity\n"
        "for view in pathlib.Path('ui/views').glob('*.py'):\n"
        "    ours = [line for line in view.read_text().splitlines() if line.startswith(('from ui', 'from core'))]\n"
        "    [importlib.import_module(line.split()[1]) for line in ours]\n"
        f"print(sorted(set({MODEL_LIBRARIES!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT_DIR, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.alone
def test_second_start_serves_within_five_seconds(tmp_path: Path) -> None:
    server = Served(tmp_path, free_port())
    server.start()
    server.stop()
    begun = time.perf_counter()
    server.start()
    seconds = time.perf_counter() - begun
    server.stop()
    assert seconds < 5


@pytest.mark.alone
def test_short_answers_are_not_held_back_until_their_head_is_confirmed(served: Served) -> None:
    """By Nagle's algorithm they would be, for 40 ms each, on a connection that has sent something before."""
    seconds = []
    with httpx.Client(base_url=served.url) as client:
        for _ in range(20):
            client.post("/api/label/sync", json={})
            begun = time.perf_counter()
            client.get("/healthz")
            seconds.append(time.perf_counter() - begun)
    assert sorted(seconds)[10] < 0.03


def test_taken_port_is_said_in_a_sentence(served: Served) -> None:
    done = served.run("serve", "--port", str(served.port), check=False)
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{served.port}" in done.stderr


def test_server_says_where_it_is_on_two_lines_and_to_commands_while_it_runs(tmp_path: Path) -> None:
    server = Served(tmp_path, free_port())
    server.start()
    link = server.run("users", "invite", "--role", "moderator").stdout
    server.stop()
    assert link.startswith(f"{server.url}/invite/")
    assert not (tmp_path / "data" / "address").exists()
    said = (tmp_path / "serve.log").read_text().splitlines()
    assert [line.partition(" ")[0] for line in said] == ["Tiebreak", "Create"], said
