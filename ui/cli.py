"""The command line: the same services as the pages, as the operator of the machine (lead rights)."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Actor, Label, Role, Run, RunStatus
from core.errors import BadInput, TiebreakError
from core.settings import Settings, read_settings
from db.engine import migrate, open_engine

app = typer.Typer(
    name="tiebreak",
    help="Active-learning annotation for forum moderation: people break the ties that the model cannot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Model versions: list, promote; base encoders: fetch.", no_args_is_help=True)
runs_app = typer.Typer(help="Imports, trainings and scorings: list, look at one, cancel.", no_args_is_help=True)
users_app = typer.Typer(help="People: invite, list, disable, set a password.", no_args_is_help=True)
db_app = typer.Typer(help="The database: migrate, back up, restore.", no_args_is_help=True)
for name, group in {"models": models_app, "runs": runs_app, "users": users_app, "db": db_app}.items():
    app.add_typer(group, name=name)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout; messages go to stderr.")]


@dataclass(frozen=True, slots=True)
class Installation:
    """What every command works on."""

    settings: Settings
    engine: Engine
    actor: Actor


def open_installation() -> Installation:
    """Read the settings, create or migrate the database, and mark runs whose process died."""
    from core.services.runs import fail_dead_runs

    settings = read_settings(os.environ)
    engine = open_engine(settings.database_url)
    saved = migrate(engine, backups_dir=settings.backups_dir)
    if saved is not None:
        say(f"The database was migrated; the state before it is kept in {saved}.")
    fail_dead_runs(engine, now=utc_now())
    return Installation(settings, engine, Actor(None, f"cli:{getpass.getuser()}", Role.lead))


# --- output ---------------------------------------------------------------------------------------------------------


def say(message: str) -> None:
    """A message for people: stderr, so that stdout carries results only."""
    typer.echo(message, err=True)


def show(value: object, *, as_json: bool, text: Callable[[], Iterable[str]]) -> None:
    """Print the result: one JSON value, or lines for people."""
    if as_json:
        typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))
        return
    for line in text():
        typer.echo(line)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (Path, Enum)):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def fail(message: str) -> NoReturn:
    say(f"tiebreak: {message}")
    raise SystemExit(1)


class Progress:
    """Progress on stderr: one line that is rewritten on a terminal, a line for each change of stage elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last = ""

    def __call__(self, run: Run) -> None:
        share = f" {run.done / run.total:4.0%}" if run.total else ""
        line = f"{run.kind} {run.id}: {run.stage or run.status}{share} {run.message}".rstrip()
        if self._is_terminal:
            sys.stderr.write(f"\r\x1b[2K{line[:150]}" + ("" if run.is_open else "\n"))
            sys.stderr.flush()
        elif run.stage != self._last or not run.is_open:
            say(line if run.is_open else f"{run.kind} {run.id}: {run.status}")
        self._last = run.stage


def run_in_foreground(installation: Installation, run: Run) -> Run:
    """Execute a queued run here with the worker's own function; Ctrl-C cancels it."""
    from core.worker import execute

    ended = execute(installation.settings, installation.engine, run.id, listen=Progress())
    if ended.status is RunStatus.failed:
        fail(ended.error or f"Run {run.id} failed; `tiebreak runs show {run.id}` tells more.")
    if ended.status is RunStatus.cancelled:
        fail(f"Run {run.id} was cancelled; nothing was changed.")
    return ended


def run_follow_ups(installation: Installation) -> None:
    """Scoring that an import or a promotion put in line is done here too, unless a worker has taken it."""
    from core.domain import RunKind
    from core.services.runs import list_runs

    waiting = [r for r in list_runs(installation.engine, installation.actor, kind=RunKind.scoring) if r.is_open]
    for run in reversed(waiting):
        if run.status is RunStatus.queued:
            run_in_foreground(installation, run)


# --- commands -------------------------------------------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback see --proxy and --force.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8501,
    proxy: Annotated[
        str | None, typer.Option(help="Address of the TLS proxy in front, whose X-Forwarded-For is believed.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM); needs --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Host name that people use in the browser; may be repeated.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Listen beyond loopback without TLS. Passwords travel readable.")
    ] = False,
) -> None:
    """Start the web app. The first start prints a one-time link to create the lead's account."""
    from ui.server.app import serve as serve_app

    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key come together")
    installation = open_installation()
    serve_app(
        installation.settings,
        installation.engine,
        host=host,
        port=port,
        behind_proxy=proxy,
        allowed_hosts=tuple(allowed_host or ()),
        certificate=certificate,
        key=key,
        force=force,
    )


