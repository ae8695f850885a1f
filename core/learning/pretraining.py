"""Masked language modelling: a small BERT encoder from plain text, or one that there is adapted to other text.

Resumable at any moment. Devlin et al. 2019 (BERT); Gururangan et al. 2020 (adapting to the texts of a task). The
vocabulary head is computed at masked positions only, which a full forward would compute everywhere.
"""

from __future__ import annotations

import json
import math
import pickle
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from core.encoders import PICKLED, TOKENIZERS, weights_file
from core.errors import BadInput, Cancelled, TiebreakError
from core.learning.classifiers import load_tokenizer, longest_input, quieten_libraries
from core.learning.corpora import UNMASKED, Corpus, Masked, batches_of, encode, mask
from core.learning.device import Device, find_device
from core.learning.fitting import Place, is_out_of_memory
from core.learning.memory import Leftovers
from core.learning.schedules import rate_at
from core.learning.vocabulary import build_vocabulary, make_tokenizer
from core.wording import _

CHECKPOINT_EVERY_S = 120
REPORT_EVERY_S = 1.0
HELD_OUT = 0.01
# The vocabulary head by kind of encoder: what is computed at masked positions only.
HEADS = {"bert": "cls", "ernie": "cls", "roberta": "lm_head", "xlm-roberta": "lm_head", "camembert": "lm_head"}


@dataclass(frozen=True, slots=True)
class PretrainingConfig:
    """Size and schedule. A step is one batch; tokens beyond train_tokens are cut.

    base_path: the encoder to go on from; layers, hidden, heads, vocabulary_size, max_tokens and dropout are its own
    then. base_name: what it is called.
    """

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
    base_path: Path | None = None
    base_name: str = ""


def adapting(base_path: Path, base_name: str, *, hidden: int, epochs: int) -> PretrainingConfig:
    """What suits an encoder of that width: lower rates than from random weights."""
    rate = 1e-4 if hidden >= 512 else 5e-4
    return PretrainingConfig(epochs=epochs, learning_rate=rate, base_path=base_path, base_name=base_name)


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
Texts = Callable[[], Iterable[str]]  # read anew at each call, in the same order


