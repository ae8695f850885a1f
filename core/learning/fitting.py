"""The steps of a training: batches through the model, gradients to the adapter, an evaluation after each epoch.

The same on one device or several. A batch is cut among the processes, and by each of them into what its device can
hold at once; gradients are added up over all of it before anything is updated, so neither changes what is learned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast, reduce
from accelerate.utils.memory import should_reduce_batch_size
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from peft.helpers import disable_input_dtype_casting
from torch.nn.functional import cross_entropy

from core.calibration import Ids
from core.domain import LABEL_NAMES
from core.errors import Cancelled, TiebreakError
from core.learning.memory import Leftovers
from core.learning.metric import compute_metrics
from core.learning.schedules import Schedule, epochs_of, rate_at
from core.wording import N_, _

SAY_EVERY_S = 0.25  # a report is a transaction: one a step would slow small encoders down
POINTS = 100  # of the loss, along a training
PATIENCE = 3  # epochs without a better macro-F1
LARGEST_NORM = 1.0  # of the gradients
EVALUATED_AT_ONCE = 64

Recall = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Setup:
    """How a training is executed. batch_size: examples a step; at_once: of these, what a device computes together."""

    device: str
    devices: int
    precision: str  # bf16, fp16 or fp32
    batch_size: int
    at_once: int
    steps: int
    class_weights: dict[str, float]
    chooses_best: bool


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """done and total in steps; loss: mean since the last one told; macro_f1 and recall after an evaluation.

    recall: in Label order. setup: when it is known, and whenever it changes.
    """

    stage: str
    done: int
    total: int
    message: str = ""
    loss: float | None = None
    macro_f1: float | None = None
    recall: Recall = (None, None, None)
    setup: Setup | None = None


Report = Callable[[TrainingProgress], None]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of each text, its label, and how much it counts (n,)."""

    ids: list[list[int]]
    labels: Ids
    weights: torch.Tensor

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.ids]


@dataclass(frozen=True, slots=True)
class Rates:
    """highest: of the learning rate, reached after the warm-up's share of the steps."""

    highest: float
    warmup_share: float
    weight_decay: float
    seed: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process computes, and which of several it is. precision: bf16, fp16 or fp32."""

    device: torch.device
    precision: str
    rank: int = 0
    count: int = 1

    @property
    def kind(self) -> torch.dtype | None:
        """What is computed in; None where everything stays in float32."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.kind, enabled=self.kind is not None)


@dataclass(frozen=True, slots=True)
class Fitted:
    """best_epoch: None where none was chosen. curve: an entry for each evaluation. losses: mean of each step."""

    at_once: int
    best_epoch: int | None
    curve: list[dict[str, Any]]
    losses: list[float]


def fit(
    model: Any,
    training: Encoded,
    evaluation: Encoded | None,
    *,
    schedule: Schedule,
    rates: Rates,
    setup: Setup,
    place: Place,
    padding: int,
    report: Report,
    is_cancelled: Callable[[], bool],
    metric_folder: str,
) -> Fitted:
    """Train the model's trainable weights in place; they end as those of the best epoch where one is chosen.

    padding: token id. Raises Cancelled within a step of being asked, TiebreakError when the device cannot hold even
    one example.
    """
    # Adapters would have what they are given converted to float32, only for autocast to undo it.
    with disable_input_dtype_casting(model):
        started = _Fit(model, schedule, rates, setup, place, padding, report=report, is_cancelled=is_cancelled)
        return started.run(training, evaluation, metric_folder=metric_folder)


