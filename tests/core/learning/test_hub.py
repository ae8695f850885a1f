"""Pulling a base encoder, against a hub on this machine in the Hub's own layout."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from core.encoders import weights_file
from core.errors import BadInput, Conflict
from core.settings import PROJECT_DIR

pytestmark = pytest.mark.training

NAME, COMMIT = "org/tiny", "a" * 40


class Hub:
    """Serves one model of a folder: its listing, and its files in one revision.

    asked: (file, Range) of each request for a file. breaks_after: bytes of a file after which the line breaks, once.
    """

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.name, self.folder, self.commit, self.licence = name, folder, COMMIT, "apache-2.0"
        self.asked: list[tuple[str, str | None]] = []
        self.breaks_after: int | None = None
        self.lies = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                hub.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        file = self.folder / path.rpartition("/")[2]
        if path == f"/api/models/{self.name}":
            self.send(request, 200, json.dumps(self.listing()).encode())
        elif path.startswith(f"/{self.name}/resolve/{self.commit}/") and file.is_file():
            self.send_file(request, file)
        else:
            request.send_response(404)
            request.send_header("X-Error-Code", "RepoNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()

    def listing(self) -> dict[str, object]:
        siblings = [self.entry(path) for path in self.folder.iterdir() if path.is_file()]
        tags = [f"license:{self.licence}"] if self.licence else []
        return {"id": self.name, "sha": self.commit, "siblings": siblings, "tags": tags}

    def entry(self, path: Path) -> dict[str, object]:
        known: dict[str, object] = {"rfilename": path.name, "size": path.stat().st_size}
        if path.suffix in (".safetensors", ".bin"):
            digest = hashlib.sha256(b"other" if self.lies else path.read_bytes()).hexdigest()
            known["lfs"] = {"sha256": digest, "size": path.stat().st_size, "pointerSize": 9}
        return known

    def send_file(self, request: BaseHTTPRequestHandler, file: Path) -> None:
        whole, wanted = file.read_bytes(), request.headers["Range"]
        self.asked.append((file.name, wanted))
        begun = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        is_cut = self.breaks_after is not None and len(whole) > self.breaks_after
        self.send(request, 206 if wanted else 200, whole[begun:], cut=self.breaks_after if is_cut else None)
        if is_cut:
            self.breaks_after = None

    def send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, *, cut: int | None = None) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:cut])


@pytest.fixture
def hub(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    folder = shutil.copytree(tiny_base, tmp_path / "offered")
    (folder / "unneeded.msgpack").write_bytes(b"other weights")
    served = Hub(folder)
    monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)
    template = served.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # as earlier tests of this process may have set it
    yield served
    served.close()


def pull(base_dir: Path, name: str = NAME) -> Any:
    from core.learning.hub import look_up, pull

    return pull(look_up(name, base_dir=base_dir), base_dir=base_dir)


def ask(home: Path, endpoint: str, *args: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"TIEBREAK_HOME": str(home), "HF_HOME": str(home / "hf"), "HF_ENDPOINT": endpoint}
    environ["HF_HUB_OFFLINE"] = ""  # as earlier tests of this process may have set it
    command = [sys.executable, "-m", "ui.cli", "base", "pull", *args]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, cwd=PROJECT_DIR, env=environ, check=False
    )


def test_size_and_licence_are_shown_and_nothing_comes_without_a_yes(hub: Hub, tmp_path: Path) -> None:
    done = ask(tmp_path, hub.endpoint, NAME, given="n\n")
    assert done.returncode == 1
    size = sum(path.stat().st_size for path in hub.folder.iterdir() if path.name != "unneeded.msgpack")
    assert f"{size / 1e6:,.1f} MB, licence: apache-2.0" in done.stderr
    assert hub.asked == []
    assert not (tmp_path / "models").exists()
    done = ask(tmp_path, hub.endpoint, NAME, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == str(tmp_path / "models" / "base" / "org" / "tiny")


def test_pulled_encoder_lies_in_models_base_with_what_training_needs_and_no_more(hub: Hub, tmp_path: Path) -> None:
    encoder = pull(tmp_path)
    assert (encoder.name, encoder.path) == (NAME, tmp_path / "org" / "tiny")
    files = {path.name for path in encoder.path.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert not {"unneeded.msgpack", "revision"} & files
    assert (encoder.path / "model.safetensors").read_bytes() == (hub.folder / "model.safetensors").read_bytes()
    with pytest.raises(Conflict, match="already"):
        pull(tmp_path)


def test_download_that_broke_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_after = 20_000
    with pytest.raises(BadInput, match="cannot be reached"):
        pull(tmp_path)
    assert not (tmp_path / "org" / "tiny").exists()
    cut = next((tmp_path / "org" / "tiny.partial").glob("*.part"))
    here = cut.stat().st_size
    assert 0 < here <= 20_000
    before = {name for name, _range in hub.asked}
    hub.asked.clear()
    pull(tmp_path)
    assert hub.asked[0] == (cut.name.removesuffix(".part"), f"bytes={here}-")
    assert before & {name for name, _range in hub.asked} <= {hub.asked[0][0]}
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "org" / "tiny" / name).read_bytes() == (hub.folder / name).read_bytes()


def test_part_of_another_revision_is_not_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_after = 20_000
    with pytest.raises(BadInput):
        pull(tmp_path)
    hub.commit = "b" * 40
    hub.asked.clear()
    pull(tmp_path)
    assert {wanted for _name, wanted in hub.asked} == {None}


def test_file_that_is_not_what_was_announced_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.lies = True
    with pytest.raises(BadInput, match="not what the hub announced"):
        pull(tmp_path)
    assert not list(tmp_path.rglob("model.safetensors.part"))
    assert not (tmp_path / "org" / "tiny").exists()


def test_bin_becomes_safetensors_with_the_same_tensors(hub: Hub, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(hub.folder / "model.safetensors")
    first = next(iter(tensors))
    torch.save(tensors | {"tied": tensors[first]}, hub.folder / "pytorch_model.bin")
    (hub.folder / "model.safetensors").unlink()
    encoder = pull(tmp_path)
    assert weights_file(encoder.path) == encoder.path / "model.safetensors"
    assert not list(encoder.path.glob("*.bin"))
    found = load_file(encoder.path / "model.safetensors")
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    assert torch.equal(found["tied"], tensors[first])


def test_bin_that_would_run_code_runs_nothing(hub: Hub, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (tmp_path / "ran",))

    (hub.folder / "pytorch_model.bin").write_bytes(pickle.dumps({"bert": Evil()}))
    (hub.folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="cannot be read as weights"):
        pull(tmp_path)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "org" / "tiny").exists()


def test_model_that_is_not_bert_like_is_refused_before_its_weights_come(hub: Hub, tmp_path: Path) -> None:
    config = json.loads((hub.folder / "config.json").read_text())
    (hub.folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(BadInput, match="not a complete BERT-like encoder"):
        pull(tmp_path)
    assert [name for name, _range in hub.asked] == ["config.json"]
    assert not list(tmp_path.rglob("tiny*"))


def test_missing_licence_is_said(hub: Hub, tmp_path: Path) -> None:
    from core.learning.hub import look_up

    hub.licence = ""
    assert look_up(NAME, base_dir=tmp_path).licence is None


@pytest.mark.parametrize(("name", "says"), [("org/other", "no model 'org/other'"), ("a/b/c", "form ORG/NAME")])
def test_unknown_and_impossible_names_are_answered_in_one_line(hub: Hub, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        pull(tmp_path, name)


def test_hub_out_of_reach_says_how_to_go_on(tmp_path: Path) -> None:
    done = ask(tmp_path, "http://127.0.0.1:9", NAME)
    assert done.returncode == 1
    assert "HF_ENDPOINT" in done.stderr
    assert "Traceback" not in done.stderr