def _columns(options: Sequence[str]) -> dict[str, str]:
    """`text=内容` → {'text': '内容'}."""
    pairs = [option.partition("=") for option in options]
    wrong = [option for option, (role, sep, name) in zip(options, pairs, strict=True) if not (role and sep and name)]
    if wrong:
        raise BadInput(f"--column {wrong[0]!r} is not of the form ROLE=NAME, for example text=message.")
    return {role: name for role, _, name in pairs}


@app.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="TSV exports, or labelled JSONL, CSV or TSV.")],
    encoding: Annotated[str, typer.Option(help="auto, utf-8, utf-16 or gb18030.")] = "auto",
    source: Annotated[
        str | None, typer.Option(help="Whose decisions a labelled file brings (default: its name).")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="ROLE=NAME where names differ: pid=…, text=…, hit_word=…")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import files into the pool. Rejected rows are reported, with line and reason; the rest goes in.

    Reading a file twice adds nothing; a longer export adds only what is new.
    """
    from core.services.importing import ImportRequest, queue_import

    installation = open_installation()
    results = []
    for file in files:
        request = ImportRequest(str(file.resolve()), file.name, encoding, _columns(column or []), source)
        queued = queue_import(installation.engine, installation.actor, request, now=utc_now())
        ended = run_in_foreground(installation, queued)
        seconds = round((ended.finished_at - ended.started_at).total_seconds(), 3)  # type: ignore[operator]
        results.append({"file": file.name, "run": ended.id} | ended.result | {"seconds": seconds})
    run_follow_ups(installation)
    total = {key: sum(r[key] for r in results) for key in results[0] if key not in ("file", "run")}  # type: ignore[misc]
    total["seconds"] = round(total["seconds"], 3)
    show(total | {"files": results}, as_json=as_json, text=lambda: map(_import_line, results))


def _import_line(result: dict[str, Any]) -> str:
    line = (
        f"{result['file']}: {result['rows']:,} rows = {result['posts_added']:,} posts + {result['hits_added']:,} hits "
        f"+ {result['repeats']:,} repeats + {result['rejected']:,} rejected"
    )
    if result["decisions_added"]:
        line += f"; {result['decisions_added']:,} decisions"
    if result["posts_changed"]:
        line += f"; {result['posts_changed']:,} known posts have a new text"
    if result["rejected"]:
        line += f" (`tiebreak runs show {result['run']}` lists them)"
    return line


@app.command()
def status(as_json: Json = False) -> None:
    """Show where things stand: posts, pool, decisions, active model, runs."""
    from core.services.status import status_of

    found = status_of(open_installation().engine)
    show(found, as_json=as_json, text=lambda: _status_lines(found))


def _status_lines(found: Any) -> Iterable[str]:
    labels = ", ".join(f"{name} {count:,}" for name, count in found.decided_by_label.items())
    yield f"posts         {found.posts:>10,}"
    yield f"pool          {found.pool:>10,}"
    yield f"decided       {found.decided:>10,}  ({labels})"
    yield f"audit slice   {found.audit_posts:>10,}  ({found.audit:,} decided)"
    yield f"active model  {found.active_model or 'none yet':>10}"
    yield f"scored        {found.scored:>10,}"
    for run in found.open_runs:
        yield f"{run.kind} run {run.id}: {run.status} {run.stage}"


@app.command()
def queue(
    limit: Annotated[int, typer.Option(help="How many posts to show.", min=1, max=100_000)] = 20,
    as_json: Json = False,
) -> None:
    """List the posts that come next, with the reason why each is shown."""
    from core.services.queueing import head_of_queue

    installation = open_installation()
    head = head_of_queue(installation.engine, installation.actor, limit=limit)
    listed = [
        {"post_id": q.post.id, "pid": q.post.pid, "text": q.post.text, "reason": q.entry.reason, "score": q.entry.score}
        for q in head
    ]
    show(listed, as_json=as_json, text=lambda: _queue_lines(listed))


def _queue_lines(listed: list[dict[str, Any]]) -> Iterable[str]:
    if not listed:
        yield "The queue is empty. `tiebreak import FILE` brings posts."
    for post in listed:
        score = "" if post["score"] is None else f"{post['score']:.3f}"
        yield f"{post['post_id']:>8}  {post['pid'] or '-':>10}  {post['reason']:<16} {score:>6}  {post['text'][:60]}"


@app.command()
def decide(
    post_id: Annotated[int, typer.Argument(help="The post's id, as `tiebreak queue` lists it.")],
    label: Annotated[str, typer.Argument(help="normal, suspicious or violation (or 合规, 疑似, 违规).")],
    as_user: Annotated[str, typer.Option("--as", help="Name of the user whose decision it is.")],
    as_json: Json = False,
) -> None:
    """Record one decision as a user."""
    from core.labelled import parse_label
    from core.services.annotation import decide_post

    installation = open_installation()
    made = decide_post(
        installation.engine,
        installation.actor,
        user_name=as_user,
        post_id=post_id,
        label=Label[parse_label(label)],
        now=utc_now(),
    )
    show(made, as_json=as_json, text=lambda: [f"Post {post_id}: {made.label.name if made.label is not None else '-'}"])


@app.command()
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
    yield f"Version {result['version']} is ready (run {result['run']})."
    metrics = result["metrics"]
    if metrics:
        yield f"On posts kept aside: macro-F1 {metrics['macro_f1']:.3f}, accuracy {metrics['accuracy']:.3f}."
    yield from (f"Warning: {warning}" for warning in result["warnings"])
    yield f"`tiebreak models promote {result['version']}` makes it the active one."


@app.command()
def score(
    model: Annotated[str | None, typer.Option(help="Version to score with (default: the active one).")] = None,
    as_json: Json = False,
) -> None:
    """Score the posts that the version has not scored yet, and renew the queue."""
    from core.services.scoring import queue_scoring

    installation = open_installation()
    run = queue_scoring(installation.engine, installation.actor, version=model, now=utc_now())
    ended = run_in_foreground(installation, run)
    result = {"run": ended.id, "status": ended.status, **ended.result}
    show(
        result, as_json=as_json, text=lambda: [f"{ended.result['scored']:,} texts scored by {ended.result['version']}."]
    )


@app.command()
def predict(
    model: Annotated[str, typer.Option(help="Version name, or the folder of one.")],
    text: Annotated[str | None, typer.Option(help="One text.")] = None,
    batch: Annotated[Path | None, typer.Option(help="File with one text a line.")] = None,
    interactive: Annotated[bool, typer.Option("--interactive", help="Ask for texts until an empty line.")] = False,
    as_json: Json = False,
) -> None:
    """Predict label, confidence and all probabilities for texts."""
    from ui import predicting

    if sum([text is not None, batch is not None, interactive]) != 1:
        raise typer.BadParameter("give exactly one of --text, --batch and --interactive")
    predict = predicting.make_predict(open_installation(), model)
    if text is not None:
        found = predicting.predict_one(predict, text)
        show(found, as_json=as_json, text=lambda: [predicting.line_of(found)])
    elif batch is not None:
        results = predicting.predict_batch(predict, batch)
        show(results, as_json=as_json, text=lambda: (f"{predicting.line_of(r)}  {r['text'][:60]}" for r in results))
    else:
        results = predicting.predict_typed(predict, as_json=as_json, write=typer.echo)
        show(results, as_json=as_json, text=list)


@app.command()
def pretrain(
    texts: Annotated[list[Path], typer.Option(help="Text file: one text a line, or .csv, .tsv, .jsonl with `text`.")],
    out: Annotated[Path, typer.Option(help="Folder that the encoder is saved in, in Hub layout.")],
    epochs: Annotated[int, typer.Option(help="Passes over the texts.", min=1)] = 16,
    source: Annotated[str, typer.Option(help="What the texts are, for the record beside the weights.")] = "own texts",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Make a small encoder from plain text (masked language modelling); on 2 cores it takes one to two hours.

    May be interrupted at any time: --resume goes on, with the same texts.
    """
    from core.worker import pretrain_encoder

    def say_progress(done: int, total: int, loss: float) -> None:
        if done % 100 < 3 or done == total:
            say(f"step {done:,} of {total:,}, loss {loss:.3f}")

    figures = pretrain_encoder(texts, out, epochs=epochs, source=source, resume=resume, report=say_progress)
    show(figures, as_json=as_json, text=lambda: (f"{key}: {value}" for key, value in figures.items()))


