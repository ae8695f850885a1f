"""`tiebreak export`: what leaves the program for other programs and other machines."""

from __future__ import annotations

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
