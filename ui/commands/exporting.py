"""`tiebreak export`: what leaves the program for other programs and other machines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from core.clock import utc_now
from core.shipping import ExportForm, export_model
from ui.commands.console import Json, open_installation, show


def export_one_model(
    version: Annotated[str, typer.Argument(metavar="VERSION_OR_PATH", help="Version name, or the folder of one.")],
    form: Annotated[
        ExportForm, typer.Option("--format", help="adapter for PEFT, merged for transformers, onnx for onnxruntime.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist yet.")],
    as_json: Json = False,
) -> None:
    """Write a version for other programs, with its calibration folded into the head, and a model card.

    Whoever takes the softmax of its logits gets the probabilities that are stored here. The TF-IDF baseline has the
    form adapter alone: its own safetensors and JSON. ONNX needs the extra tiebreak[onnx].
    """
    installation = open_installation()
    encoder = export_model(
        installation.settings, installation.engine, installation.actor, version, form, out, now=utc_now()
    )
    base = None if encoder is None else encoder.words
    files = sorted(path.name for path in out.iterdir())
    value = {"version": version, "format": form.value, "out": str(out), "base": base, "files": files}
    on = "" if base is None else f" on {base}"
    show(value, as_json=as_json, text=lambda: [f"{version}{on} is in {out} as {form}: {', '.join(files)}."])


def export_one_snapshot(
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist yet.")],
    as_json: Json = False,
) -> None:
    """Write what there is to learn from, for `tiebreak train` on another machine: train.jsonl and validation.jsonl.

    Texts and labels, without author or IP. The audit slice stays here: what comes back is measured on it.
    """
    from core.remote import FILES, export_snapshot

    installation = open_installation()
    run = export_snapshot(installation.engine, installation.actor, out, now=utc_now())
    counts = {str(side): run.result[str(side)] for side in FILES}
    value = {"run": run.id, "out": str(out), "snapshot": run.result["snapshot"], **counts}
    show(value, as_json=as_json, text=lambda: _snapshot_lines(out, counts))


def _snapshot_lines(out: Path, counts: dict[str, object]) -> Iterable[str]:
    yield f"{out}: {counts['train']:,} texts to learn from, {counts['evaluation']:,} to choose the best epoch by."
    yield "`tiebreak train` on the other machine, then `tiebreak models import` here, make a version of it."
