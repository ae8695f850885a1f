"""A version that comes from another machine: looked at as if a stranger had sent it, and written anew.

Only safetensors and JSON are read. What goes on into the versions folder is made here: tensors and settings that were
understood, the tokenizer of the base encoder on this machine, and of the manifest what has the form it should have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.learning import adapters, baseline
from core.learning.classifiers import load_tokenizer
from core.learning.examples import unseen
from core.learning.manifests import MANIFEST, file_hash
from core.wording import _

FORMAT = 1
MAX_TEXT = 200
MAX_NODES = 20_000
KEPT = (
    *("hyper_parameters", "class_weights", "examples", "best_epoch", "evaluations", "device", "libraries", "seconds"),
    "folded",
)
LONGEST_INPUT = 512
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a folder brings. manifest: as far as it was understood. sha256: of its base's weights, None: a baseline."""

    folder: Path
    manifest: dict[str, Any]
    base_name: str
    sha256: str | None


def look_at(folder: Path) -> Arrival:
    """Check the folder against its own manifest: label order, the hash of each file.

    Raises BadInput with the reason, and for a link, a manifest without hashes, or a file that is not what it says.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise BadInput(_("{folder} is not a folder; name the one that was copied here.").format(folder=folder))
    found = adapters.read_json(folder, MANIFEST)
    if found.get("format") != FORMAT or found.get("labels") != list(LABEL_NAMES):
        raise BadInput(
            _("{folder} has labels {labels} in format {format}, expected {expected} in this order.").format(
                folder=folder,
                labels=str(found.get("labels"))[:MAX_TEXT],
                format=str(found.get("format"))[:20],
                expected=list(LABEL_NAMES),
            )
        )
    base_name, sha256 = _base(folder, found)
    names = (baseline.WEIGHTS, baseline.VOCABULARY) if sha256 is None else (adapters.WEIGHTS, adapters.CONFIG)
    for name in names:
        _check_hash(folder, name, found.get("files"))
    return Arrival(folder, _understood(folder, found), base_name, sha256)


def _base(folder: Path, found: dict[str, Any]) -> tuple[str, str | None]:
    base = found.get("base")
    name, sha256 = (base.get("name"), base.get("sha256")) if isinstance(base, dict) else (None, None)
    if name == baseline.NAME and sha256 is None:
        return baseline.NAME, None
    if not isinstance(name, str) or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise _odd(folder, "base")
    return Path(name).name[:MAX_TEXT] if name.startswith("/") else name[
        :MAX_TEXT
    ], sha256  # a folder there is none here


def _check_hash(folder: Path, name: str, files: object) -> None:
    path = adapters.inside(folder, name)
    said = files.get(name) if isinstance(files, dict) else None
    if not isinstance(said, str):
        raise BadInput(
            _(
                "The manifest in {folder} has no hash of {name}: it is of an older version. "
                "`tiebreak export model … --format adapter` there writes one that has."
            ).format(folder=folder, name=name)
        )
    if file_hash(path) != said:
        raise BadInput(
            _("{path} is not the file that the manifest speaks of (its hash differs); copy it again.").format(path=path)
        )


def _understood(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    mix, parameters = found.get("training_mix"), found.get("hyper_parameters")
    if not isinstance(mix, dict) or not all(_is_share(mix.get(name)) for name in LABEL_NAMES):
        raise _odd(folder, "training_mix")
    tokens = parameters.get("max_tokens", LONGEST_INPUT) if isinstance(parameters, dict) else None
    if not isinstance(tokens, int) or not 8 <= tokens <= LONGEST_INPUT:
        raise _odd(folder, "hyper_parameters")
    snapshot = found.get("snapshot")
    if not isinstance(snapshot, str) or not re.fullmatch(r"[\w-]{1,64}", snapshot):
        raise _odd(folder, "snapshot")
    if not _are_counts(found.get("examples")):
        raise _odd(folder, "examples")
    kept = {name: found[name] for name in KEPT if name in found}
    if not _is_plain(kept, [MAX_NODES], depth=8):
        raise _odd(folder, _("what it says of the training"))
    return kept | {
        "format": FORMAT,
        "labels": list(LABEL_NAMES),
        "training_mix": {name: float(mix[name]) for name in LABEL_NAMES},
        "snapshot": snapshot,
        "warnings": unseen(found["examples"]["training"]),
        "metrics": {},
        "calibration": None,
    }


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _are_counts(value: object) -> bool:
    counts = value.get("training") if isinstance(value, dict) else None
    return isinstance(counts, dict) and all(isinstance(counts.get(name), int) for name in LABEL_NAMES)


def _is_plain(value: object, left: list[int], *, depth: int) -> bool:
    """Numbers, short strings, and not too many or too deep. left: how many more there may be."""
    left[0] -= 1
    if left[0] < 0 or not depth:
        return False
    if isinstance(value, dict):
        return all(
            len(str(name)) <= MAX_TEXT and _is_plain(each, left, depth=depth - 1) for name, each in value.items()
        )
    if isinstance(value, list):
        return all(_is_plain(each, left, depth=depth - 1) for each in value)
    return len(value) <= MAX_TEXT if isinstance(value, str) else value is None or isinstance(value, int | float)


def _odd(folder: Path, field: str) -> BadInput:
    said = _("The manifest in {folder} is not one that Tiebreak writes: {field} is missing or odd.")
    return BadInput(said.format(folder=folder, field=field))


def take_in(arrival: Arrival, folder: Path, *, base_path: Path | None) -> None:
    """Write what was understood of it into the folder. base_path: of its encoder here; None for a baseline."""
    if base_path is None:
        baseline.save_baseline(baseline.load_baseline(arrival.folder), folder)
        return
    config, tensors = adapters.read_config(arrival.folder), adapters.read_tensors(arrival.folder)
    config.base_model_name_or_path = arrival.base_name
    config.save_pretrained(folder)
    save_file(tensors, folder / adapters.WEIGHTS, {"format": "pt"})
    load_tokenizer(base_path).save_pretrained(folder)
