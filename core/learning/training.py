"""Training one version: LoRA on a BERT-like encoder, from plain examples to an adapter folder.

Recipe: LoRA (Hu et al. 2021) on all linear layers of the encoder, r 16, rate 3e-4, linear decay after a short
warm-up, mild class weights. The adapter starts anew each time, so no version depends on the path to it.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from peft import LoraConfig, TaskType, get_peft_model
from transformers import PreTrainedTokenizerBase, set_seed

from core.domain import LABEL_NAMES
from core.encoders import weights_hash
from core.errors import Cancelled
from core.evaluation import NOTHING, Evaluation
from core.learning import quantising
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
from core.learning.fitting import Encoded, Fitted, Place, Rates, Report, Setup, TrainingProgress, fit
from core.learning.folders import written_aside
from core.learning.manifests import libraries, record, with_evaluation, with_hashes
from core.learning.schedules import ENOUGH_OF_EACH, ENOUGH_TO_CHOOSE, Schedule, plan
from core.learning.seats import Crew, Seat
from core.wording import N_, _

BERT_LINEAR = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
BESIDE_HEAD = ("pooler", "pre_classifier")  # layers of a classifier that masked language modelling does not bring
LIBRARIES = ("torch", "transformers", "peft", "accelerate", "datasets", "evaluate", "scikit-learn")
NOT_HYPER = frozenset({"base_path", "base_name", "base_origin", "snapshot_hash"})
HEARD_EVERY_S = 0.5  # what other processes say, and whether somebody asked to stop


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides the outcome; stored in the manifest. Steps and batches follow from the examples."""

    base_path: Path
    base_name: str
    quick: bool
    seed: int
    snapshot_hash: str
    base_origin: str = "folder"  # where it was found, by a name of core.encoders.ORIGINS
    load_in_8bit: bool = False
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
class TrainingResult:
    manifest: dict[str, Any]
    warnings: tuple[str, ...]


Measure = Callable[[Path], Evaluation]  # folder of a version → what it says of what was kept aside