# --- models, runs, users, db ----------------------------------------------------------------------------------------


@models_app.command("list")
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


@models_app.command("promote")
def promote_model(version: Annotated[str, typer.Argument(help="Version name.")], as_json: Json = False) -> None:
    """Make a version the active one, and score the pool with it. Promoting an older one rolls back."""
    from core.services.models import promote

    installation = open_installation()
    run = promote(installation.engine, installation.actor, version, now=utc_now())
    run_follow_ups(installation)
    show({"active": version, "scoring_run": run.id}, as_json=as_json, text=lambda: [f"Version {version} is active."])


@models_app.command("fetch")
def fetch_encoder_by_name(
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="For example hfl/chinese-roberta-wwm-ext.")],
    as_json: Json = False,
) -> None:
    """Download a base encoder into models/base/ (the only command that downloads; HF_ENDPOINT names a mirror)."""
    from core.worker import fetch_encoder

    say(f"Fetching {name} …")
    encoder = fetch_encoder(open_installation().settings, name)
    show(encoder, as_json=as_json, text=lambda: [f"{encoder.name} is in {encoder.path}."])


@runs_app.command("list")
def list_all_runs(limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20, as_json: Json = False) -> None:
    """List runs, newest first."""
    from core.services.runs import list_runs

    installation = open_installation()
    found = list_runs(installation.engine, installation.actor, limit=limit)
    lines = (f"{r.id:>5} {r.kind:<9} {r.status:<10} {r.created_at:%Y-%m-%d %H:%M} {r.created_by}" for r in found)
    show(found, as_json=as_json, text=lambda: lines if found else ["No runs yet."])


