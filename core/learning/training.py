"""Training one version: LoRA on a BERT-like encoder, from plain examples to an adapter folder.

Recipe: LoRA (Hu et al. 2021) on all linear layers of the encoder, r 16, rate 3e-4, linear decay after a short
warm-up, mild class weights. The adapter starts anew each time, so no version depends on the path to it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig, TaskType, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch.nn.functional import cross_entropy
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from core.domain import LABEL_NAMES
from core.encoders import weights_hash
from core.errors import Cancelled
from core.evaluation import NOTHING, Evaluation
from core.learning.classifiers import load_base, load_tokenizer, longest_input
from core.learning.device import Device, find_device
from core.learning.examples import (
    TrainingExample,
    by_label,
    class_weights,
    missing_classes,
    refuse_too_few,
    training_mix,
)
from core.learning.manifests import libraries, record, with_evaluation
from core.learning.metric import compute_metrics
from core.wording import N_, _

ENOUGH_TO_CHOOSE = 200  # evaluation posts; with fewer, the best epoch is the luckiest one
ENOUGH_OF_EACH = 20
SAY_EVERY_S = 0.25  # a report is a transaction: one a step would slow small encoders down
PATIENCE = 3  # epochs without a better macro-F1
BERT_LINEAR = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
BESIDE_HEAD = ("pooler", "pre_classifier")  # layers of a classifier that masked language modelling does not bring
LIBRARIES = ("torch", "transformers", "peft", "accelerate", "datasets", "evaluate", "scikit-learn")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides the outcome; stored in the manifest. Steps and batches follow from the examples."""

    base_path: Path
    base_name: str
    quick: bool
    seed: int
    snapshot_hash: str
    base_origin: str = "folder"  # where it was found, by a name of core.encoders.ORIGINS
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.1
    learning_rate: float = 3e-4
    warmup_share: float = 0.08
    weight_decay: float = 0.01
    max_tokens: int = 256

    def __post_init__(self) -> None:
        if not 1e-5 <= self.learning_rate <= 1e-2:
            raise ValueError(f"learning_rate {self.learning_rate} is outside 1e-5 to 1e-2")
        if not 8 <= self.max_tokens <= 512:
            raise ValueError(f"max_tokens {self.max_tokens} is outside 8 to 512")


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """done and total in steps; loss since the last report, macro_f1 after an evaluation."""

    stage: str
    done: int
    total: int
    message: str = ""
    loss: float | None = None
    macro_f1: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    manifest: dict[str, Any]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    batch_size: int
    steps: int
    evaluates: bool  # after each epoch
    chooses_best: bool  # and keeps the best epoch, stopping early


Report = Callable[[TrainingProgress], None]
Measure = Callable[[Path], Evaluation]  # folder of a version → what it says of what was kept aside


