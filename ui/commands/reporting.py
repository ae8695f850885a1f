"""`tiebreak report`: what is known of a version or of a week, as a page to keep or to send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import utc_now
from ui.commands.console import Json, open_installation, show, wrong_use


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
    _write(path, page_of(found, now=utc_now(), language="en"))
    show({"version": found.name, "out": str(path)}, as_json=as_json, text=lambda: [f"The report is in {path}."])


def report_week(
    week: Annotated[str | None, typer.Option(help="Week, like 2026-W47 (default: the last whole one).")] = None,
    out: Annotated[Path | None, typer.Option(help="HTML file to write (default: WEEK.html).")] = None,
    as_json: Json = False,
) -> None:
    """Write a week's report: one HTML file without script, which fetches nothing.

    What was decided, how well people agree, what the active version is worth, thresholds, and hit words. It names
    neither people nor authors.
    """
    from core.services.reporting import week_report
    from core.week_report import last_whole_week, monday_of, page_of, week_in_words

    now = utc_now()
    with wrong_use():
        monday = last_whole_week(now) if week is None else monday_of(week)
    installation = open_installation()
    found = week_report(installation.engine, installation.actor, monday, now=now)
    path = out or Path(f"{week_in_words(monday)}.html")
    _write(path, page_of(found, now=now, language="en"))
    value = {"week": week_in_words(monday), "out": str(path)}
    show(value, as_json=as_json, text=lambda: [f"The report is in {path}."])


def _write(path: Path, page: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
