"""Base encoders that lie on this machine, found by their config files; nothing is loaded and nothing downloaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import NotFound
from core.wording import _

REFERENCE = "hfl/chinese-roberta-wwm-ext"
STARTER = "starter"
BERT_LIKE = frozenset({"bert", "roberta", "electra", "ernie", "xlm-roberta", "distilbert", "camembert"})
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model")


@dataclass(frozen=True, slots=True)
class Encoder:
    """A folder in Hub layout with config, weights and tokenizer. origin: where it was found."""

    name: str
    path: Path
    layers: int
    hidden: int
    vocabulary: int
    origin: str


def local_encoders(*, models_dir: Path, starter_dir: Path, hub_cache: Path) -> list[Encoder]:
    """Return what can be trained from: the reference first where it lies here, the shipped starter last."""
    found = [*_in_base_folder(models_dir / "base"), *_in_hub_cache(hub_cache)]
    starter = read_encoder(starter_dir, name=STARTER, origin="shipped")
    distinct = {encoder.name: encoder for encoder in reversed(found)}
    ordered = sorted(distinct.values(), key=lambda encoder: (not _is_reference(encoder), encoder.name))
    return [*ordered, *([starter] if starter else [])]


def _is_reference(encoder: Encoder) -> bool:
    return encoder.name in (REFERENCE, REFERENCE.rpartition("/")[2])


def resolve_encoder(wanted: str | None, *, models_dir: Path, starter_dir: Path, hub_cache: Path) -> Encoder:
    """Return the encoder of that name or folder; without a name the first of local_encoders.

    Raises NotFound, saying what there is and where to put more.
    """
    here = local_encoders(models_dir=models_dir, starter_dir=starter_dir, hub_cache=hub_cache)
    if wanted is None and here:
        return here[0]
    named = next((encoder for encoder in here if wanted in (encoder.name, encoder.name.rpartition("/")[2])), None)
    if named is not None:
        return named
    if wanted and (Path(wanted) / "config.json").is_file():
        folder = read_encoder(Path(wanted).resolve(), name=str(Path(wanted).resolve()), origin="folder")
        if folder is not None:
            return folder
    have = ", ".join(encoder.name for encoder in here) or "none"
    raise NotFound(
        _(
            "There is no base encoder {wanted!r} on this machine (there are: {have}). Put a BERT-like "
            "encoder with config.json, weights and tokenizer into {models_dir}/<name>/; nothing is "
            "downloaded unasked."
        ).format(wanted=wanted, have=have, models_dir=models_dir / "base")
    )


def _in_base_folder(folder: Path) -> Iterator[Encoder]:
    for config in sorted(folder.glob("**/config.json")):
        name = config.parent.relative_to(folder).as_posix()
        encoder = read_encoder(config.parent, name=name, origin="models/base")
        if encoder is not None:
            yield encoder


def _in_hub_cache(cache: Path) -> Iterator[Encoder]:
    """models--ORG--NAME/snapshots/REVISION/, the revision that refs/main points to first."""
    for model in sorted(cache.glob("models--*")):
        name = model.name.removeprefix("models--").replace("--", "/")
        reference = model / "refs" / "main"
        revisions = [reference.read_text().strip()] if reference.is_file() else []
        revisions += sorted(path.name for path in model.glob("snapshots/*"))
        snapshots = (model / "snapshots" / revision for revision in revisions)
        encoder = next((e for path in snapshots if (e := read_encoder(path, name=name, origin="hub cache"))), None)
        if encoder is not None:
            yield encoder


def read_encoder(folder: Path, *, name: str, origin: str) -> Encoder | None:
    """The encoder in a folder; None when it is not BERT-like or not complete."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers = int(config.get("num_hidden_layers") or config["n_layers"])  # DistilBERT has its own names
        hidden = int(config.get("hidden_size") or config["dim"])
        vocabulary, model_type = int(config.get("vocab_size", 0)), str(config.get("model_type"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    complete = weights_file(folder) is not None and any((folder / file).is_file() for file in TOKENIZERS)
    if model_type not in BERT_LIKE or not complete:
        return None
    return Encoder(name, folder, layers, hidden, vocabulary, origin)


def weights_file(folder: Path) -> Path | None:
    return next((folder / file for file in WEIGHTS if (folder / file).is_file()), None)