def pretrain(
    texts: Sequence[str] | Texts,
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
    same config; with a few other texts it goes on, too, at the same step). Raises Cancelled after writing a checkpoint,
    BadInput when there is nothing to resume or nothing to learn from, and for an encoder that cannot be adapted here.
    """
    quieten_libraries()
    torch.manual_seed(config.seed)
    read = texts if callable(texts) else lambda: texts
    checkpoint = out_dir / "checkpoint"
    if resume and not (checkpoint / "state.pt").is_file():
        raise BadInput(
            _("There is no checkpoint in {checkpoint}; start without --resume.").format(checkpoint=checkpoint)
        )
    tokenizer, model = _load(checkpoint) if resume else _start(read, checkpoint, config)
    corpus = encode(tokenizer, read(), min(config.train_tokens, longest_input(model, tokenizer)))
    if not len(corpus):
        raise BadInput(_("There is no text of more than two characters to learn from."))
    every = round(1 / HELD_OUT)
    held_out = np.arange(0, len(corpus), every)
    training = np.delete(np.arange(len(corpus)), held_out)
    device = find_device()
    trainer = _Trainer(model, tokenizer, corpus, device, config)
    seconds = trainer.train(training, checkpoint, resume=resume, report=report, is_cancelled=is_cancelled)
    loss, accuracy = trainer.measure(held_out)
    result = PretrainingResult(_steps(len(training), config), seconds, loss, accuracy)
    _save(model, tokenizer, out_dir, config, result, source=source, texts=len(training))
    shutil.rmtree(checkpoint)
    return result


# --- before training ------------------------------------------------------------------------------------------------


def _start(texts: Texts, checkpoint: Path, config: PretrainingConfig) -> tuple[PreTrainedTokenizerBase, Any]:
    if config.base_path is not None:
        return _start_from(config.base_path, checkpoint)
    vocabulary = build_vocabulary(texts(), size=config.vocabulary_size)
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


def _start_from(base: Path, checkpoint: Path) -> tuple[PreTrainedTokenizerBase, Any]:
    """The encoder that there is, with its tokenizer and vocabulary."""
    tokenizer = load_tokenizer(base)
    try:
        model = AutoModelForMaskedLM.from_pretrained(
            base, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as err:
        raise BadInput(_("The base encoder in {path} cannot be loaded: {err}").format(path=base, err=err)) from err
    if model.config.model_type not in HEADS:
        raise BadInput(
            _("Encoders of kind {kind} cannot be adapted here; these can: {kinds}.").format(
                kind=model.config.model_type, kinds=", ".join(HEADS)
            )
        )
    checkpoint.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    for name in TOKENIZERS:
        if (base / name).is_file():
            shutil.copy(base / name, checkpoint / name)
    return tokenizer, model


def _load(checkpoint: Path) -> tuple[PreTrainedTokenizerBase, Any]:
    return AutoTokenizer.from_pretrained(checkpoint), AutoModelForMaskedLM.from_pretrained(
        checkpoint, dtype=torch.float32
    )


def _steps(texts: int, config: PretrainingConfig) -> int:
    return config.epochs * math.ceil(texts / config.batch_size)


# --- training -------------------------------------------------------------------------------------------------------


class _Trainer:
    """A model and the corpus that it learns from, on the best device there is."""

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerBase, corpus: Corpus, device: Device, config: PretrainingConfig
    ) -> None:
        self._place = Place(torch.device(device.place), device.precision)
        self._model = model.to(self._place.device)
        self._tokenizer, self._corpus, self._config = tokenizer, corpus, config
        self._device = device
        self._at_once = config.batch_size
        self._leftovers = Leftovers()
        self._optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._scaler = torch.amp.GradScaler(self._place.device.type, enabled=device.precision == "fp16")

    def train(
        self,
        training: npt.NDArray[np.int64],
        checkpoint: Path,
        *,
        resume: bool,
        report: Report,
        is_cancelled: Callable[[], bool],
    ) -> float:
        """Run all steps from where the checkpoint stands; returns seconds over all sittings. training: places."""
        config = self._config
        steps = _steps(len(training), config)
        warmup = max(1, round(steps * config.warmup_share))
        self._model.train()
        generator = torch.Generator().manual_seed(config.seed)
        begun, spent = 0, 0.0
        if resume:
            state = torch.load(checkpoint / "state.pt", weights_only=True)
            self._optimizer.load_state_dict(state["optimizer"])
            generator.set_state(state["generator"])
            begun, spent = state["step"], state["seconds"]
        sitting = saved = reported = time.monotonic()
        losses: list[torch.Tensor] = []
        step = 0
        for epoch in range(config.epochs):
            for places in batches_of(
                self._corpus.lengths[training], batch_size=config.batch_size, seed=config.seed, epoch=epoch
            ):
                step += 1
                if step <= begun:
                    continue
                for group in self._optimizer.param_groups:
                    group["lr"] = config.learning_rate * rate_at(step, steps=steps + 1, warmup=warmup)
                batch = self._corpus.rows(training[places].tolist())
                losses.append(self._take_step(mask(batch, self._tokenizer, config.masked_share, generator)))
                self._leftovers.give_back()
                now = time.monotonic()
                if now - reported > REPORT_EVERY_S or step == steps:
                    report(PretrainingProgress(step, steps, float(torch.stack(losses).mean())))
                    losses, reported = [], now
                must_stop = is_cancelled()
                if now - saved > CHECKPOINT_EVERY_S or must_stop:
                    self._save_checkpoint(checkpoint, generator, step, spent + now - sitting)
                    saved = now
                if must_stop:
                    raise Cancelled(
                        _("Pretraining was stopped at step {step} of {steps}; --resume goes on from there.").format(
                            step=step, steps=steps
                        )
                    )
        return spent + time.monotonic() - sitting

    def _take_step(self, masked: Masked) -> torch.Tensor:
        """Returns the mean loss of what is masked in the batch."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._add_gradients(masked)
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return loss

    def _add_gradients(self, masked: Masked) -> torch.Tensor:
        """Where the device's memory does not suffice, the batch is computed anew in pieces of half the size."""
        while True:
            try:
                return self._add_in_pieces(masked)
            except RuntimeError as err:
                if not is_out_of_memory(err):
                    raise
            if self._at_once == 1:
                raise TiebreakError(
                    _(
                        "{device} has too little memory for a single example; close what else uses it, or choose a "
                        "smaller base encoder."
                    ).format(device=self._device.name)
                )
            self._optimizer.zero_grad(set_to_none=True)
            self._at_once //= 2

    def _add_in_pieces(self, masked: Masked) -> torch.Tensor:
        total = max(1, int((masked.truth != UNMASKED).sum()))
        loss = torch.zeros((), device=self._place.device)
        for start in range(0, len(masked.tokens), self._at_once):
            logits, truth = self._guess(masked.rows(start, start + self._at_once))
            part = cross_entropy(logits, truth, reduction="sum") / total
            self._scaler.scale(part).backward()
            loss += part.detach()
        return loss

    def _guess(self, masked: Masked) -> tuple[torch.Tensor, torch.Tensor]:
        """((n_masked, vocabulary) logits, (n_masked,) truth): the head is applied where a token is to be guessed."""
        device = self._place.device
        truth = masked.truth.to(device)
        head = getattr(self._model, HEADS[self._model.config.model_type])
        with self._place.autocast():
            encoder = self._model.base_model
            hidden = encoder(masked.tokens.to(device), attention_mask=masked.attention.to(device)).last_hidden_state
            return head(hidden[truth != UNMASKED]).float(), truth[truth != UNMASKED]

    @torch.inference_mode()
    def measure(self, places: npt.NDArray[np.int64]) -> tuple[float, float]:
        """(loss in nats, accuracy) over masked tokens of held-out texts, masks fixed by the seed."""
        self._model.eval()
        generator = torch.Generator().manual_seed(self._config.seed)
        loss = right = total = 0.0
        for start in range(0, len(places), self._config.batch_size):
            batch = self._corpus.rows(places[start : start + self._config.batch_size].tolist())
            masked = mask(batch, self._tokenizer, self._config.masked_share, generator)
            for at in range(0, len(batch), self._at_once):
                logits, truth = self._guess(masked.rows(at, at + self._at_once))
                loss += cross_entropy(logits, truth, reduction="sum").item()
                right += (logits.argmax(dim=1) == truth).sum().item()
                total += len(truth)
        return loss / max(1.0, total), right / max(1.0, total)

    def _save_checkpoint(self, checkpoint: Path, generator: torch.Generator, step: int, seconds: float) -> None:
        """Weights and state together or not at all: written aside, then renamed over the old ones."""
        aside = checkpoint.with_name("checkpoint.partial")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(checkpoint, aside)
        self._model.save_pretrained(aside)
        state = {
            "optimizer": self._optimizer.state_dict(),
            "generator": generator.get_state(),
            "step": step,
            "seconds": seconds,
        }
        torch.save(state, aside / "state.pt")
        shutil.rmtree(checkpoint)
        aside.rename(checkpoint)