class _Fit:
    def __init__(
        self,
        model: Any,
        schedule: Schedule,
        rates: Rates,
        setup: Setup,
        place: Place,
        padding: int,
        *,
        report: Report,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._model, self._schedule, self._rates, self._setup = model, schedule, rates, setup
        self._place, self._padding, self._report, self._is_cancelled = place, padding, report, is_cancelled
        self._trained = [weight for weight in model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [w for w in self._trained if w.ndim > 1], "weight_decay": rates.weight_decay},
                {"params": [w for w in self._trained if w.ndim < 2], "weight_decay": 0.0},
            ],
            lr=rates.highest,
            fused=True,
        )
        self._scaler = torch.amp.GradScaler(place.device.type, enabled=place.precision == "fp16")
        self._step = 0
        self._said_at = 0.0
        self._losses: list[torch.Tensor] = []
        self._curve: list[dict[str, Any]] = []
        self._best: tuple[float, int, dict[str, torch.Tensor]] | None = None
        self._worse_epochs = 0
        self._leftovers = Leftovers()

    def run(self, training: Encoded, evaluation: Encoded | None, *, metric_folder: str) -> Fitted:
        for weight in self._trained:
            weight.data = broadcast(weight.data) if self._place.count > 1 else weight.data
        self._model.train()
        self._tell(setup=self._setup)
        epochs = epochs_of(training.lengths, batch_size=self._schedule.batch_size, seed=self._rates.seed)
        for epoch, batches in enumerate(epochs, 1):
            for rows in batches[: self._schedule.steps - self._step]:
                self._take_step(training, rows)
            if evaluation is not None and self._schedule.evaluates:
                self._evaluate(evaluation, epoch, metric_folder=metric_folder)
            if self._step == self._schedule.steps or self._worse_epochs >= PATIENCE:
                break
        if self._best is not None:
            set_peft_model_state_dict(self._model, self._best[2])
        return Fitted(
            self._setup.at_once,
            None if self._best is None else self._best[1],
            self._curve,
            torch.stack(self._losses).tolist(),
        )

    # --- a step -----------------------------------------------------------------------------------------------------

    def _take_step(self, training: Encoded, rows: Ids) -> None:
        warmup = round(self._schedule.steps * self._rates.warmup_share)
        rate = self._rates.highest * rate_at(self._step, steps=self._schedule.steps, warmup=warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._add_gradients(training, rows)
        if self._place.count > 1:
            loss = self._share_gradients(loss)
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self._trained, LARGEST_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._step += 1
        self._losses.append(loss)
        self._leftovers.give_back()
        self._tell_step()
        if self._is_cancelled():
            raise Cancelled(_("Training was cancelled; nothing was changed."))

    def _add_gradients(self, training: Encoded, rows: Ids) -> torch.Tensor:
        """Gradients of this process's part of the batch; returns its share of the batch's mean loss.

        Where the device's memory does not suffice, the part is computed anew in pieces of half the size.
        """
        mine = rows[self._place.rank :: self._place.count]
        total = float(training.weights[rows].sum())
        while True:
            try:
                return sum(
                    (
                        self._backward(training, mine[at : at + self._setup.at_once], total)
                        for at in range(0, len(mine), self._setup.at_once)
                    ),
                    torch.zeros((), device=self._place.device),
                )
            except RuntimeError as err:
                if not is_out_of_memory(err):
                    raise
            # Behind the except clause, for its traceback keeps alive what was computed.
            self._optimizer.zero_grad(set_to_none=True)
            self._halve()

    def _backward(self, training: Encoded, rows: Ids, total: float) -> torch.Tensor:
        logits = self._logits([training.ids[row] for row in rows])
        truth = torch.from_numpy(training.labels[rows]).to(self._place.device)  # (batch,)
        weights = training.weights[rows].to(self._place.device)  # (batch,)
        loss = (cross_entropy(logits, truth, reduction="none") * weights).sum() / total
        self._scaler.scale(loss).backward()
        return loss.detach()

    def _logits(self, ids: Sequence[list[int]]) -> torch.Tensor:
        """(batch, n_labels) in float32; padded to the longest of the batch."""
        tokens = torch.full((len(ids), max(map(len, ids))), self._padding)
        attention = torch.zeros_like(tokens)
        for row, each in enumerate(ids):
            tokens[row, : len(each)] = torch.tensor(each)
            attention[row, : len(each)] = 1
        device = self._place.device
        with self._place.autocast():
            said = self._model(
                input_ids=tokens.to(device, non_blocking=True), attention_mask=attention.to(device, non_blocking=True)
            )
        return said.logits.float()

    def _share_gradients(self, loss: torch.Tensor) -> torch.Tensor:
        """Add up gradients and loss over the processes; a process without examples in this batch has none."""
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in self._trained]
        sums = reduce(torch.cat([*(gradient.flatten() for gradient in gradients), loss.reshape(1)]), "sum")
        at = 0
        for weight in self._trained:
            weight.grad = sums[at : at + weight.numel()].view_as(weight)
            at += weight.numel()
        return sums[at]

    def _halve(self) -> None:
        if self._setup.at_once == 1:
            raise TiebreakError(
                _(
                    "{device} has too little memory for a single example; close what else uses it, or choose a smaller "
                    "base encoder."
                ).format(device=self._setup.device)
            )
        if self._place.device.type == "cuda":
            torch.cuda.empty_cache()
        self._setup = replace(self._setup, at_once=self._setup.at_once // 2)
        self._tell(setup=self._setup)

    # --- an evaluation ----------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _evaluate(self, evaluation: Encoded, epoch: int, *, metric_folder: str) -> None:
        self._model.eval()
        predicted = self._predict(evaluation)
        self._model.train()
        figures = compute_metrics(evaluation.labels.tolist(), predicted.tolist(), cache_dir=metric_folder)
        macro_f1, recall = float(figures["macro_f1"]), _recall(figures)
        said = {name: value for name, value in zip(LABEL_NAMES, recall, strict=True) if value is not None}
        self._curve.append({"epoch": epoch, "step": self._step, "macro_f1": macro_f1, "recall": said})
        self._tell(macro_f1=macro_f1, recall=recall)
        if not self._schedule.chooses_best:
            return
        if self._best is None or macro_f1 > self._best[0]:
            weights = get_peft_model_state_dict(self._model, save_embedding_layers=False)
            self._best = (macro_f1, epoch, {name: value.clone() for name, value in weights.items()})
            self._worse_epochs = 0
        else:
            self._worse_epochs += 1

    def _predict(self, evaluation: Encoded) -> Ids:
        """The likeliest label of each text, (n,), longest texts first; every process judges its part."""
        order = np.argsort(evaluation.lengths, kind="stable")[::-1]
        mine = order[self._place.rank :: self._place.count]
        found = torch.zeros(len(order), dtype=torch.int64, device=self._place.device)
        at, at_once = 0, EVALUATED_AT_ONCE
        while at < len(mine):
            rows = mine[at : at + at_once]
            try:
                found[torch.from_numpy(rows.copy())] = self._logits([evaluation.ids[row] for row in rows]).argmax(dim=1)
                at += at_once
                continue
            except RuntimeError as err:
                if not is_out_of_memory(err) or at_once == 1:
                    raise
            at_once //= 2
        shared = reduce(found, "sum") if self._place.count > 1 else found
        return np.asarray(shared.cpu().numpy(), dtype=np.int64)

    # --- what is told -----------------------------------------------------------------------------------------------

    def _tell_step(self) -> None:
        steps = self._schedule.steps
        every = max(1, steps // POINTS)
        if self._step % every == 0 or self._step == steps:
            since = self._losses[-every:]
            self._tell(loss=float(torch.stack(since).mean()))
        elif time.monotonic() - self._said_at > SAY_EVERY_S:
            self._tell()

    def _tell(self, **what: Any) -> None:
        self._said_at = time.monotonic()
        steps = self._schedule.steps
        message = _("step {step} of {steps}").format(step=self._step, steps=steps)
        self._report(TrainingProgress(N_("training"), self._step, steps, message, **what))


def _recall(figures: dict[str, Any]) -> Recall:
    """In Label order; None for a label that does not occur."""
    by_name = figures["per_class"]
    first, second, third = (by_name[n]["recall"] if by_name[n]["support"] else None for n in LABEL_NAMES)
    return first, second, third


def is_out_of_memory(err: RuntimeError) -> bool:
    """Whether a device said that its memory does not suffice (torch.OutOfMemoryError is a RuntimeError)."""
    return isinstance(err, torch.OutOfMemoryError) or bool(should_reduce_batch_size(err))