@runs_app.command("show")
def show_one_run(run_id: Annotated[int, typer.Argument(help="The run's number.")], as_json: Json = False) -> None:
    """Show one run: progress, result, error, and the rows that an import rejected."""
    from core.domain import RunKind
    from core.services.importing import list_rejects
    from core.services.runs import show_run

    installation = open_installation()
    run = show_run(installation.engine, installation.actor, run_id)
    rejects = (
        list(list_rejects(installation.engine, installation.actor, run_id)) if run.kind is RunKind.importing else []
    )
    value = asdict(run) | {"rejects": [{"line": line, "reason": why, "raw": raw} for line, why, raw in rejects]}
    show(value, as_json=as_json, text=lambda: _run_lines(run, rejects))


def _run_lines(run: Run, rejects: list[tuple[int, str, str]]) -> Iterable[str]:
    yield f"run {run.id}: {run.kind}, {run.status}" + (f", {run.stage}" if run.stage else "")
    yield f"by {run.created_by} at {run.created_at:%Y-%m-%d %H:%M:%S} UTC"
    if run.total:
        yield f"done {run.done:,} of {run.total:,} {run.message}"
    if run.error:
        yield f"error: {run.error}"
    for key, value in run.result.items():
        yield f"{key}: {json.dumps(value, ensure_ascii=False)}"
    for line, why, raw in rejects:
        yield f"line {line}: {why} | {raw[:100]}"


@runs_app.command("cancel")
def cancel_one_run(run_id: Annotated[int, typer.Argument(help="The run's number.")], as_json: Json = False) -> None:
    """Ask a run to stop."""
    from core.services.runs import cancel_run

    installation = open_installation()
    run = cancel_run(installation.engine, installation.actor, run_id, now=utc_now())
    state = "cancelled" if run.status is RunStatus.cancelled else "asked to stop"
    show(run, as_json=as_json, text=lambda: [f"Run {run_id} is {state}."])


