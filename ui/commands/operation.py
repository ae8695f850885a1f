"""Commands for who runs the machine: serve, runs, users, the database."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from core.clock import utc_now
from core.domain import Role, Run, RunStatus
from core.settings import read_oidc, read_settings
from db.engine import migrate, open_engine
from ui.commands.console import Json, fail, open_installation, operator, run_follow_ups, run_in_foreground, show


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
    oidc = read_oidc(os.environ)
    installation = open_installation()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the server ends in its own way, and says nothing of it
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
        oidc=oidc,
    )


def list_all_runs(limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20, as_json: Json = False) -> None:
    """List runs, newest first."""
    from core.services.runs import list_runs

    installation = open_installation()
    found = list_runs(installation.engine, installation.actor, limit=limit)
    lines = (f"{r.id:>5} {r.kind:<9} {r.status:<10} {r.created_at:%Y-%m-%d %H:%M} {r.created_by}" for r in found)
    show(found, as_json=as_json, text=lambda: lines if found else ["No runs yet."])


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


def cancel_one_run(run_id: Annotated[int, typer.Argument(help="The run's number.")], as_json: Json = False) -> None:
    """Ask a run to stop."""
    from core.services.runs import cancel_run

    installation = open_installation()
    run = cancel_run(installation.engine, installation.actor, run_id, now=utc_now())
    state = "cancelled" if run.status is RunStatus.cancelled else "asked to stop"
    show(run, as_json=as_json, text=lambda: [f"Run {run_id} is {state}."])


def take_back_import(
    run_id: Annotated[int, typer.Argument(help="The import's number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Take an import back: posts and hits that only it brought go. Posts with a decision stay and are listed."""
    from core.services.takeback import posts_that_stay, preview_takeback, queue_take_back

    installation = open_installation()
    engine, actor = installation.engine, installation.actor
    counts = preview_takeback(engine, actor, run_id).counts
    question = (
        f"{counts.posts_gone:,} posts and {counts.hits_gone:,} hits go, {counts.posts_decided:,} decided posts stay"
    )
    if not yes and not typer.confirm(f"{question}. Take import {run_id} back?", err=True):
        fail("Nothing was changed.")
    ended = run_in_foreground(installation, queue_take_back(engine, actor, run_id, now=utc_now()))
    run_follow_ups(installation)
    stay = posts_that_stay(engine, actor, run_id, limit=1_000_000)
    value = {"run": ended.id, "import": run_id} | ended.result | {"staying": [asdict(post) for post in stay]}
    lines = [f"{name.replace('_', ' ')}: {count:,}" for name, count in ended.result.items()]
    lines += [f"stays: post {post.post_id} (pid {post.pid or '-'})" for post in stay[:20]]
    lines += [f"and {len(stay) - 20:,} more" for _ in stay[20:21]]
    show(value, as_json=as_json, text=lambda: lines)


