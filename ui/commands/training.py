"""Commands that make models: retrain from the decisions, train from files, pretrain an encoder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.clock import utc_now
from core.errors import Conflict
from core.settings import read_settings
from core.wording import _
from ui.commands.console import In8Bit, Json, ProgressLine, open_installation, run_in_foreground, say, show

if TYPE_CHECKING:
    from core.learning.fitting import TrainingProgress
    from core.standalone import Trained

Seed = Annotated[int, typer.Option(help="Fixes every random choice.")]
Gpus = Annotated[str, typer.Option(help="1, or `all` GPUs of this machine, with a process on each.")]


def wants_all(gpus: str) -> bool:
    if gpus not in ("1", "all"):
        raise typer.BadParameter(f"--gpus is {gpus!r}; give 1 or all")
    return gpus == "all"


def retrain(
    quick: Annotated[
        bool, typer.Option("--quick", help="A short training (200 steps or one pass) instead of the full one.")
    ] = False,
    base: Annotated[
        str | None, typer.Option(help="Base encoder: a name or a folder (default: the best one here).")
    ] = None,
    seed: Seed = 13,
    gpus: Gpus = "1",
    as_json: Json = False,
) -> None:
    """Train a new version here, in the foreground. It becomes active only by `tiebreak models promote`."""
    from core.services.training import TrainingRequest, queue_training

    all_gpus = wants_all(gpus)
    installation = open_installation()
    run = queue_training(
        installation.engine, installation.actor, TrainingRequest(quick, base, seed, all_gpus), now=utc_now()
    )
    ended = run_in_foreground(installation, run)
    result = {"run": ended.id, "status": ended.status, **ended.result}
    show(result, as_json=as_json, text=lambda: version_lines(result))


def version_lines(result: dict[str, Any]) -> Iterable[str]:
    yield f"Version {result['version']} is ready (run {result['run']}); base encoder: {result['base']}."
    metrics = result["metrics"]
    if metrics:
        yield f"On posts kept aside: macro-F1 {metrics['macro_f1']:.3f}, accuracy {metrics['accuracy']:.3f}."
    yield from (f"Warning: {warning}" for warning in result["warnings"])
    yield f"`tiebreak models promote {result['version']}` makes it the active one."


def train(
    train: Annotated[
        Path, typer.Option(help="Labelled file to learn from: JSONL with text and label, and weight where it has one.")
    ] = Path("data/annotations/train.jsonl"),
    eval: Annotated[
        Path, typer.Option(help="Labelled file to measure on, and in full mode to choose the best epoch by.")
    ] = Path("data/annotations/validation.jsonl"),
    out: Annotated[
        Path, typer.Option(help="Folder of the new version; the baseline goes into one beside it, OUT-tfidf.")
    ] = Path("models/lora_roberta_ckpt"),
    quick: Annotated[
        bool,
        typer.Option("--quick", help="One epoch in batches of 8, instead of 3 epochs or 300 steps in batches of 32."),
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(help="Base encoder: a name or a folder (default: hfl/chinese-roberta-wwm-ext, else the starter)."),
    ] = None,
    seed: Seed = 13,
    gpus: Gpus = "1",
    label_order: Annotated[
        str, typer.Option(help="What integers mean as labels, from 0 on: normal,suspicious,violation for example.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the version that the folder holds.")] = False,
    load_in_8bit: In8Bit = False,
    as_json: Json = False,
) -> None:
    """Train a version from files, without a database. `tiebreak predict --model OUT` uses it.

    Both files are read whole before anything begins: one bad line, and nothing is trained or written.
    """
    from core.standalone import FileTraining, base_for, train_files

    settings = read_settings(os.environ)
    order = tuple(name.strip() for name in label_order.split(",") if name.strip())
    asked = FileTraining(
        train, eval, out, quick=quick, base=base, seed=seed, all_gpus=wants_all(gpus), label_order=order,
        replaces=force, load_in_8bit=load_in_8bit,
    )  # fmt: skip
    encoder = base_for(settings, base)
    say(_("Base encoder: {encoder}").format(encoder=encoder.words))
    made = train_files(settings, asked, report=_TrainingLines())
    found = {
        "folder": made.folder,
        "base": encoder.words,
        "metrics": made.manifest["metrics"],
        "best_epoch": made.manifest["best_epoch"],
        "warnings": made.manifest["warnings"],
        "seconds": made.manifest["seconds"],
        "device": made.manifest["device"],
        "class_weights": made.manifest["class_weights"],
        "baseline": made.baseline_folder,
        "baseline_metrics": made.baseline_manifest["metrics"],
    }
    show(found, as_json=as_json, text=lambda: _trained_lines(made))


class _TrainingLines:
    """What a training says, on stderr."""

    def __init__(self) -> None:
        self._line = ProgressLine()

    def __call__(self, progress: TrainingProgress) -> None:
        if progress.setup is not None and progress.stage == "training":
            said = _("batches of {size}, {at_once} at once; class weights: {weights}")
            weights = ", ".join(f"{name} {weight:.2f}" for name, weight in progress.setup.class_weights.items())
            say(said.format(size=progress.setup.batch_size, at_once=progress.setup.at_once, weights=weights))
        share = f" {progress.done / progress.total:4.0%}" if progress.total else ""
        line = f"{progress.stage}{share} {progress.message}".rstrip()
        if progress.macro_f1 is None:
            self._line.show(progress.stage, line)
        else:
            self._line.show(progress.stage, f"{line}, macro-F1 {progress.macro_f1:.3f}", is_last=True)


def _trained_lines(made: Trained) -> Iterator[str]:
    metrics, simple = made.manifest["metrics"], made.baseline_manifest["metrics"]
    yield f"The version is in {made.folder} ({made.manifest['seconds']:.0f} s)."
    if metrics:
        for name, found in (("version", metrics), ("TF-IDF baseline", simple)):
            low, high = found["intervals"]["macro_f1"]
            yield (
                f"{name:<16} macro-F1 {found['macro_f1']:.3f} ({low:.3f} to {high:.3f}), accuracy "
                f"{found['accuracy']:.3f}, on {found['judged']:,} texts"
            )
    if made.manifest["best_epoch"] is not None:
        yield (
            f"Epoch {made.manifest['best_epoch']} was the best on these texts and was kept: on others, expect a little "
            "less."
        )
    yield from (f"Warning: {warning}" for warning in made.manifest["warnings"])


def pretrain(
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="Text file: one text a line, or .csv, .tsv, .jsonl with `text`."),
    ] = None,
    pool: Annotated[
        bool, typer.Option("--pool", help="Learn from the texts of this installation's posts instead of files.")
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(help="Go on from this encoder, a name or a folder; its tokenizer and vocabulary are kept."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --texts: the folder that the encoder is saved in, in Hub layout.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --pool: name of the new encoder in models/base (default: BASE-forum).")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the texts (default: 16 anew; going on, 10, or 3 from 200,000 texts on).", min=1),
    ] = None,
    source: Annotated[str, typer.Option(help="What the texts are, for the record beside the weights.")] = "own texts",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint of the same encoder.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the encoder in --out; with --pool, one that is unfinished.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a small encoder from plain text, or adapt one to text (masked language modelling); 2 cores take hours.

    May be interrupted at any time: --resume goes on, with the same texts.
    """
    if pool == bool(texts):
        raise typer.BadParameter("give either --texts or --pool")
    if pool and out is not None:
        raise typer.BadParameter("--out goes with --texts; with --pool the encoder goes into models/base/NAME")
    if not pool and (out is None or name is not None):
        raise typer.BadParameter("--texts goes with --out, the folder that the encoder is saved in")
    if out is None:
        figures = _adapt_to_pool(base, name, epochs=epochs, resume=resume, force=force)
    else:
        how = {"base": base, "epochs": epochs, "source": source, "resume": resume, "force": force}
        figures = _pretrain_from_files(texts or [], out, **how)
    show(figures, as_json=as_json, text=lambda: (f"{key}: {value}" for key, value in figures.items()))


