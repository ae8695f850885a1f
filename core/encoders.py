"""Base encoders that lie on this machine, found by their config files; nothing is loaded and nothing downloaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInput, NotFound
from core.wording import N_, _

REFERENCE = "hfl/chinese-roberta-wwm-ext"
STARTER = "starter"
BERT_LIKE = frozenset({"bert", "roberta", "electra", "ernie", "xlm-roberta", "distilbert", "camembert"})
PICKLED = "pytorch_model.bin"
WEIGHTS = ("model.safetensors", PICKLED)
TOKENIZERS = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model")
PARTIAL = ".partial"  # ends the name of a folder that is not complete: of a download, or a pretraining

ORIGINS = {
    "models/base": N_("in models/base"),
    "hub cache": N_("in the cache of Hugging Face"),
    "folder": N_("in a folder that was named"),
    "shipped": N_("shipped with the program"),
}


@dataclass(frozen=True, slots=True)
class Encoder:
    """A folder in Hub layout with config, weights and tokenizer. origin: where it was found, by a name of ORIGINS."""

    name: str
    path: Path
    layers: int
    hidden: int
    vocabulary: int
    origin: str

    @property
    def operations(self) -> int:
        """What a token costs in the layers' products, up to a factor that all encoders of this shape share."""
        return self.layers * self.hidden**2

    @property
    def words(self) -> str:
        return f"{self.name} ({_(ORIGINS[self.origin])})"


def local_encoders(*, models_dir: Path, starter_dir: Path, hub_cache: Path) -> list[Encoder]:
    """Return what can be trained from: the reference first where it lies here, the shipped starter last."""
    found = [*_in_base_folder(models_dir / "base"), *_in_hub_cache(hub_cache)]
    starter = read_encoder(starter_dir, name=STARTER, origin="shipped")
    distinct = {encoder.name: encoder for encoder in reversed(found)}
    ordered = sorted(distinct.values(), key=lambda encoder: (not is_reference(encoder), encoder.name))
    return [*ordered, *([starter] if starter else [])]


def is_reference(encoder: Encoder) -> bool:
    return encoder.name in (REFERENCE, REFERENCE.rpartition("/")[2])


def resolve_encoder(wanted: str | None, *, models_dir: Path, starter_dir: Path, hub_cache: Path) -> Encoder:
    """Return the encoder of that name or folder; without a name the first of local_encoders.

    Raises NotFound, saying what there is and where to put more.
    """
    here = local_encoders(models_dir=models_dir, starter_dir=starter_dir, hub_cache=hub_cache)
    if wanted is None and here:
        return here[0]
    found = next((encoder for encoder in here if wanted and _is_called(encoder, wanted)), None)
    if found is None and wanted:
        found = _in_folder(Path(wanted).resolve(), here)
    if found is None:
        raise _not_here(wanted, here, models_dir)
    return found


def _is_called(encoder: Encoder, name: str) -> bool:
    return name in (encoder.name, encoder.name.rpartition("/")[2])


def _in_folder(folder: Path, here: Iterable[Encoder]) -> Encoder | None:
    """The encoder in a folder that was named, by its own name where it is one of those here."""
    known = next((encoder for encoder in here if encoder.path.resolve() == folder), None)
    return known or read_encoder(folder, name=str(folder), origin="folder")


def _not_here(wanted: str | None, here: Iterable[Encoder], models_dir: Path) -> NotFound:
    have = ", ".join(encoder.name for encoder in here) or "none"
    return NotFound(
        _(
            "There is no base encoder {wanted!r} on this machine (there are: {have}). Put a BERT-like "
            "encoder with config.json, weights and tokenizer into {models_dir}/<name>/, or let "
            "`tiebreak base pull ORG/NAME` download one; nothing is downloaded unasked."
        ).format(wanted=wanted, have=have, models_dir=models_dir / "base")
    )


def resolve_trained_on(name: str, sha256: str, *, models_dir: Path, starter_dir: Path, hub_cache: Path) -> Encoder:
    """Return the encoder with these weights: the one of that name, or one that has another name on this machine.

    Where it was a folder of this machine, its whole path is the name. Raises BadInput when an encoder of that name has
    other weights: an adapter would turn them into noise; NotFound when there is none.
    """
    here = local_encoders(models_dir=models_dir, starter_dir=starter_dir, hub_cache=hub_cache)
    named = [encoder for encoder in here if _is_called(encoder, name)]
    if Path(name).is_absolute() and (folder := _in_folder(Path(name), here)) is not None:
        named.append(folder)
    for encoder in [*named, *(encoder for encoder in here if encoder not in named)]:
        if weights_hash(encoder.path) == sha256:
            return encoder
    if not named:
        raise _not_here(name, here, models_dir)
    found = named[0].path
    raise BadInput(
        _(
            "The version was trained on {base} with weights {expected}…, but {path} holds {found}…; put the "
            "original base encoder back."
        ).format(base=name, expected=sha256[:12], path=found, found=weights_hash(found)[:12])
    )


def _in_base_folder(folder: Path) -> Iterator[Encoder]:
    for config in sorted(folder.glob("**/config.json")):
        name = config.parent.relative_to(folder).as_posix()
        encoder = read_encoder(config.parent, name=name, origin="models/base")
        if encoder is not None and not any(part.endswith(PARTIAL) for part in name.split("/")):
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
    shape = _read_shape(folder)
    complete = weights_file(folder) is not None and any((folder / file).is_file() for file in TOKENIZERS)
    return Encoder(name, folder, *shape, origin) if shape is not None and complete else None


def is_bert_like(folder: Path) -> bool:
    """Whether the config in the folder is of an encoder that can be trained here; the weights need not be there."""
    return _read_shape(folder) is not None


def _read_shape(folder: Path) -> tuple[int, int, int] | None:
    """(layers, width, vocabulary) of a BERT-like encoder."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers = int(config.get("num_hidden_layers") or config["n_layers"])  # DistilBERT has its own names
        hidden = int(config.get("hidden_size") or config["dim"])
        vocabulary, model_type = int(config.get("vocab_size", 0)), str(config.get("model_type"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return (layers, hidden, vocabulary) if model_type in BERT_LIKE else None


def weights_file(folder: Path) -> Path | None:
    return next((folder / file for file in WEIGHTS if (folder / file).is_file()), None)


def weights_hash(folder: Path) -> str:
    """SHA-256 of the encoder's weights file: which encoder it is, wherever it lies. Raises BadInput without one."""
    weights = weights_file(folder)
    if weights is None:
        raise BadInput(_("{path} holds no weights (model.safetensors or pytorch_model.bin).").format(path=folder))
    with weights.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
