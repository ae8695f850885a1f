"""Adapters that other programs made with plain PEFT, as classifiers like our own versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import BadInput
from core.learning import adapters
from core.learning.classifiers import load_tokenizer, longest_input
from core.learning.device import find_device
from core.learning.heads import reorder
from core.learning.manifests import NO_CORRECTION
from core.learning.scoring import Classifier
from core.wording import _

MAX_TOKENS = 256  # as our own versions read, where the encoder has positions for so many


def is_adapter(folder: Path) -> bool:
    return (folder / adapters.CONFIG).is_file()


def base_name(folder: Path) -> str:
    """How the adapter calls its base encoder. It may be a path on another machine: only its last part is a name."""
    return str(adapters.read_json(folder, adapters.CONFIG).get("base_model_name_or_path") or "")


def load_adapter(folder: Path, *, base_path: Path, order: Sequence[str] = (), in_8bit: bool = False) -> Classifier:
    """A classifier in Label order, without correction: nothing is known of what the adapter was measured on.

    order: the labels of its head; without it its id2label says them. The tokenizer is the base's own. Raises BadInput
    when the labels are not known, or adapter and base do not belong together.
    """
    named = adapters.checked_order(order) if order else adapters.label_order(folder)
    if named is None:
        raise BadInput(
            _(
                "{folder} does not say what its labels mean (no id2label); say it with --label-order, for example "
                "normal,suspicious,violation."
            ).format(folder=folder)
        )
    device = find_device()
    model = adapters.load_merged(folder, base_path=base_path, in_8bit_on=device.place if in_8bit else None)
    reorder(model, named)
    tokenizer = load_tokenizer(base_path)
    tokens = min(MAX_TOKENS, longest_input(model, tokenizer))
    return Classifier(model, tokenizer, device, max_tokens=tokens, correction=NO_CORRECTION)
