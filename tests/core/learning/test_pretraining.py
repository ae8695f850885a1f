"""Pretraining from plain text: resumable at any step, saved in Hub layout, and a base that can be trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.encoders import read_encoder
from core.errors import BadInput, Cancelled
from core.texts import read_texts
from tests.conftest import CHARACTERS

pytestmark = pytest.mark.training

TEXTS = ["".join(CHARACTERS[(n + k * (n % 5 + 1)) % len(CHARACTERS)] for k in range(12)) for n in range(400)]


@pytest.fixture(scope="module")
def pretraining():
    from core.learning import pretraining

    return pretraining


@pytest.fixture(scope="module")
def small(pretraining):
    return pretraining.PretrainingConfig(
        layers=1,
        hidden=32,
        heads=2,
        vocabulary_size=300,
        max_tokens=32,
        train_tokens=32,
        epochs=6,
        batch_size=32,
        dropout=0.0,
    )


def test_longer_training_guesses_better_and_the_encoder_is_saved_in_hub_layout(
    pretraining,
    small,
    tmp_path: Path,
) -> None:
    short = pretraining.pretrain(TEXTS, tmp_path / "short", config=replace(small, epochs=1))
    result = pretraining.pretrain(TEXTS, tmp_path / "out", config=replace(small, epochs=20))
    assert 0 < result.held_out_loss < short.held_out_loss
    encoder = read_encoder(tmp_path / "out", name="x", origin="test")
    assert encoder is not None
    assert (encoder.layers, encoder.hidden) == (1, 32)
    figures = json.loads((tmp_path / "out" / "pretraining.json").read_text())
    assert figures["held_out_loss"] == result.held_out_loss
    assert not (tmp_path / "out" / "checkpoint").exists()
    assert str(tmp_path) not in "".join(p.read_text() for p in (tmp_path / "out").glob("*.json"))


def test_interrupted_pretraining_goes_on_to_the_same_end(pretraining, small, tmp_path: Path) -> None:
    whole = pretraining.pretrain(TEXTS, tmp_path / "whole", config=small)
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 17

    with pytest.raises(Cancelled, match="step 17 of"):
        pretraining.pretrain(TEXTS, tmp_path / "parts", config=small, is_cancelled=stop)
    resumed = pretraining.pretrain(TEXTS, tmp_path / "parts", config=small, resume=True)
    assert resumed.steps == whole.steps
    assert whole.held_out_loss > 0
    assert resumed.held_out_loss == pytest.approx(whole.held_out_loss, rel=1e-3)


def test_nothing_to_resume_is_said(pretraining, small, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="without --resume"):
        pretraining.pretrain(TEXTS, tmp_path, config=small, resume=True)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.txt", "one\n\ntwo\n"),
        ("a.csv", "id,Text\n1,one\n2,two\n"),
        ("a.jsonl", '{"text": "one"}\n{"text": "two"}\n'),
    ],
)
def test_texts_are_read_from_lines_columns_and_fields(tmp_path: Path, name: str, body: str) -> None:
    (tmp_path / name).write_text(body)
    assert read_texts([tmp_path / name]) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("a.csv", b"id,body\n1,x\n", "line 1: there is no column 'text'"),
        ("a.csv", b"id,text\n1\n", "line 2: 1 fields"),
        ("a.jsonl", b'{"text": "x"}\n{}\n', "line 2"),
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.txt", b"\n \n", "hold no text"),
    ],
)
def test_bad_text_file_is_named_with_its_line(tmp_path: Path, name: str, body: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(BadInput, match=says):
        read_texts([tmp_path / name])
