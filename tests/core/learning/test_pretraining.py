"""Pretraining from plain text: resumable at any step, saved in Hub layout, and a base that can be trained on."""

from __future__ import annotations

import json
import shutil
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


def test_adapting_lowers_the_loss_and_keeps_tokenizer_vocabulary_and_size(pretraining, small, tmp_path: Path) -> None:
    pretraining.pretrain(TEXTS, tmp_path / "base", config=replace(small, epochs=4))
    other = [text[::-1] for text in TEXTS]
    config = replace(small, base_path=tmp_path / "base", base_name="base", vocabulary_size=9, hidden=99, epochs=6)
    none = pretraining.pretrain(other, tmp_path / "none", config=replace(config, epochs=1, learning_rate=1e-9))
    result = pretraining.pretrain(other, tmp_path / "out", config=config, source="reversed")
    assert 0 < result.held_out_loss < none.held_out_loss - 0.05
    before, after = (read_encoder(tmp_path / name, name="x", origin="folder") for name in ("base", "out"))
    assert before is not None
    assert after is not None
    assert (after.layers, after.hidden, after.vocabulary) == (before.layers, before.hidden, before.vocabulary)
    for name in ("vocab.txt", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "base" / name).read_bytes()
    said = (tmp_path / "out" / "pretraining.json").read_text()
    assert json.loads(said)["config"]["base_name"] == "base"
    assert str(tmp_path) not in said


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_pooler_of_the_base_is_kept_for_it_is_what_a_classifier_begins_from(
    pretraining, small, tiny_base: Path, tmp_path: Path, ending: str
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    base = shutil.copytree(tiny_base, tmp_path / "base")
    pooler = {"bert.pooler.dense.weight": torch.randn(32, 32), "bert.pooler.dense.bias": torch.randn(32)}
    weights = load_file(base / "model.safetensors") | pooler
    (base / "model.safetensors").unlink()
    if ending == "bin":
        torch.save(weights, base / "pytorch_model.bin")
    else:
        save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    config = replace(small, base_path=base, base_name="base", epochs=1)
    pretraining.pretrain(TEXTS, tmp_path / "out", config=config)
    made = load_file(tmp_path / "out" / "model.safetensors")
    for name, value in pooler.items():
        torch.testing.assert_close(made[name].float(), value, atol=2e-3, rtol=1e-2)


def test_roberta_is_adapted_too_and_other_kinds_are_refused(
    pretraining, small, tiny_base: Path, tmp_path: Path
) -> None:
    from transformers import ElectraConfig, ElectraForMaskedLM, RobertaConfig, RobertaForMaskedLM

    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    vocabulary = len((tiny_base / "vocab.txt").read_text().splitlines())
    roberta = RobertaForMaskedLM(
        RobertaConfig(vocab_size=vocabulary, max_position_embeddings=66, pad_token_id=0, type_vocab_size=2, **size)
    )
    electra = ElectraForMaskedLM(ElectraConfig(vocab_size=vocabulary, embedding_size=32, **size))
    for name, model in (("roberta", roberta), ("electra", electra)):
        folder = shutil.copytree(tiny_base, tmp_path / name)
        model.save_pretrained(folder)
    config = replace(small, epochs=1, base_name="x")
    result = pretraining.pretrain(TEXTS, tmp_path / "out", config=replace(config, base_path=tmp_path / "roberta"))
    assert result.held_out_loss > 0
    with pytest.raises(BadInput, match="kind electra cannot be adapted"):
        pretraining.pretrain(TEXTS, tmp_path / "no", config=replace(config, base_path=tmp_path / "electra"))


def test_batch_that_does_not_fit_is_computed_in_halves(
    pretraining, small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    whole = pretraining.pretrain(TEXTS, tmp_path / "whole", config=replace(small, epochs=2))
    guess, tried = pretraining._Trainer._guess, []

    def refuse_more(self, masked):
        tried.append(len(masked.tokens))
        if len(masked.tokens) > 10:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return guess(self, masked)

    monkeypatch.setattr(pretraining._Trainer, "_guess", refuse_more)
    pieces = pretraining.pretrain(TEXTS, tmp_path / "pieces", config=replace(small, epochs=2))
    assert tried[:3] == [32, 16, 8]
    assert pieces.held_out_loss == pytest.approx(whole.held_out_loss, rel=2e-2)


def test_texts_without_anything_to_guess_are_refused_in_a_sentence(pretraining, small, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no text of more than two characters"):
        pretraining.pretrain(["a", "b"], tmp_path / "out", config=small)


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
