"""Commands around models: score, predict, versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import utc_now
from ui.commands.console import Json, open_installation, run_follow_ups, run_in_foreground, show
from ui.commands.training import version_lines

Share = Annotated[
    float | None,
    typer.Option(help="Score a random part of the pool, such as 0.1; new posts join in the same measure."),
]


def score(
    model: Annotated[str | None, typer.Option(help="Version to score with (default: the active one).")] = None,
    share: Share = None,
    as_json: Json = False,
) -> None:
    """Score the posts that the version has not scored yet, and renew the queue. May be interrupted at any time."""
    from core.services.scoring import queue_scoring

    installation = open_installation()
    run = queue_scoring(installation.engine, installation.actor, version=model, share=share, now=utc_now())
    ended = run_in_foreground(installation, run)
    result = {"run": ended.id, "status": ended.status, **ended.result}
    show(
        result, as_json=as_json, text=lambda: [f"{ended.result['scored']:,} texts scored by {ended.result['version']}."]
    )


def list_models(as_json: Json = False) -> None:
    """List model versions, newest first; * marks the active one."""
    from core.services.models import list_versions

    installation = open_installation()
    found = list_versions(installation.engine, installation.actor)
    listed = [
        {
            "name": row.version.name,
            "active": row.is_active,
            "base": row.version.base,
            "created_at": row.version.created_at,
            "metrics": row.version.metrics,
        }
        for row in found
    ]
    lines = (
        f"{'*' if row['active'] else ' '} {row['name']:<6} {row['base']:<32} "
        f"macro-F1 {row['metrics'].get('macro_f1', float('nan')):.3f}  {row['created_at']:%Y-%m-%d %H:%M}"  # type: ignore[attr-defined,union-attr]
        for row in listed
    )
    show(listed, as_json=as_json, text=lambda: lines if listed else ["No versions yet; `tiebreak retrain` makes one."])


def promote_model(
    version: Annotated[str, typer.Argument(help="Version name.")],
    reason: Annotated[str, typer.Option(help="Why, for a version that is worse than the active one.")] = "",
    share: Share = None,
    as_json: Json = False,
) -> None:
    """Make a version the active one, and score the pool with it. Promoting an older one rolls back."""
    from core.services.models import promote

    installation = open_installation()
    run = promote(installation.engine, installation.actor, version, reason=reason, share=share, now=utc_now())
    run_follow_ups(installation)
    show({"active": version, "scoring_run": run.id}, as_json=as_json, text=lambda: [f"Version {version} is active."])


def import_model(
    folder: Annotated[Path, typer.Argument(help="Folder of a version that was trained on another machine.")],
    name: Annotated[str | None, typer.Option(help="What it is called here (default: import-1, import-2, …).")] = None,
    as_json: Json = False,
) -> None:
    """Take in a version that `tiebreak train` made elsewhere, measured here on the posts kept aside.

    Its base encoder has to be on this machine, with the same weights; labels and the hashes of its files are checked.
    Only safetensors and JSON are read. It becomes active only by `tiebreak models promote`.
    """
    from core.remote import import_version

    installation = open_installation()
    made = import_version(
        installation.settings, installation.engine, installation.actor, folder, name=name, now=utc_now()
    )
    value = {
        "version": made.name,
        "base": made.base,
        "run": made.run_id,
        "metrics": made.metrics,
        "warnings": made.manifest["warnings"],
    }
    show(value, as_json=as_json, text=lambda: version_lines(value))
