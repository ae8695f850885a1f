"""Models on their way in and out, in the foreground: base encoders from a hub, versions and adapters to judge with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from core.domain import Actor
from core.encoders import Encoder, local_encoders, resolve_encoder, resolve_trained_on
from core.errors import BadInput, Conflict
from core.learning.folders import written_aside
from core.loading import encoder_places, prepare_libraries
from core.services import auditing, scoring
from core.settings import Settings
from core.wording import _

if TYPE_CHECKING:
    from core.learning.hub import Offer
    from core.learning.versions import Classifier

MANIFEST, ADAPTER = "manifest.json", "adapter_config.json"


class ExportForm(StrEnum):
    """adapter: as PEFT and Tiebreak read it; merged: a whole model for transformers; onnx: for onnxruntime."""

    adapter = "adapter"
    merged = "merged"
    onnx = "onnx"


@dataclass(frozen=True, slots=True)
class Found:
    """A model that can judge. base: the encoder it stands on; None for the baseline."""

    classifier: Classifier
    base: Encoder | None


def list_bases(settings: Settings) -> list[Encoder]:
    """Return the encoders on this machine; the first is taken where none is named."""
    return local_encoders(**encoder_places(settings))


def look_up_base(settings: Settings, name: str) -> Offer:
    """Ask the hub what it has under that name; the one thing here, with pull_base, that uses the network."""
    from core.learning import hub

    return hub.look_up(name, base_dir=settings.models_dir / "base")


def pull_base(settings: Settings, offer: Offer, report: Callable[[int, int], None]) -> Encoder:
    """Download what look_up_base found into models/base. report: bytes that are here, bytes in all."""
    from core.learning import hub

    return hub.pull(offer, base_dir=settings.models_dir / "base", report=report)


def load_model(
    settings: Settings,
    engine: Engine | None,
    model: str,
    *,
    base: str | None = None,
    order: Sequence[str] = (),
    in_8bit: bool = False,
) -> Found:
    """Load a version, by name or by folder, or an adapter that plain PEFT saved, by folder.

    engine: None where there is no database, so that only folders can be meant.
    base, order: for such an adapter, the encoder and the labels of its head where it does not say them. What it names
    as its base is looked for among the encoders here by its last part: never opened as a path, never downloaded.
    """
    folder = Path(model)
    if not (folder / MANIFEST).is_file() and (folder / ADAPTER).is_file():
        prepare_libraries()
        return _load_adapter(settings, folder, base, order, in_8bit)
    if base or order:
        raise BadInput(
            _("{model} is a version and knows its base encoder and labels; leave --base and --label-order out.").format(
                model=model
            )
        )
    folder = _folder_of(settings, engine, model)
    prepare_libraries()
    return _load_version(settings, folder, in_8bit)


def is_model_folder(model: str) -> bool:
    """Whether it is a folder of a version or an adapter: what else is said is the name of a version."""
    return any((Path(model) / name).is_file() for name in (MANIFEST, ADAPTER))


def _folder_of(settings: Settings, engine: Engine | None, version: str) -> Path:
    """Of a version by its name, or the folder itself. Raises ValueError for a name where there is no database."""
    if (Path(version) / MANIFEST).is_file():
        return Path(version)
    if engine is None:
        raise ValueError(f"{version!r} is no folder, and there is no database to look it up in")
    return settings.versions_dir / scoring.version_to_score(engine, version).folder


def _load_version(settings: Settings, folder: Path, in_8bit: bool) -> Found:
    from core.learning.versions import load_version

    found: list[Encoder] = []

    def base_path(name: str, sha256: str) -> Path:
        found.append(resolve_trained_on(name, sha256, **encoder_places(settings)))
        return found[-1].path

    classifier = load_version(folder, base_path=base_path, in_8bit=in_8bit)
    return Found(classifier, found[0] if found else None)


def _load_adapter(settings: Settings, folder: Path, base: str | None, order: Sequence[str], in_8bit: bool) -> Found:
    from core.learning import foreign

    encoder = _base_of_adapter(settings, folder, foreign.base_name(folder), base)
    return Found(foreign.load_adapter(folder, base_path=encoder.path, order=order, in_8bit=in_8bit), encoder)


def _base_of_adapter(settings: Settings, folder: Path, said: str, chosen: str | None) -> Encoder:
    places = encoder_places(settings)
    if chosen is not None:
        return resolve_encoder(chosen, **places)
    named, here = said.rstrip("/").rpartition("/")[2], local_encoders(**places)
    found = next((encoder for encoder in here if named and encoder.name.rpartition("/")[2] == named), None)
    if found is None:
        raise BadInput(
            _(
                "The adapter in {folder} was trained on {named!r}, and no encoder here is called so (there are: "
                "{have}). Name the right one with --base; nothing is downloaded."
            ).format(folder=folder, named=named, have=", ".join(encoder.name for encoder in here) or "none")
        )
    return found


def export_model(
    settings: Settings, engine: Engine, actor: Actor, version: str, form: ExportForm, out: Path, *, now: datetime
) -> Encoder | None:
    """Write a version, by name or folder, into a new folder for other programs; returns the encoder it stands on.

    Written aside and renamed when complete. Raises Conflict for a folder that holds something, BadInput for the
    baseline in a form that it does not have.
    """
    folder = _folder_of(settings, engine, version)
    refuse_filled(out)
    prepare_libraries()
    from core.learning import baseline, exports
    from core.learning.manifests import read_manifest

    made_on = read_manifest(folder)["base"]
    encoder: Encoder | None = None
    if made_on["name"] != baseline.NAME:
        encoder = resolve_trained_on(str(made_on["name"]), str(made_on["sha256"]), **encoder_places(settings))
    elif form is not ExportForm.adapter:
        raise BadInput(
            _(
                "{version} is the TF-IDF baseline, which has no encoder to merge and no ONNX form; --format adapter "
                "writes its own safetensors and JSON."
            ).format(version=version)
        )
    with written_aside(out) as partial:
        if encoder is None or form is ExportForm.adapter:
            exports.write_adapter(folder, partial)
        elif form is ExportForm.merged:
            exports.write_merged(folder, partial, base_path=encoder.path)
        else:
            exports.write_onnx(folder, partial, base_path=encoder.path)
    auditing.record_export(engine, actor, f"model {folder.name} as {form}", now=now)
    return encoder


def refuse_filled(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise Conflict(_("{out} holds something already; name a new folder.").format(out=out))
