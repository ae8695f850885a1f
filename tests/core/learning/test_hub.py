"""Fetching a base encoder, against a hub on this machine in the Hub's own layout."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from core.settings import PROJECT_DIR

pytestmark = pytest.mark.training

NAME, COMMIT = "org/tiny", "a" * 40


class Hub(BaseHTTPRequestHandler):
    """Serves one model: its listing, and its files with the headers that huggingface_hub looks at."""

    def __init__(self, folder: Path, *args: object) -> None:
        self.folder = folder
        super().__init__(*args)  # type: ignore[arg-type]

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        file = self.folder / path.rpartition("/")[2]
        headers = {"X-Repo-Commit": COMMIT}
        if path.startswith(f"/api/models/{NAME}/tree/"):
            body = json.dumps([self.entry(found) for found in self.files()]).encode()
        elif path.startswith(f"/api/models/{NAME}"):
            siblings = [{"rfilename": found.name} for found in self.files()]
            body = json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode()
        elif path.startswith(f"/{NAME}/resolve/") and file.is_file():
            body = file.read_bytes()
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_file()]

    def entry(self, path: Path) -> dict[str, object]:
        return {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": "0" * 40}


@pytest.fixture
def hub(tiny_base: Path) -> Iterator[str]:
    (tiny_base / "unneeded.msgpack").write_bytes(b"other weights")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, tiny_base))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    (tiny_base / "unneeded.msgpack").unlink()


def fetch(name: str, home: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"TIEBREAK_HOME": str(home), "HF_HOME": str(home / "hf"), "HF_ENDPOINT": endpoint}
    command = [sys.executable, "-m", "ui.cli", "models", "fetch", name, "--json"]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_DIR, env=environ, check=False)


def test_fetched_encoder_lies_in_models_base_with_what_training_needs_and_no_more(
    hub: str, tiny_base: Path, tmp_path: Path
) -> None:
    done = fetch(NAME, tmp_path, hub)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "models" / "base" / "org" / "tiny"
    assert json.loads(done.stdout)["path"] == str(folder)
    files = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert "unneeded.msgpack" not in files
    assert (folder / "model.safetensors").read_bytes() == (tiny_base / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("name", "says"), [("org/other", "no model 'org/other'"), ("a/b/c", "form ORG/NAME")])
def test_unknown_and_impossible_names_are_answered_in_one_line(hub: str, tmp_path: Path, name: str, says: str) -> None:
    done = fetch(name, tmp_path, hub)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "models").rglob("config.json"))


def test_hub_out_of_reach_says_how_to_go_on(tmp_path: Path) -> None:
    done = fetch(NAME, tmp_path, "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "HF_ENDPOINT" in done.stderr
    assert "Traceback" not in done.stderr