def _pretrain_from_files(texts: list[Path], out: Path, **how: Any) -> dict[str, object]:
    from core.pretrainer import pretrain_from_files

    def say_progress(done: int, total: int, loss: float) -> None:
        if done % 100 < 3 or done == total:
            say(f"step {done:,} of {total:,}, loss {loss:.3f}")

    return pretrain_from_files(read_settings(os.environ), texts, out, **how, report=say_progress)


def _adapt_to_pool(
    base: str | None, name: str | None, *, epochs: int | None, resume: bool, force: bool
) -> dict[str, object]:
    from core.encoders import resolve_encoder
    from core.loading import encoder_places
    from core.pretrainer import refuse_taken, unfinished
    from core.services.pretraining import PretrainingRequest, queue_pretraining

    installation = open_installation()
    encoder = resolve_encoder(base, **encoder_places(installation.settings))
    name = name or f"{encoder.name.rpartition('/')[2]}-forum"
    request = PretrainingRequest(name=name, base=encoder.name, epochs=epochs, resume=resume)
    refuse_taken(installation.settings, request)
    if name in unfinished(installation.settings) and not (resume or force):
        raise Conflict(_("{name} is unfinished; --resume goes on with it, --force begins anew.").format(name=name))
    run = queue_pretraining(installation.engine, installation.actor, request, now=utc_now())
    ended = run_in_foreground(installation, run)
    return {"run": ended.id, "status": ended.status, **ended.result}
