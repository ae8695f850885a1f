"""Commands around base encoders: which are here, and pulling one from a hub."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from core.settings import read_settings
from ui.commands.console import Json, fail, say, show

SAY_EVERY_S = 10.0  # where there is no line to rewrite


def list_base_encoders(as_json: Json = False) -> None:
    """List the base encoders on this machine; the first is taken where none is named."""
    from core.shipping import list_bases

    found = list_bases(read_settings(os.environ))
    lines = (f"{e.name:<34} {e.layers:>2} layers × {e.hidden:<5} {e.origin:<12} {e.path}" for e in found)
    show(found, as_json=as_json, text=lambda: lines if found else ["No base encoder is here."])


def pull_base_encoder(
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="For example hfl/chinese-roberta-wwm-ext.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Download a base encoder into models/base/ after showing its size and licence (HF_ENDPOINT names a mirror).

    The only command that downloads. After a break the same command goes on where it stopped. Weights that come as
    .bin are converted to safetensors; nothing that they hold is run.
    """
    from core.shipping import look_up_base, pull_base

    settings = read_settings(os.environ)
    offer = look_up_base(settings, name)
    licence = offer.licence or "none stated (ask whoever made it before you use it)"
    say(f"{offer.name}, revision {offer.revision[:12]}: {_megabytes(offer.size_bytes)}, licence: {licence}")
    if not yes and not typer.confirm("Download it?", err=True):
        fail("Nothing was downloaded.")
    encoder = pull_base(settings, offer, _progress())
    show(encoder, as_json=as_json, text=lambda: [f"{encoder.name} is in {encoder.path}."])


def _progress() -> Callable[[int, int], None]:
    said_at = 0.0

    def report(done: int, total: int) -> None:
        nonlocal said_at
        is_terminal, now = sys.stderr.isatty(), time.monotonic()
        if now - said_at > (0.2 if is_terminal else SAY_EVERY_S) or done == total:
            said_at = now
            line = f"{_megabytes(done)} of {_megabytes(total)}"
            sys.stderr.write(f"\r\x1b[2K{line}" if is_terminal and done < total else f"{line}\n")

    return report


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