def invite_user(
    role: Annotated[Role | None, typer.Option(help="Role of the new account.")] = None,
    name: Annotated[str | None, typer.Option(help="Instead: an existing user who needs a new password.")] = None,
    email: Annotated[
        str | None, typer.Option(help="Instead of a link: who signs in with this address at the team's provider.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Where people reach the app (default: where it is being served).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a one-time link (24 hours) for a new account of a role, or for a new password of an existing one."""
    from core.services import accounts, identities
    from ui.server.address import recorded_address

    if (role is None) == (name is None):
        raise typer.BadParameter("give either --role or --name")
    installation = open_installation()
    engine, actor = installation.engine, installation.actor
    if email is not None:
        invited = identities.invite_address(
            engine, actor, email=email, role=role or Role.moderator, account=name, now=utc_now()
        )
        said = f"{invited.email} may sign in as {invited.account or invited.role} until {invited.expires_at:%Y-%m-%d}."
        show(invited, as_json=as_json, text=lambda: [said])
        return
    if role is not None:
        token = accounts.invite(engine, actor, role=role, now=utc_now())
    else:
        token = accounts.invite_back(engine, actor, name=name or "", now=utc_now())
    reached_at = address or recorded_address(installation.settings)
    link = f"{reached_at.rstrip('/')}/invite/{token}"
    show({"link": link, "role": role, "name": name}, as_json=as_json, text=lambda: [link])


def list_all_users(as_json: Json = False) -> None:
    """List users with their roles."""
    from core.services.accounts import list_users

    installation = open_installation()
    found = list_users(installation.engine, installation.actor)
    lines = (f"{u.name:<20} {u.role:<10} {'disabled' if u.disabled_at else ''}".rstrip() for u in found)
    show(
        found, as_json=as_json, text=lambda: lines if found else ["No users yet; `tiebreak serve` prints a first link."]
    )


def change_role_of_user(
    name: Annotated[str, typer.Argument(help="The user's name.")],
    role: Annotated[Role, typer.Argument(help="The new role.")],
    as_json: Json = False,
) -> None:
    """Give a user another role; it counts at once, also in pages that are open."""
    from core.services.accounts import change_role

    installation = open_installation()
    user = change_role(installation.engine, installation.actor, name, role=role, now=utc_now())
    show(user, as_json=as_json, text=lambda: [f"{name} is {role} now."])


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


def list_sessions_of_user(name: Annotated[str, typer.Argument(help="The user's name.")], as_json: Json = False) -> None:
    """List where a user is signed in: browser, address, when it began and was last seen."""
    from core.services.sessions import sessions_of

    installation = open_installation()
    found = sessions_of(installation.engine, installation.actor, name, now=utc_now())
    lines = (
        f"{s.last_seen_at:%Y-%m-%d %H:%M} UTC, since {s.begun_at:%Y-%m-%d %H:%M}, "
        f"{s.browser or 'unknown browser'}, {s.address or 'unknown address'}"
        for s in found
    )
    show(found, as_json=as_json, text=lambda: lines if found else [f"{name} is signed in nowhere."])


def sign_user_out(name: Annotated[str, typer.Argument(help="The user's name.")], as_json: Json = False) -> None:
    """Sign a user out everywhere."""
    from core.services.sessions import sign_out_user

    installation = open_installation()
    ended = sign_out_user(installation.engine, installation.actor, name, now=utc_now())
    value = {"user": name, "sessions_ended": ended}
    show(value, as_json=as_json, text=lambda: [f"{name} is signed out everywhere ({ended} sessions ended)."])


Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day (UTC), as 2026-03-01.")]


def show_audit_log(
    actor: Annotated[str | None, typer.Option(help="Only what this person did.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as 'sign in'.")] = None,
    since: Day = None,
    until: Day = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """Show the audit log, newest first. With --json it counts as an export and is on record itself."""
    from core.domain import LogFilter
    from core.services import auditing

    installation = open_installation()
    engine, by = installation.engine, installation.actor
    first, last = (day and day.replace(tzinfo=UTC) for day in (since, until))
    asked = LogFilter(actor, action, first, last + timedelta(days=1) if last else None)
    if as_json:
        walked = auditing.walk_log(engine, by, asked, now=utc_now())
        show(list(islice(walked, limit)), as_json=True, text=list)
        return
    found, _total = auditing.list_log(engine, by, asked, page=1, per_page=limit)
    lines = (
        f"{entry.happened_at:%Y-%m-%d %H:%M:%S} {entry.actor:<20} {entry.action:<20} "
        f"{json.dumps(entry.details, ensure_ascii=False)} {entry.address or ''}".rstrip()
        for entry in found
    )
    show(found, as_json=False, text=lambda: lines if found else ["Nothing of that kind is on record."])


def migrate_database(as_json: Json = False) -> None:
    """Create the database or bring it to the newest schema (every command does this first)."""
    from db.engine import newest_schema_version

    path = str(open_installation().settings.database_path)
    value = {"database": path, "schema": newest_schema_version()}
    show(value, as_json=as_json, text=lambda: [f"{path} has schema {value['schema']}."])


def backup_database(as_json: Json = False) -> None:
    """Copy the database into data/backups while everybody goes on working."""
    from core.services.auditing import record_backup
    from db.engine import backup

    installation = open_installation()
    path = backup(installation.engine, backups_dir=installation.settings.backups_dir)
    record_backup(installation.engine, installation.actor, "back up", path=path.name, now=utc_now())
    show({"backup": str(path)}, as_json=as_json, text=lambda: [f"Saved as {path}."])


def restore_database(
    file: Annotated[Path, typer.Argument(help="A backup, usually from data/backups.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the database's place (what is there now is backed up first). Stop the server before."""
    from core.services.auditing import record_backup
    from db.engine import restore

    settings = read_settings(os.environ)
    if not yes and not typer.confirm(f"Replace {settings.database_path} by {file}?", err=True):
        fail("Nothing was changed.")
    engine = open_engine(settings.database_url)
    saved = restore(engine, source=file, backups_dir=settings.backups_dir)
    migrate(engine, backups_dir=settings.backups_dir)
    record_backup(engine, operator(), "restore", path=file.name, now=utc_now())
    value = {"restored": str(file), "before": None if saved is None else str(saved)}
    show(value, as_json=as_json, text=lambda: [f"Restored {file}; the state before it is kept in {saved}."])
