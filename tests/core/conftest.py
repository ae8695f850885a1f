"""A tiny BERT in Hub layout and texts that it can learn in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

MARKERS = ("好好好", "疑疑疑", "坏坏坏")  # by label
CHARACTERS = "今天我们去公园看花吃饭说话好疑坏的了是不在有人这中大来上"


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of 2 layers × 32 with random weights, saved from a masked language model: it brings no pooler."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    from core.learning.vocabulary import build_vocabulary, make_tokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "base" / "tiny"
    folder.mkdir(parents=True)
    vocabulary = build_vocabulary([CHARACTERS] * 9, size=200)
    tokenizer = make_tokenizer(vocabulary, folder, max_tokens=64)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def marked_text(label: int, n: int) -> str:
    """A text of that class: filler with the class's marker in the middle."""
    filler = "".join(CHARACTERS[(n * 7 + k * k) % 16] for k in range(6 + n % 9))
    return filler[:4] + MARKERS[label] + filler[4:]
