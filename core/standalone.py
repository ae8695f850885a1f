"""Training from two files, without a database: for a rented GPU, and for a first look at a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import encoders
from core.encoders import Encoder
from core.errors import BadInput, Conflict
from core.evaluation import NOTHING, Aside, Evaluation, evaluate
from core.loading import encoder_places, load_folder, prepare_libraries, read_training_mix
from core.settings import Settings
from core.training_files import FiledText, apart_from, hash_of, read_training_file
from core.wording import _, ngettext

if TYPE_CHECKING:
    from core.learning.fitting import TrainingProgress

MEASURED_ON = "file"  # where the figures of other versions name a side of the split


@dataclass(frozen=True, slots=True)
class FileTraining:
    """What is asked for. base: an encoder's name or path, None for the reference or else the starter.

    label_order: what integers mean as labels. replaces: the version that the folder holds may be overwritten.
    """

    train: Path
    evaluation: Path
    out: Path
    quick: bool = False
    base: str | None = None
    seed: int = 13
    all_gpus: bool = False
    label_order: tuple[str, ...] = ()
    replaces: bool = False
    load_in_8bit: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """Folders of a version and of the baseline beside it, and what stands in their manifests."""

    folder: Path
    manifest: dict[str, Any]
    baseline_folder: Path
    baseline_manifest: dict[str, Any]


def base_for(settings: Settings, wanted: str | None) -> Encoder:
    """The encoder that was named; else the reference encoder where it is on this machine, else the starter."""
    places = encoder_places(settings)
    if wanted is not None:
        return encoders.resolve_encoder(wanted, **places)
    here = encoders.local_encoders(**places)
    preferred = [e for e in here if encoders.is_reference(e)] + [e for e in here if e.name == encoders.STARTER]
    return preferred[0] if preferred else encoders.resolve_encoder(None, **places)


def train_files(settings: Settings, asked: FileTraining, *, report: Callable[[TrainingProgress], None]) -> Trained:
    """Train a version and the baseline beside it; either both are there in the end, or nothing new is.

    Raises BadInput for what is wrong with a file, with its line, before anything is trained or written; Conflict when
    the folder holds something that is not to be overwritten.
    """
    prepare_libraries()
    from core.learning import baseline

    simple_folder = asked.out.with_name(f"{asked.out.name}-{baseline.NAME}")
    for folder in (asked.out, simple_folder):
        refuse_overwriting(folder, replaces=asked.replaces)
    training = read_training_file(asked.train, label_order=asked.label_order)
    given = read_training_file(asked.evaluation, label_order=asked.label_order)
    evaluation = apart_from(training, given)
    encoder = base_for(settings, asked.base)
    with _nothing_left(asked.out.parent):
        return _train(settings, asked, encoder, training, evaluation, len(given), simple_folder, report)


def _train(
    settings: Settings,
    asked: FileTraining,
    encoder: Encoder,
    training: Sequence[FiledText],
    evaluation: Sequence[FiledText],
    given: int,
    simple_folder: Path,
    report: Callable[[TrainingProgress], None],
) -> Trained:
    from core.learning import baseline
    from core.learning import training as learning
    from core.learning.device import find_devices
    from core.learning.examples import TrainingExample
    from core.learning.schedules import plan_of_files

    examples = [TrainingExample(text.text, int(text.label), text.weight) for text in training]
    aside = [TrainingExample(text.text, int(text.label)) for text in evaluation]
    snapshot = hash_of(training, evaluation)
    devices = find_devices()

    def measure(folder: Path) -> Evaluation:
        return measure_on_file(settings, folder, evaluation, seed=asked.seed)

    new = simple_folder.with_name(simple_folder.name + ".new")
    try:
        made = baseline.make_baseline(examples, seed=asked.seed, snapshot_hash=snapshot, out_dir=new, measure=measure)
        result = learning.train(
            examples,
            aside,
            config=learning.TrainingConfig(
                base_path=encoder.path,
                base_name=encoder.name,
                base_origin=encoder.origin,
                quick=asked.quick,
                seed=asked.seed,
                snapshot_hash=snapshot,
                load_in_8bit=asked.load_in_8bit,
            ),
            out_dir=asked.out,
            schedule=plan_of_files(examples, aside, quick=asked.quick),
            devices=devices if asked.all_gpus else devices[:1],
            warnings=_overlap_warnings(given - len(evaluation)),
            measure=measure,
            report=report,
        )
        shutil.rmtree(simple_folder, ignore_errors=True)
        new.rename(simple_folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Trained(asked.out, result.manifest, simple_folder, made)


def _overlap_warnings(left_out: int) -> list[str]:
    if not left_out:
        return []
    said = ngettext(
        "{count} text of the evaluation file was left out of measuring: a near-copy of it is trained on.",
        "{count} texts of the evaluation file were left out of measuring: near-copies of them are trained on.",
        left_out,
    )
    return [said.format(count=left_out)]


def measure_on_file(settings: Settings, folder: Path, texts: Sequence[FiledText], *, seed: int) -> Evaluation:
    """What the version in the folder is worth on these texts. Nobody says that they were drawn at random."""
    if not texts:
        return NOTHING
    aside = Aside(
        np.array([int(text.label) for text in texts], dtype=np.int64),
        np.array([text.family for text in texts], dtype=np.int64),
        np.ones(len(texts)),
        np.zeros(len(texts), dtype=bool),
    )
    logits = load_folder(settings, folder).logits([text.text for text in texts])
    found = evaluate(logits, aside, trained=read_training_mix(folder), seed=seed)
    return replace(found, figures=found.figures | {"measured_on": MEASURED_ON})


def refuse_overwriting(folder: Path, *, replaces: bool) -> None:
    """Raise Conflict when the folder holds a version that is not to be replaced, or anything that is none."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "manifest.json").is_file():
        raise Conflict(_("{folder} holds something that is no version; name another folder.").format(folder=folder))
    if not replaces:
        raise Conflict(
            _("{folder} holds a version already; name another folder, or --force to replace it.").format(folder=folder)
        )


@contextmanager
def _nothing_left(parent: Path) -> Iterator[None]:
    """Make the folder that versions go into; where that comes to nothing, what was made for it goes again."""
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise BadInput(_("{folder} cannot be made: {err}").format(folder=parent, err=err)) from err
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise
