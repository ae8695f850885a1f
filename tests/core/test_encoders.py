"""Encoders on this machine, found by their files; nothing is loaded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from core.encoders import Encoder, local_encoders, read_encoder, resolve_encoder, resolve_trained_on, weights_file
from core.errors import BadInput, NotFound

BERT: dict[str, object] = {"model_type": "bert", "num_hidden_layers": 4, "hidden_size": 256, "vocab_size": 4_000}


def put(folder: Path, *, files: tuple[str, ...] = ("model.safetensors", "vocab.txt"), **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(BERT | config), encoding="utf-8")
    for file in files:
        (folder / file).write_bytes(b"x")
    return folder


def places(tmp_path: Path) -> dict[str, Path]:
    return {"models_dir": tmp_path / "models", "starter_dir": tmp_path / "starter", "hub_cache": tmp_path / "hub"}


def test_encoder_is_described_by_its_config(tmp_path: Path) -> None:
    folder = put(tmp_path / "one")
    assert read_encoder(folder, name="one", origin="here") == Encoder("one", folder, 4, 256, 4_000, "here")


def test_distilbert_calls_its_layers_and_width_otherwise_and_is_an_encoder_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    put(folder)
    config = {"model_type": "distilbert", "n_layers": 6, "dim": 768, "vocab_size": 21_128}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_encoder(folder, name="one", origin="here") == Encoder("one", folder, 6, 768, 21_128, "here")


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("tokenizer", ["tokenizer.json", "vocab.txt", "sentencepiece.bpe.model"])
def test_any_usual_weights_and_tokenizer_make_an_encoder_complete(tmp_path: Path, weights: str, tokenizer: str) -> None:
    folder = put(tmp_path / "one", files=(weights, tokenizer))
    assert read_encoder(folder, name="one", origin="here") is not None
    assert weights_file(folder) == folder / weights


def test_safe_weights_go_before_pickled_ones(tmp_path: Path) -> None:
    folder = put(tmp_path / "one", files=("pytorch_model.bin", "model.safetensors", "vocab.txt"))
    assert weights_file(folder) == folder / "model.safetensors"


@pytest.mark.parametrize("files", [(), ("model.safetensors",), ("vocab.txt",)])
def test_folder_without_weights_or_tokenizer_is_no_encoder(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert read_encoder(put(tmp_path / "one", files=files), name="one", origin="here") is None


@pytest.mark.parametrize(
    "config",
    ["", "[]", "7", "null", '"text"', "{}", '{"model_type": "bert", "num_hidden_layers": "many", "hidden_size": 1}'],
)
def test_config_that_is_something_else_is_no_encoder(tmp_path: Path, config: str) -> None:
    folder = put(tmp_path / "one")
    (folder / "config.json").write_text(config, encoding="utf-8")
    assert read_encoder(folder, name="one", origin="here") is None


def test_config_in_bytes_that_are_no_text_is_no_encoder(tmp_path: Path) -> None:
    folder = put(tmp_path / "one")
    (folder / "config.json").write_bytes(b"\xff\xfe{}")
    assert read_encoder(folder, name="one", origin="here") is None


@pytest.mark.parametrize("odd", [{"vocab_size": None}, {"vocab_size": "many"}, {"model_type": ["bert"]}])
def test_odd_config_of_one_folder_does_not_hide_the_others(tmp_path: Path, odd: dict[str, object]) -> None:
    put(tmp_path / "models" / "base" / "odd", **odd)
    put(tmp_path / "models" / "base" / "fine")
    assert "fine" in [encoder.name for encoder in local_encoders(**places(tmp_path))]


def test_folders_within_the_base_folder_are_named_by_their_way(tmp_path: Path) -> None:
    put(tmp_path / "models" / "base" / "org" / "name")
    assert [encoder.name for encoder in local_encoders(**places(tmp_path))] == ["org/name"]
    assert resolve_encoder("name", **places(tmp_path)).name == "org/name"


def test_copy_in_the_base_folder_goes_before_the_one_in_the_hub_cache(tmp_path: Path) -> None:
    put(tmp_path / "models" / "base" / "org" / "name")
    put(tmp_path / "hub" / "models--org--name" / "snapshots" / "abc")
    assert [encoder.origin for encoder in local_encoders(**places(tmp_path))] == ["models/base"]


def test_incomplete_main_revision_gives_way_to_a_complete_one(tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models--org--name"
    put(model / "snapshots" / "aaa", files=("vocab.txt",))
    put(model / "snapshots" / "bbb")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("aaa\n")
    assert [encoder.path.name for encoder in local_encoders(**places(tmp_path))] == ["bbb"]


def test_without_a_name_the_reference_is_taken_and_else_the_first_by_name(tmp_path: Path) -> None:
    put(tmp_path / "models" / "base" / "aaa")
    put(tmp_path / "models" / "base" / "bbb")
    assert resolve_encoder(None, **places(tmp_path)).name == "aaa"
    put(tmp_path / "models" / "base" / "chinese-roberta-wwm-ext")
    assert resolve_encoder(None, **places(tmp_path)).name == "chinese-roberta-wwm-ext"


def test_machine_without_any_encoder_says_where_to_put_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there are: none.*models/base"):
        resolve_encoder(None, **places(tmp_path))


def test_folder_that_is_no_encoder_is_not_taken_though_it_is_named(tmp_path: Path) -> None:
    folder = put(tmp_path / "gpt", model_type="gpt2")
    with pytest.raises(NotFound):
        resolve_encoder(str(folder), **places(tmp_path))


def test_unfinished_download_is_no_encoder_yet(tmp_path: Path) -> None:
    put(tmp_path / "models" / "base" / "org" / "name.partial")
    assert local_encoders(**places(tmp_path)) == []


def weigh(folder: Path, weights: bytes) -> str:
    (folder / "model.safetensors").write_bytes(weights)
    return hashlib.sha256(weights).hexdigest()


def test_encoder_of_a_version_is_found_by_its_weights_whatever_it_is_called_here(tmp_path: Path) -> None:
    wanted = weigh(put(tmp_path / "models" / "base" / "mine"), b"right")
    weigh(put(tmp_path / "models" / "base" / "org" / "name"), b"wrong")
    assert resolve_trained_on("org/name", wanted, **places(tmp_path)).name == "mine"
    assert resolve_trained_on("/root/somewhere/else", wanted, **places(tmp_path)).name == "mine"


def test_encoder_with_other_weights_than_the_version_learned_on_is_refused(tmp_path: Path) -> None:
    weigh(put(tmp_path / "models" / "base" / "org" / "name"), b"wrong")
    with pytest.raises(BadInput, match="put the original base encoder back"):
        resolve_trained_on("org/name", "0" * 64, **places(tmp_path))
    with pytest.raises(NotFound):
        resolve_trained_on("other", "0" * 64, **places(tmp_path))


def test_folder_that_is_named_has_its_own_name_where_it_is_one_of_those_here(tmp_path: Path) -> None:
    folder = put(tmp_path / "models" / "base" / "org" / "name")
    assert resolve_encoder(str(folder), **places(tmp_path)).name == "org/name"
    other = put(tmp_path / "elsewhere")
    assert resolve_encoder(str(other), **places(tmp_path)).name == str(other)


def test_version_trained_on_a_folder_finds_it_by_its_whole_path_and_no_relative_path_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / "elsewhere")
    wanted = weigh(folder, b"right")
    assert resolve_trained_on(str(folder), wanted, **places(tmp_path)).path == folder
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match="'elsewhere'"):
        resolve_trained_on("elsewhere", wanted, **places(tmp_path))