@users_app.command("invite")
def invite_user(
    role: Annotated[Role | None, typer.Option(help="Role of the new account.")] = None,
    name: Annotated[str | None, typer.Option(help="Instead: an existing user who needs a new password.")] = None,
    address: Annotated[str, typer.Option(help="Where people reach the app.")] = "http://127.0.0.1:8501",
    as_json: Json = False,
) -> None:
    """Make a one-time link (24 hours) for a new account of a role, or for a new password of an existing one."""
    from core.services import accounts

    if (role is None) == (name is None):
        raise typer.BadParameter("give either --role or --name")
    installation = open_installation()
    engine, actor = installation.engine, installation.actor
    if role is not None:
        token = accounts.invite(engine, actor, role=role, now=utc_now())
    else:
        token = accounts.invite_back(engine, actor, name=name or "", now=utc_now())
    link = f"{address.rstrip('/')}/invite/{token}"
    show({"link": link, "role": role, "name": name}, as_json=as_json, text=lambda: [link])


@users_app.command("list")
def list_all_users(as_json: Json = False) -> None:
    """List users with their roles."""
    from core.services.accounts import list_users

    installation = open_installation()
    found = list_users(installation.engine, installation.actor)
    lines = (f"{u.name:<20} {u.role:<10} {'disabled' if u.disabled_at else ''}".rstrip() for u in found)
    show(
        found, as_json=as_json, text=lambda: lines if found else ["No users yet; `tiebreak serve` prints a first link."]
    )


@users_app.command("disable")
def disable_one_user(
    name: Annotated[str, typer.Argument(help="The user's name.")],
    undo: Annotated[bool, typer.Option("--undo", help="Open the account again.")] = False,
    as_json: Json = False,
) -> None:
    """Close an account: signed out at once, posts in hand go back. Its decisions stay."""
    from core.services.accounts import disable_user, enable_user

    installation = open_installation()
    change = enable_user if undo else disable_user
    user = change(installation.engine, installation.actor, name, now=utc_now())
    show(user, as_json=as_json, text=lambda: [f"{name} is {'enabled' if undo else 'disabled'}."])


@users_app.command("password")
def set_user_password(name: Annotated[str, typer.Argument(help="The user's name.")], as_json: Json = False) -> None:
    """Set a password, asked for at the prompt or read from standard input."""
    from core.services.accounts import set_password

    if sys.stdin.isatty():
        password = typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    installation = open_installation()
    user = set_password(installation.engine, installation.actor, name=name, password=password, now=utc_now())
    show(user, as_json=as_json, text=lambda: [f"{name} has a new password; open sessions have ended."])


@db_app.command("migrate")
def migrate_database(as_json: Json = False) -> None:
    """Create the database or bring it to the newest schema (every command does this first)."""
    from db.engine import newest_schema_version

    path = str(open_installation().settings.database_path)
    value = {"database": path, "schema": newest_schema_version()}
    show(value, as_json=as_json, text=lambda: [f"{path} has schema {value['schema']}."])


@db_app.command("backup")
def backup_database(as_json: Json = False) -> None:
    """Copy the database into data/backups while everybody goes on working."""
    from db.engine import backup

    installation = open_installation()
    path = backup(installation.engine, backups_dir=installation.settings.backups_dir)
    show({"backup": str(path)}, as_json=as_json, text=lambda: [f"Saved as {path}."])


@db_app.command("restore")
def restore_database(
    file: Annotated[Path, typer.Argument(help="A backup, usually from data/backups.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the database's place (what is there now is backed up first). Stop the server before."""
    from db.engine import restore

    settings = read_settings(os.environ)
    if not yes and not typer.confirm(f"Replace {settings.database_path} by {file}?", err=True):
        fail("Nothing was changed.")
    engine = open_engine(settings.database_url)
    saved = restore(engine, source=file, backups_dir=settings.backups_dir)
    migrate(engine, backups_dir=settings.backups_dir)
    value = {"restored": str(file), "before": None if saved is None else str(saved)}
    show(value, as_json=as_json, text=lambda: [f"Restored {file}; the state before it is kept in {saved}."])


def main() -> None:
    """Entry point: an error that a person can mend is one line, exit code 1; wrong use is 2."""
    try:
        app()
    except TiebreakError as err:
        fail(str(err))
    except KeyboardInterrupt:
        fail("stopped.")


if __name__ == "__main__":
    main()
