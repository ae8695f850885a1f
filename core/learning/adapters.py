"""A LoRA adapter in a folder, ours or one that plain PEFT saved: read as safetensors and JSON, and as nothing else.

Nothing in the folder decides what else is loaded: no pickle, no code, no module by name, no link or path out of it,
and no base encoder but the one that is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.labels import parse_label
from core.learning.classifiers import load_base_and_gaps
from core.wording import _

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MODEL_CONFIG = "config.json"
PREFIX = "base_model.model."  # of the names of tensors in an adapter
UNDERSTOOD = (
    *("r", "lora_alpha", "lora_dropout", "bias", "target_modules", "exclude_modules", "modules_to_save"),
    *("fan_in_fan_out", "use_rslora", "use_dora", "layers_to_transform", "layers_pattern", "rank_pattern"),
    *("alpha_pattern", "lora_bias"),
)
# These neither change what an adapter computes nor are looked at.
IGNORED = (
    *("base_model_name_or_path", "revision", "peft_version", "peft_type", "task_type", "inference_mode"),
    *("auto_mapping", "init_lora_weights", "megatron_core", "qalora_group_size", "runtime_config", "id2label"),
    *("ensure_weight_tying", "loftq_config"),
)
MAX_JSON_BYTES = 1_000_000


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of the folder. Raises BadInput when it is none, or stands outside."""
    path = inside(folder, name)
    if path.stat().st_size > MAX_JSON_BYTES:
        raise BadInput(_("{path} is larger than a configuration can be.").format(path=path))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as err:
        raise BadInput(_("{path} is not JSON: {err}").format(path=path, err=err)) from err
    if not isinstance(found, dict):
        raise BadInput(_("{path} is not a JSON object.").format(path=path))
    return found


def inside(folder: Path, name: str) -> Path:
    """The file of that name in the folder. Raises BadInput where there is none, and for a link."""
    path = folder / name
    if path.is_symlink():
        raise BadInput(_("{path} is a link; copy the file itself into the folder.").format(path=path))
    if not path.is_file():
        raise BadInput(_("{folder} has no file {name}.").format(folder=folder, name=name))
    return path


def read_tensors(folder: Path, name: str = WEIGHTS) -> dict[str, torch.Tensor]:
    path = inside(folder, name)
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (OSError, ValueError, SafetensorError) as err:
        raise BadInput(_("{path} cannot be read as safetensors: {err}").format(path=path, err=err)) from err
    return tensors


def read_config(folder: Path) -> LoraConfig:
    """What kind of adapter it is. Raises BadInput for another method than LoRA, and for options not understood here."""
    found = read_json(folder, CONFIG)
    if found.get("peft_type") != "LORA" or found.get("task_type") not in ("SEQ_CLS", None):
        raise BadInput(
            _("{folder} holds no LoRA adapter for classification (peft_type {kind}, task_type {task}).").format(
                folder=folder, kind=found.get("peft_type"), task=found.get("task_type")
            )
        )
    other = [name for name, value in found.items() if name not in (*UNDERSTOOD, *IGNORED) and value]
    if other:
        raise BadInput(
            _("{path} uses {options}, which is not understood here.").format(
                path=folder / CONFIG, options=", ".join(sorted(other))
            )
        )
    try:
        return LoraConfig(
            task_type=TaskType.SEQ_CLS,
            inference_mode=True,
            **{name: found[name] for name in UNDERSTOOD if found.get(name) is not None},
        )
    except (TypeError, ValueError) as err:
        raise BadInput(
            _("{path} is no configuration of an adapter: {err}").format(path=folder / CONFIG, err=err)
        ) from err


def load_merged(folder: Path, *, base_path: Path, in_8bit_on: str | None = None) -> Any:
    """The encoder in base_path with the adapter and head of the folder merged into it.

    in_8bit_on: the encoder in 8 bits on that device. The adapter stays beside it then: merged, it would be rounded too.

    Raises BadInput when they do not belong together, or when a layer is left that neither of them brings: random
    weights would answer.
    """
    config, tensors = read_config(folder), read_tensors(folder)
    model, gaps = load_base_and_gaps(base_path, in_8bit_on=in_8bit_on)
    missing = [name for name in gaps if PREFIX + name not in tensors]
    if missing:
        raise BadInput(
            _(
                "Neither the base encoder in {base} nor the adapter in {folder} brings {layers}: what it says would be "
                "chance."
            ).format(base=base_path, folder=folder, layers=", ".join(missing[:4]))
        )
    try:
        tuned = get_peft_model(model, config)
        result = set_peft_model_state_dict(tuned, tensors)
        lost = [name for name in result.missing_keys if "lora_" in name or "modules_to_save" in name]
    except (KeyError, RuntimeError, TypeError, ValueError) as err:
        raise BadInput(_misfit(folder, base_path, err)) from err
    if lost or result.unexpected_keys:
        raise BadInput(_misfit(folder, base_path, ", ".join([*lost, *result.unexpected_keys][:4])))
    return tuned.merge_and_unload() if in_8bit_on is None else tuned


def _misfit(folder: Path, base_path: Path, reason: object) -> str:
    return _("The adapter in {folder} does not fit the base encoder in {base}: {reason}").format(
        folder=folder, base=base_path, reason=str(reason)[:300]
    )


def label_order(folder: Path) -> tuple[str, ...] | None:
    """The labels of an adapter's head in order, by the id2label of its config; None where it names none.

    Raises BadInput for labels that are not ours.
    """
    configs = [name for name in (MODEL_CONFIG, CONFIG) if (folder / name).is_file()]
    found = next((said for name in configs if (said := read_json(folder, name).get("id2label"))), None)
    if not isinstance(found, dict) or any(str(value).startswith("LABEL_") for value in found.values()):
        return None
    return checked_order([str(found[key]) for key in sorted(found, key=str)])


def checked_order(names: Sequence[str]) -> tuple[str, ...]:
    """English names. Raises BadInput unless they are all of ours, once each."""
    order = tuple(parse_label(name) for name in names)
    if sorted(order) != sorted(LABEL_NAMES):
        raise BadInput(
            _("The labels {names} are not {wanted}, once each.").format(
                names=", ".join(names), wanted=", ".join(LABEL_NAMES)
            )
        )
    return order
