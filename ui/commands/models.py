"""Commands around models: retrain, score, predict, versions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from core.clock import utc_now
from ui.commands.console import Json, open_installation, run_follow_ups, run_in_foreground, say, show


def retrain(
    quick: Annotated[
        bool, typer.Option("--quick", help="A short training (200 steps or one pass) instead of the full one.")
    ] = False,
    base: Annotated[
        str | None, typer.Option(help="Base encoder: a name or a folder (default: the best one here).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes every random choice.")] = 13,
    as_json: Json = False,
) -> None:
    """Train a new version here, in the foreground. It becomes active only by `tiebreak models promote`."""
    from core.services.training import TrainingRequest, queue_training

    installation = open_installation()
    run = queue_training(installation.engine, installation.actor, TrainingRequest(quick, base, seed), now=utc_now())
    ended = run_in_foreground(installation, run)
    result = {"run": ended.id, "status": ended.status, **ended.result}
    show(result, as_json=as_json, text=lambda: _retrain_lines(result))


def _retrain_lines(result: dict[str, Any]) -> Iterable[str]:
    yield f"Version {result['version']} is ready (run {result['run']}); base encoder: {result['base']}."
    metrics = result["metrics"]
    if metrics:
        yield f"On posts kept aside: macro-F1 {metrics['macro_f1']:.3f}, accuracy {metrics['accuracy']:.3f}."
    yield from (f"Warning: {warning}" for warning in result["warnings"])
    yield f"`tiebreak models promote {result['version']}` makes it the active one."


def score(
    model: Annotated[str | None, typer.Option(help="Version to score with (default: the active one).")] = None,
    share: Annotated[
        float | None,
        typer.Option(help="Score a random part of the pool, such as 0.1; new posts join in the same measure."),
    ] = None,
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


def pretrain(
    texts: Annotated[list[Path], typer.Option(help="Text file: one text a line, or .csv, .tsv, .jsonl with `text`.")],
    out: Annotated[Path, typer.Option(help="Folder that the encoder is saved in, in Hub layout.")],
    epochs: Annotated[int, typer.Option(help="Passes over the texts.", min=1)] = 16,
    source: Annotated[str, typer.Option(help="What the texts are, for the record beside the weights.")] = "own texts",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the encoder that the folder holds.")] = False,
    as_json: Json = False,
) -> None:
    """Make a small encoder from plain text (masked language modelling); on 2 cores it takes one to two hours.

    May be interrupted at any time: --resume goes on, with the same texts.
    """
    from core.worker import pretrain_encoder

    def say_progress(done: int, total: int, loss: float) -> None:
        if done % 100 < 3 or done == total:
            say(f"step {done:,} of {total:,}, loss {loss:.3f}")

    figures = pretrain_encoder(
        texts, out, epochs=epochs, source=source, resume=resume, force=force, report=say_progress
    )
    show(figures, as_json=as_json, text=lambda: (f"{key}: {value}" for key, value in figures.items()))


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
    as_json: Json = False,
) -> None:
    """Make a version the active one, and score the pool with it. Promoting an older one rolls back."""
    from core.services.models import promote

    installation = open_installation()
    run = promote(installation.engine, installation.actor, version, reason=reason, now=utc_now())
    run_follow_ups(installation)
    show({"active": version, "scoring_run": run.id}, as_json=as_json, text=lambda: [f"Version {version} is active."])