def train(
    training: Sequence[TrainingExample],
    evaluation: Sequence[TrainingExample],
    *,
    config: TrainingConfig,
    out_dir: Path,
    schedule: Schedule | None = None,
    devices: Sequence[Device] = (),
    warnings: Sequence[str] = (),
    measure: Measure = lambda folder: NOTHING,
    report: Report = lambda progress: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Train, measure and save a version in out_dir (written aside, renamed when complete).

    schedule: without one, what suits the number of labels. devices: a process on each where there are several; without
    any the best there is. warnings: what the version is to say beside what is noticed here. measure: gets the folder
    while it still stands aside; what it finds goes into manifest and model card. Raises Conflict when there is too
    little to learn from, Cancelled within a step of being asked; neither leaves anything behind.
    """
    refuse_too_few(training)
    schedule = schedule or plan(training, evaluation, quick=config.quick)
    warnings = [*warnings, *missing_classes(training), *_cannot_choose(schedule)]
    devices = devices or [find_device()]
    if config.load_in_8bit:
        quantising.options(devices[0].place)  # refused before anything begins
    setup = _set_up(schedule, devices, class_weights(training))
    report(
        TrainingProgress(
            N_("preparing"),
            0,
            schedule.steps,
            _("{base} on {device} in {precision}").format(
                base=config.base_name, device=setup.device, precision=setup.precision
            ),
            setup=setup,
        )
    )
    with written_aside(out_dir) as partial:
        order = _Order(tuple(training), tuple(evaluation), config, schedule, setup, partial)
        begun = time.monotonic()
        config, fitted = _learn_on(order, devices, report, is_cancelled)
        manifest = _manifest(order, config, fitted, devices, warnings)
        manifest["seconds"] = round(time.monotonic() - begun, 1)
        manifest = with_hashes(partial, manifest)
        record(partial, manifest)
        manifest = with_evaluation(manifest, measure(partial))
        record(partial, manifest)
    return TrainingResult(manifest, tuple(warnings))


# --- before training ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be trained; every process of a training gets the same. folder: where the version is saved."""

    training: tuple[TrainingExample, ...]
    evaluation: tuple[TrainingExample, ...]
    config: TrainingConfig
    schedule: Schedule
    setup: Setup
    folder: Path


def _cannot_choose(schedule: Schedule) -> list[str]:
    if not schedule.evaluates or schedule.chooses_best:
        return []
    said = _(
        "Too few posts are kept aside to choose the best epoch by ({least} are needed, {of_each} of each label): the "
        "last one was kept."
    )
    return [said.format(least=ENOUGH_TO_CHOOSE, of_each=ENOUGH_OF_EACH)]


def _set_up(schedule: Schedule, devices: Sequence[Device], weights: Sequence[float]) -> Setup:
    return Setup(
        device=devices[0].name,
        devices=len(devices),
        precision=devices[0].precision,
        batch_size=schedule.batch_size,
        at_once=-(-schedule.batch_size // len(devices)),
        steps=schedule.steps,
        class_weights=dict(zip(LABEL_NAMES, weights, strict=True)),
        chooses_best=schedule.chooses_best,
    )


def encode(
    examples: Sequence[TrainingExample],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    class_weights: Sequence[float],
) -> Encoded:
    """Token ids, not padded, and how much each example counts: by its class, and by itself."""
    if not examples:  # of which a tokenizer makes an error
        return Encoded([], np.zeros(0, dtype=np.int64), torch.zeros(0))
    ids = tokenizer(
        [example.text for example in examples], truncation=True, max_length=max_tokens, return_attention_mask=False
    )["input_ids"]
    weights = [example.weight * class_weights[example.label] for example in examples]
    labels = np.array([example.label for example in examples], dtype=np.int64)
    return Encoded(ids, labels, torch.tensor(weights, dtype=torch.float32))


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


def prepare(base: Any, config: TrainingConfig, place: Place) -> Any:
    """The encoder with adapters, on the device and as it is trained there."""
    model = add_lora(base, config)
    if not config.load_in_8bit:  # whose frozen weights lie there as they are
        model = hold_frozen(model, place.kind)
    return model.to(place.device)


def hold_frozen(model: Any, kind: torch.dtype | None) -> Any:
    """Hold what is not trained in the precision that it is computed in; returns the model.

    Only weights of linear layers: autocast would convert them at every step, and keep both. Nothing else changes.
    """
    for module in model.modules():
        if kind is not None and isinstance(module, torch.nn.Linear) and not module.weight.requires_grad:
            module.to(kind)
    return model


# --- training -------------------------------------------------------------------------------------------------------


def _learn_on(
    order: _Order, devices: Sequence[Device], report: Report, is_cancelled: Callable[[], bool]
) -> tuple[TrainingConfig, Fitted]:
    """In this process on one device; on several in a process for each, while this one listens."""
    if len(devices) == 1:
        place = Place(torch.device(devices[0].place), devices[0].precision)
        return _learn(order, place, report, is_cancelled)
    with Crew(_learn_in_seat, [device.place for device in devices], order, devices[0].precision) as crew:
        while not crew.is_done:
            for _rank, progress in crew.hear(timeout_s=HEARD_EVERY_S):
                report(progress)
            if is_cancelled():
                raise Cancelled(_("Training was cancelled; nothing was changed."))
        config, fitted = crew.results[0]
        return config, fitted


def _learn_in_seat(seat: Seat, order: _Order, precision: str) -> tuple[TrainingConfig, Fitted]:
    device = torch.device(seat.device)
    if device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // seat.count))
    else:
        torch.cuda.set_device(device)
    os.environ["ACCELERATE_TORCH_DEVICE"] = seat.device  # by rank it would be another one, where a GPU is left out
    # By the loopback: all of them are on this machine, whose name may lead nowhere.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    state = PartialState(
        cpu=device.type == "cpu",
        init_method=f"file://{seat.meeting}",
        rank=seat.rank,
        world_size=seat.count,
    )
    place = Place(device, precision, seat.rank, seat.count)
    report: Report = seat.say if seat.rank == 0 else lambda progress: None
    try:
        return _learn(order, place, report, lambda: False)
    finally:
        state.destroy_process_group()


def _learn(
    order: _Order, place: Place, report: Report, is_cancelled: Callable[[], bool]
) -> tuple[TrainingConfig, Fitted]:
    """Train, and save what came out (the first process does); returns the config with what the encoder allows."""
    set_seed(order.config.seed)
    tokenizer = load_tokenizer(order.config.base_path)
    base = load_base(order.config.base_path, in_8bit_on=str(place.device) if order.config.load_in_8bit else None)
    config = replace(order.config, max_tokens=min(order.config.max_tokens, longest_input(base, tokenizer)))
    model = prepare(base, config, place)
    set_seed(config.seed + place.rank)  # what is dropped out differs between processes
    weights = list(order.setup.class_weights.values())
    training = encode(order.training, tokenizer, max_tokens=config.max_tokens, class_weights=weights)
    evaluation = encode(order.evaluation, tokenizer, max_tokens=config.max_tokens, class_weights=weights)
    fitted = fit(
        model,
        training,
        evaluation if order.schedule.evaluates else None,
        schedule=order.schedule,
        rates=Rates(config.learning_rate, config.warmup_share, config.weight_decay, config.seed),
        setup=order.setup,
        place=place,
        padding=tokenizer.pad_token_id,
        report=report,
        is_cancelled=is_cancelled,
        metric_folder=str(order.folder / f"metric-{place.rank}"),
    )
    if place.rank == 0:
        report(TrainingProgress(N_("saving"), len(fitted.losses), order.schedule.steps))
        _save(model, tokenizer, order.folder, config)
    shutil.rmtree(order.folder / f"metric-{place.rank}", ignore_errors=True)
    return config, fitted


# --- after training -------------------------------------------------------------------------------------------------


def _manifest(
    order: _Order, config: TrainingConfig, fitted: Fitted, devices: Sequence[Device], warnings: Sequence[str]
) -> dict[str, Any]:
    hyper = {k: v for k, v in asdict(config).items() if k not in NOT_HYPER}
    weights = order.setup.class_weights
    mix = training_mix(order.training, list(weights.values())).tolist()
    device = devices[0]
    return {
        "format": 1,
        "base": {"name": config.base_name, "sha256": weights_hash(config.base_path), "origin": config.base_origin},
        "labels": list(LABEL_NAMES),
        "hyper_parameters": hyper | asdict(order.schedule) | {"computed_at_once": fitted.at_once},
        "class_weights": weights,
        "training_mix": dict(zip(LABEL_NAMES, mix, strict=True)),
        "snapshot": config.snapshot_hash,
        "examples": {"training": by_label(order.training), "evaluation": by_label(order.evaluation)},
        "best_epoch": fitted.best_epoch,
        "evaluations": fitted.curve,
        "device": {
            "kind": device.kind,
            "name": device.name,
            "precision": device.precision,
            "count": len(devices),
        },
        "libraries": libraries(LIBRARIES),
        "warnings": list(warnings),
        "metrics": {},
        "calibration": None,
    }


def _save(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, config: TrainingConfig) -> None:
    """Adapter with head, and tokenizer; nothing that names a folder of this machine."""
    model.peft_config["default"].base_model_name_or_path = config.base_name
    model.save_pretrained(folder, save_embedding_layers=False)
    tokenizer.save_pretrained(folder)