def train(
    training: Sequence[TrainingExample],
    evaluation: Sequence[TrainingExample],
    *,
    config: TrainingConfig,
    out_dir: Path,
    measure: Measure = lambda folder: NOTHING,
    report: Report = lambda progress: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Train, measure and save a version in out_dir (written aside, renamed when complete).

    measure: gets the folder while it still stands aside; what it finds goes into manifest and model card.
    Raises Conflict when there is too little to learn from, Cancelled within a step of being asked; neither leaves
    anything behind.
    """
    refuse_too_few(training)
    warnings = missing_classes(training)
    schedule = plan(training, evaluation, quick=config.quick)
    device = find_device()
    report(
        TrainingProgress(
            N_("preparing"),
            0,
            schedule.steps,
            _("{base} on {device} in {precision}").format(
                base=config.base_name, device=device.name, precision=device.precision
            ),
        )
    )
    partial = out_dir.with_name(out_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        set_seed(config.seed)
        tokenizer = load_tokenizer(config.base_path)
        base = load_base(config.base_path)
        config = replace(config, max_tokens=min(config.max_tokens, longest_input(base, tokenizer)))
        model = add_lora(base, config)
        weights = class_weights(training)
        watcher = _Watcher(schedule, report, is_cancelled, model)
        trainer = Trainer(
            model=model,
            args=_arguments(config, schedule, device, partial),
            train_dataset=tokenise(training, tokenizer, config.max_tokens),
            eval_dataset=tokenise(evaluation, tokenizer, config.max_tokens) if schedule.evaluates else None,
            data_collator=DataCollatorWithPadding(tokenizer),
            processing_class=tokenizer,
            compute_loss_func=_weighted_loss(weights),
            compute_metrics=lambda prediction: _evaluate(prediction, partial),
            callbacks=[watcher],
        )
        trainer.remove_callback(PrinterCallback)
        begun = time.monotonic()
        trainer.train()
        if watcher.was_cancelled:
            raise Cancelled(_("Training was cancelled; nothing was changed."))
        watcher.restore_best()
        report(TrainingProgress(N_("saving"), trainer.state.global_step, schedule.steps))
        manifest = _manifest(config, schedule, device, training, evaluation, weights, warnings, watcher)
        manifest["seconds"] = round(time.monotonic() - begun, 1)
        _save(model, tokenizer, partial, config)
        record(partial, manifest)
        manifest = with_evaluation(manifest, measure(partial))
        record(partial, manifest)
        shutil.rmtree(out_dir, ignore_errors=True)
        partial.rename(out_dir)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return TrainingResult(manifest, tuple(warnings))


# --- before training ------------------------------------------------------------------------------------------------


def plan(training: Sequence[TrainingExample], evaluation: Sequence[TrainingExample], *, quick: bool) -> Schedule:
    """Decide batch, steps and whether the best epoch can be chosen honestly."""
    n = len(training)
    if quick:
        return Schedule(16, max(200, math.ceil(n / 16)), evaluates=False, chooses_best=False)
    batch = 16 if n < 2_000 else 32
    epochs = 10 if n < 1_000 else 5 if n < 5_000 else 3
    counts = Counter(example.label for example in evaluation)
    enough = len(evaluation) >= ENOUGH_TO_CHOOSE and min(counts.values()) >= ENOUGH_OF_EACH
    return Schedule(batch, max(300, epochs * math.ceil(n / batch)), evaluates=bool(evaluation), chooses_best=enough)


def tokenise(
    examples: Sequence[TrainingExample], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> datasets.Dataset:
    """Token ids, not padded (each batch is padded to its longest), with their length for batching by length.

    labels: [label, weight], for Trainer hands the loss nothing else of an example.
    """
    encoded = tokenizer([example.text for example in examples], truncation=True, max_length=max_tokens)
    columns = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    columns["labels"] = [[float(example.label), example.weight] for example in examples]
    columns["length"] = [len(ids) for ids in encoded["input_ids"]]
    return datasets.Dataset.from_dict(columns)


def add_lora(model: Any, config: TrainingConfig) -> Any:
    """Freeze the encoder and add adapters to its linear layers; head and pooler are trained and saved whole.

    An encoder from masked language modelling brings no pooler (DistilBERT: no pre_classifier): left out, a random one
    would be lost on reload.
    """
    names = [name for name, _module in model.named_modules()]
    is_bert = all(any(name.endswith(target) for name in names) for target in BERT_LINEAR)
    beside = [layer for layer in BESIDE_HEAD if any(name.rpartition(".")[2] == layer for name in names)]
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        bias="none",
        target_modules=BERT_LINEAR if is_bert else "all-linear",
        exclude_modules=rf"(.*\.)?({'|'.join(beside)})(\..*)?" if beside else None,
        modules_to_save=["classifier", *beside],
    )
    return get_peft_model(model, lora)


# --- training -------------------------------------------------------------------------------------------------------


def _arguments(config: TrainingConfig, schedule: Schedule, device: Device, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=schedule.batch_size,
        per_device_eval_batch_size=64,
        max_steps=schedule.steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(schedule.steps * config.warmup_share),
        weight_decay=config.weight_decay,
        max_grad_norm=1.0,
        bf16=device.precision == "bf16",
        fp16=device.precision == "fp16",
        use_cpu=device.kind == "cpu",
        dataloader_pin_memory=device.kind == "cuda",
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        eval_strategy="epoch" if schedule.evaluates else "no",
        save_strategy="no",
        logging_steps=max(1, schedule.steps // 100),
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        seed=config.seed,
        data_seed=config.seed,
    )


def _weighted_loss(weights: Sequence[float]) -> Callable[..., torch.Tensor]:
    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: object = None) -> torch.Tensor:
        logits = outputs["logits"].float()  # (batch, n_labels)
        truth, own_weights = labels[:, 0].long(), labels[:, 1]  # (batch,)
        of_class = torch.tensor(weights, device=logits.device)[truth]  # (batch,)
        losses = cross_entropy(logits, truth, reduction="none")  # (batch,)
        return (losses * of_class * own_weights).sum() / (of_class * own_weights).sum()

    return loss


def _evaluate(prediction: EvalPrediction, folder: Path) -> dict[str, Any]:
    predicted = prediction.predictions.argmax(axis=1)
    truth = prediction.label_ids[:, 0].astype(int)
    figures = compute_metrics(truth.tolist(), predicted.tolist(), cache_dir=str(folder / "metric"))
    return {"macro_f1": figures["macro_f1"], "accuracy": figures["accuracy"]}


class _Watcher(TrainerCallback):
    """Reports each step, stops when asked, and keeps the weights of the best epoch in memory."""

    def __init__(self, schedule: Schedule, report: Report, is_cancelled: Callable[[], bool], model: Any) -> None:
        self.was_cancelled = False
        self.best_macro_f1: float | None = None
        self.best_epoch: float | None = None
        self.curve: list[dict[str, float]] = []
        self._schedule = schedule
        self._report = report
        self._is_cancelled = is_cancelled
        self._model = model
        self._best: dict[str, torch.Tensor] | None = None
        self._worse_epochs = 0
        self._said_at = 0.0

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if time.monotonic() - self._said_at > SAY_EVERY_S or state.global_step == self._schedule.steps:
            self._say(state)
        if self._is_cancelled():
            self.was_cancelled = True
            control.should_training_stop = True

    def on_log(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            self._say(state, loss=float(logs["loss"]))

    def on_evaluate(
        self, args: Any, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **kwargs: Any
    ) -> None:
        macro_f1 = float(metrics["eval_macro_f1"])
        self.curve.append({"step": state.global_step, "macro_f1": macro_f1})
        self._say(state, macro_f1=macro_f1)
        if not self._schedule.chooses_best:
            return
        if self.best_macro_f1 is None or macro_f1 > self.best_macro_f1:
            self.best_macro_f1, self.best_epoch, self._worse_epochs = macro_f1, state.epoch, 0
            self._best = {
                name: value.clone()
                for name, value in get_peft_model_state_dict(self._model, save_embedding_layers=False).items()
            }
            return
        self._worse_epochs += 1
        control.should_training_stop = control.should_training_stop or self._worse_epochs >= PATIENCE

    def restore_best(self) -> None:
        if self._best is not None:
            set_peft_model_state_dict(self._model, self._best)

    def _say(self, state: TrainerState, *, loss: float | None = None, macro_f1: float | None = None) -> None:
        self._said_at = time.monotonic()
        message = _("step {step} of {steps}").format(step=state.global_step, steps=self._schedule.steps)
        self._report(TrainingProgress(N_("training"), state.global_step, self._schedule.steps, message, loss, macro_f1))


# --- after training -------------------------------------------------------------------------------------------------


def _manifest(
    config: TrainingConfig,
    schedule: Schedule,
    device: Device,
    training: Sequence[TrainingExample],
    evaluation: Sequence[TrainingExample],
    weights: Sequence[float],
    warnings: Sequence[str],
    watcher: _Watcher,
) -> dict[str, Any]:
    hyper = {
        k: v for k, v in asdict(config).items() if k not in ("base_path", "base_name", "base_origin", "snapshot_hash")
    }
    return {
        "format": 1,
        "base": {
            "name": config.base_name,
            "origin": config.base_origin,
            "sha256": weights_hash(config.base_path),
        },
        "labels": list(LABEL_NAMES),
        "hyper_parameters": hyper | asdict(schedule),
        "class_weights": dict(zip(LABEL_NAMES, weights, strict=True)),
        "training_mix": dict(zip(LABEL_NAMES, training_mix(training, weights).tolist(), strict=True)),
        "snapshot": config.snapshot_hash,
        "examples": {"training": by_label(training), "evaluation": by_label(evaluation)},
        "best_epoch": watcher.best_epoch,
        "evaluations": watcher.curve,
        "device": {"kind": device.kind, "name": device.name, "precision": device.precision},
        "libraries": libraries(LIBRARIES),
        "warnings": list(warnings),
        "metrics": {},
        "calibration": None,
    }


def _save(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, config: TrainingConfig) -> None:
    """Adapter with head, and tokenizer; nothing that names a folder of this machine."""
    for scratch in ("trainer", "metric"):
        shutil.rmtree(folder / scratch, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = config.base_name
    model.save_pretrained(folder, save_embedding_layers=False)
    tokenizer.save_pretrained(folder)
