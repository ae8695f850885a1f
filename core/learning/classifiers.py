"""A sequence classifier on a base encoder: always local, never remote code, labels in Label order."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.learning import quantising
from core.wording import _

COUNTS_BEHIND_PADDING = ("roberta", "xlm-roberta", "camembert")


def quieten_libraries() -> None:
    """What they say to programmers, and bars of their own, would end up in a run's log and between our lines."""
    transformers_logging.set_verbosity_error()  # a fresh head is meant, no reason to warn
    transformers_logging.disable_progress_bar()
    # peft asks a model for a property that transformers has renamed.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)


def load_base(path: Path, *, in_8bit_on: str | None = None) -> Any:
    """Load an encoder with a fresh three-class head in float32; in_8bit_on: its other weights in 8 bits, there.

    Weights come from safetensors, or from a .bin read with weights only. Raises BadInput when they cannot be read.
    """
    return load_base_and_gaps(path, in_8bit_on=in_8bit_on)[0]


def load_base_and_gaps(path: Path, *, in_8bit_on: str | None = None) -> tuple[Any, list[str]]:
    """(as load_base returns it, names of the weights that it did not bring and that are random therefore)."""
    quieten_libraries()
    in_8bit = {} if in_8bit_on is None else quantising.options(in_8bit_on)
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            path,
            num_labels=len(LABEL_NAMES),
            id2label=dict(enumerate(LABEL_NAMES)),
            label2id={name: index for index, name in enumerate(LABEL_NAMES)},
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            **in_8bit,
        )
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as err:
        raise BadInput(_("The base encoder in {path} cannot be loaded: {err}").format(path=path, err=err)) from err
    other_shapes = (found[0] for found in info["mismatched_keys"])
    return model, sorted({*info["missing_keys"], *other_shapes})


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as err:
        raise BadInput(_("The tokenizer in {path} cannot be loaded: {err}").format(path=path, err=err)) from err
    return tokenizer


def longest_input(base: Any, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that the encoder has positions for; the RoBERTa family starts to count behind its padding token."""
    positions = int(getattr(base.config, "max_position_embeddings", 512))
    behind_padding = (base.config.pad_token_id or 0) + 1 if base.config.model_type in COUNTS_BEHIND_PADDING else 0
    return min(positions - behind_padding, tokenizer.model_max_length)
