"""Masked language modelling: a small BERT encoder from plain text, resumable at any moment.

Devlin et al. 2019 (BERT); the vocabulary head is computed at masked positions only, which a full forward of
BertForMaskedLM would compute everywhere.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from core.errors import BadInput, Cancelled
from core.learning.classifiers import quieten_libraries
from core.learning.vocabulary import build_vocabulary, make_tokenizer
from core.wording import _

CHECKPOINT_EVERY_S = 120
HELD_OUT = 0.01


@dataclass(frozen=True, slots=True)
class PretrainingConfig:
    """Size and schedule. A step is one batch; tokens beyond max_tokens are cut."""

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    vocabulary_size: int = 6_000
    max_tokens: int = 256
    train_tokens: int = 128
    epochs: int = 16
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    masked_share: float = 0.15
    dropout: float = 0.1
    seed: int = 13


@dataclass(frozen=True, slots=True)
class PretrainingProgress:
    step: int
    steps: int
    loss: float  # mean over the steps since the last report, in nats a masked token


@dataclass(frozen=True, slots=True)
class PretrainingResult:
    """held_out_*: on 1 % of the texts, never trained on."""

    steps: int
    seconds: float
    held_out_loss: float
    held_out_accuracy: float


Report = Callable[[PretrainingProgress], None]
Ids = list[int]


def pretrain(
    texts: Sequence[str],
    out_dir: Path,
    *,
    config: PretrainingConfig,
    resume: bool = False,
    source: str = "the texts given",
    report: Report = lambda progress: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> PretrainingResult:
    """Train an encoder on the texts and save it in Hub layout; returns its figures.

    A checkpoint is kept in out_dir/checkpoint until the end; with resume, training goes on from it (same texts,
    same config). Raises Cancelled after writing a checkpoint, BadInput when there is nothing to resume.
    """
    quieten_libraries()
    torch.manual_seed(config.seed)
    checkpoint = out_dir / "checkpoint"
    if resume and not (checkpoint / "state.pt").is_file():
        raise BadInput(
            _("There is no checkpoint in {checkpoint}; start without --resume.").format(checkpoint=checkpoint)
        )
    tokenizer, model = _load(checkpoint) if resume else _start(texts, checkpoint, config)
    ids = [tokens for tokens in _encode(tokenizer, texts, config.train_tokens) if len(tokens) > 4]
    held_out = ids[:: round(1 / HELD_OUT)]
    training = [tokens for index, tokens in enumerate(ids) if index % round(1 / HELD_OUT)]
    seconds = _train(
        model, tokenizer, training, checkpoint, config, resume=resume, report=report, is_cancelled=is_cancelled
    )
    loss, accuracy = _measure(model, tokenizer, held_out, config)
    steps = _steps(len(training), config)
    result = PretrainingResult(steps, seconds, loss, accuracy)
    _save(model, tokenizer, out_dir, config, result, source=source, texts=len(training))
    shutil.rmtree(checkpoint)
    return result


def _start(
    texts: Sequence[str], checkpoint: Path, config: PretrainingConfig
) -> tuple[PreTrainedTokenizerBase, BertForMaskedLM]:
    vocabulary = build_vocabulary(texts, size=config.vocabulary_size)
    tokenizer = make_tokenizer(vocabulary, checkpoint, max_tokens=config.max_tokens)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.hidden,
            max_position_embeddings=config.max_tokens,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(checkpoint)
    return tokenizer, model


def _load(checkpoint: Path) -> tuple[PreTrainedTokenizerBase, BertForMaskedLM]:
    return AutoTokenizer.from_pretrained(checkpoint), BertForMaskedLM.from_pretrained(checkpoint)


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int) -> list[Ids]:
    ids: list[Ids] = []
    for start in range(0, len(texts), 10_000):
        part = list(texts[start : start + 10_000])
        ids += tokenizer(part, truncation=True, max_length=max_tokens, return_attention_mask=False)["input_ids"]
    return ids


def _steps(texts: int, config: PretrainingConfig) -> int:
    return config.epochs * math.ceil(texts / config.batch_size)


def _batches(ids: Sequence[Ids], config: PretrainingConfig, epoch: int) -> Iterator[list[Ids]]:
    """Batches of similar length in random order, the same for the same epoch and seed."""
    rng = np.random.default_rng((config.seed, epoch))
    jittered = np.array([len(tokens) for tokens in ids]) + rng.uniform(0, 8, len(ids))
    order = np.argsort(jittered)
    starts = rng.permutation(np.arange(0, len(ids), config.batch_size))
    for start in starts:
        yield [ids[i] for i in order[start : start + config.batch_size]]


@dataclass(frozen=True, slots=True)
class _Masked:
    tokens: torch.Tensor  # (batch, length) with some replaced
    attention: torch.Tensor  # (batch, length)
    is_masked: torch.Tensor  # (batch, length) bool
    truth: torch.Tensor  # (n_masked,)


def _mask(batch: list[Ids], tokenizer: PreTrainedTokenizerBase, share: float, generator: torch.Generator) -> _Masked:
    """Choose a share of the tokens; of these 80 % become [MASK], 10 % a random token, 10 % stay."""
    length = max(map(len, batch))
    tokens = torch.full((len(batch), length), tokenizer.pad_token_id)
    for row, ids in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
    attention = tokens != tokenizer.pad_token_id
    special = torch.isin(tokens, torch.tensor(tokenizer.all_special_ids))
    is_masked = (torch.rand(tokens.shape, generator=generator) < share) & ~special
    truth = tokens[is_masked]
    fate = torch.rand(truth.shape, generator=generator)
    random_tokens = torch.randint(len(tokenizer), truth.shape, generator=generator)
    shown = torch.where(
        fate < 0.8, torch.tensor(tokenizer.mask_token_id), torch.where(fate < 0.9, random_tokens, truth)
    )
    tokens[is_masked] = shown
    return _Masked(tokens, attention.long(), is_masked, truth)


def _logits(model: BertForMaskedLM, masked: _Masked) -> torch.Tensor:
    """(n_masked, vocabulary): the head is applied where a token is to be guessed, nowhere else."""
    device = model.device
    with torch.autocast(device.type, torch.bfloat16):
        hidden = model.bert(masked.tokens.to(device), attention_mask=masked.attention.to(device)).last_hidden_state
        return model.cls(hidden[masked.is_masked.to(device)]).float()


def _train(
    model: BertForMaskedLM,
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[Ids],
    checkpoint: Path,
    config: PretrainingConfig,
    *,
    resume: bool,
    report: Report,
    is_cancelled: Callable[[], bool],
) -> float:
    """Run all steps from where the checkpoint stands; returns seconds over all sittings."""
    steps = _steps(len(ids), config)
    model.to("cuda" if torch.cuda.is_available() else "cpu").train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    generator = torch.Generator().manual_seed(config.seed)
    begun, spent = 0, 0.0
    if resume:
        state = torch.load(checkpoint / "state.pt", weights_only=True)
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        begun, spent = state["step"], state["seconds"]
    sitting = saved = reported = time.monotonic()
    losses: list[float] = []
    step = 0
    for epoch in range(config.epochs):
        for batch in _batches(ids, config, epoch):
            step += 1
            if step <= begun:
                continue
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _rate(step - 1, steps, config.warmup_share)
            masked = _mask(batch, tokenizer, config.masked_share, generator)
            loss = cross_entropy(_logits(model, masked), masked.truth.to(model.device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            now = time.monotonic()
            if now - reported > 1 or step == steps:
                report(PretrainingProgress(step, steps, sum(losses) / len(losses)))
                losses, reported = [], now
            must_stop = is_cancelled()
            if now - saved > CHECKPOINT_EVERY_S or must_stop:
                _save_checkpoint(model, checkpoint, optimizer, generator, step, spent + now - sitting)
                saved = now
            if must_stop:
                raise Cancelled(
                    _("Pretraining was stopped at step {step} of {steps}; --resume goes on from there.").format(
                        step=step, steps=steps
                    )
                )
    return spent + time.monotonic() - sitting


def _rate(step: int, steps: int, warmup_share: float) -> float:
    """Share of the highest learning rate: up in a line, down in a line."""
    warmup = max(1, round(steps * warmup_share))
    return (step + 1) / warmup if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup))


def _save_checkpoint(
    model: BertForMaskedLM,
    checkpoint: Path,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    step: int,
    seconds: float,
) -> None:
    """Weights and state together or not at all: written aside, then renamed over the old ones."""
    aside = checkpoint.with_name("checkpoint.partial")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(checkpoint, aside)
    model.save_pretrained(aside)
    state = {
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, aside / "state.pt")
    shutil.rmtree(checkpoint)
    aside.rename(checkpoint)


@torch.inference_mode()
def _measure(
    model: BertForMaskedLM, tokenizer: PreTrainedTokenizerBase, ids: Sequence[Ids], config: PretrainingConfig
) -> tuple[float, float]:
    """(loss in nats, accuracy) over masked tokens of held-out texts, masks fixed by the seed."""
    model.eval()
    generator = torch.Generator().manual_seed(config.seed)
    loss = right = total = 0.0
    for start in range(0, len(ids), config.batch_size):
        masked = _mask(list(ids[start : start + config.batch_size]), tokenizer, config.masked_share, generator)
        logits, truth = _logits(model, masked), masked.truth.to(model.device)
        loss += cross_entropy(logits, truth, reduction="sum").item()
        right += (logits.argmax(dim=1) == truth).sum().item()
        total += len(truth)
    return loss / max(1.0, total), right / max(1.0, total)


def _save(
    model: BertForMaskedLM,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: Path,
    config: PretrainingConfig,
    result: PretrainingResult,
    *,
    source: str,
    texts: int,
) -> None:
    """Half precision: half the download, and no measurable loss once loaded as float32 again."""
    model.to("cpu", torch.float16).save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    shutil.copy(out_dir / "checkpoint" / "vocab.txt", out_dir / "vocab.txt")
    figures = {"config": asdict(config), "texts": texts, "source": source, **asdict(result)}
    (out_dir / "pretraining.json").write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
