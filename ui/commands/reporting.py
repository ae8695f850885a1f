"""`tiebreak report`: what is known of a version, as a page to keep or to send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import utc_now
from ui.commands.console import Json, open_installation, show


def report_version(
    version: Annotated[str, typer.Argument(help="Version name.")],
    out: Annotated[Path | None, typer.Option(help="HTML file to write (default: VERSION.html).")] = None,
    as_json: Json = False,
) -> None:
    """Write a version's report: one HTML file without script, which fetches nothing.

    Curves, figures with intervals, confusion matrix, calibration, thresholds, the worst errors, snapshot and settings.
    It quotes posts, but names neither author nor address.
    """
    from core.services.reporting import version_report
    from core.version_report import page_of

    installation = open_installation()
    found = version_report(installation.engine, installation.actor, version, now=utc_now())
    path = out or Path(f"{found.name}.html")
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page_of(found, now=utc_now(), language="en"), encoding="utf-8")
    partial.replace(path)
    show({"version": found.name, "out": str(path)}, as_json=as_json, text=lambda: [f"The report is in {path}."])