# --- after training -------------------------------------------------------------------------------------------------


def _save(
    model: Any,
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
    if config.base_path is not None:
        _keep_pooler(config.base_path, out_dir, prefix=model.base_model_prefix)
    tokenizer.save_pretrained(out_dir)
    for name in TOKENIZERS:
        if (out_dir / "checkpoint" / name).is_file():
            shutil.copy(out_dir / "checkpoint" / name, out_dir / name)
    shown = {name: value for name, value in asdict(config).items() if name != "base_path"}
    figures = {"config": shown, "texts": texts, "source": source, **asdict(result)}
    (out_dir / "pretraining.json").write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _keep_pooler(base: Path, out_dir: Path, *, prefix: str) -> None:
    """The base's pooler, where it has one: language modelling does not load it, and classifying begins from it."""
    weights = weights_file(base)
    if weights is None:
        return
    is_pickled = weights.name == PICKLED
    there = torch.load(weights, weights_only=True, map_location="cpu") if is_pickled else load_file(weights)
    pooler = {name[name.index("pooler.") :]: value for name, value in there.items() if "pooler." in name}
    if pooler:
        made = out_dir / "model.safetensors"
        kept = {f"{prefix}.{name}": value.to(torch.float16).contiguous() for name, value in pooler.items()}
        save_file(load_file(made) | kept, made, metadata={"format": "pt"})
