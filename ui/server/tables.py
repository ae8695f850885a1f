"""Lists as downloads: tab-separated as MySQL writes it, streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.clock import utc_now
from core.domain import Actor, Session, SkipKind
from core.errors import NotAllowed
from core.services import auditing, families, flags, team
from core.tsv import join_fields
from core.wording import _
from ui.server import runtime

Cell = str | int | datetime | None
Rows = Iterator[tuple[Cell, ...]]


def _families(engine: Engine, actor: Actor) -> Rows:
    """A line for each post of each family of two or more, largest first."""
    return (
        (
            family.id, family.size, family.first_seen_at, family.last_seen_at,
            families.representative_of(family, members).pid, member.pid,
            None if member.label is None else member.label.name, member.text,
        )
        for family, members in families.walk_families(engine, actor, limit=None)
        for member in members
    )  # fmt: skip


def _flags(engine: Engine, actor: Actor) -> Rows:
    return (
        (f.post_id, f.pid, f.flagged_by, f.flagged_at, f.note, f.closed_by, f.closed_at, f.answer, f.text)
        for f in flags.walk_flags(engine, actor)
    )


def _skips(engine: Engine, actor: Actor) -> Rows:
    return ((s.post_id, s.pid, s.kind, s.skipped_by, s.skipped_at, s.text) for s in flags.walk_skips(engine, actor))


def _team(engine: Engine, actor: Actor) -> Rows:
    """A line for each person; days begin at midnight UTC."""
    return (
        (
            p.name, p.role, p.today, sum(p.by_day[-7:]), sum(p.by_day), p.in_all,
            None if p.pace.median_s is None else f"{p.pace.median_s:.2f}", p.pace.timed, p.pace.fast,
            p.checks.compared, p.checks.same, p.agreement.compared, p.agreement.same,
            p.flags, *(p.skips[kind] for kind in SkipKind), p.last_at,
        )
        for p in team.walk_team(engine, actor, now=utc_now())
    )  # fmt: skip


TABLES: dict[str, tuple[tuple[str, ...], Callable[[Engine, Actor], Rows]]] = {
    "families": (
        ("family", "size", "first_seen", "last_seen", "representative", "pid", "label", "text"),
        _families,
    ),
    "flags": (
        ("post", "pid", "flagged_by", "flagged_at", "note", "closed_by", "closed_at", "answer", "text"),
        _flags,
    ),
    "team": (
        (
            "name",
            "role",
            "today",
            "last_7_days",
            "last_14_days",
            "in_all",
            "median_seconds",
            "timed",
            "under_1_s",
            "checks_answered",
            "checks_alike",
            "compared_with_others",
            "alike_with_others",
            "flags",
            *(f"passed_on_{kind}" for kind in SkipKind),
            "last_decision",
        ),
        _team,
    ),
    "skips": (("post", "pid", "kind", "skipped_by", "skipped_at", "text"), _skips),
}


def download(request: Request) -> Response:
    """GET /api/NAME.tsv: verbatim, with backslash escapes, times in UTC, \\N where there is nothing."""
    session: Session = request.state.session
    name = request.path_params["name"]
    if name not in TABLES:
        return JSONResponse({"error": _("There is no list {name!r}.").format(name=name[:40])}, status_code=404)
    columns, walk = TABLES[name]
    engine = runtime.require().engine
    try:
        found = walk(engine, session.user.actor)
        auditing.record_export(engine, session.user.actor, name, now=utc_now())
    except NotAllowed as err:
        return JSONResponse({"error": str(err)}, status_code=403)
    headers = {"Content-Disposition": f'attachment; filename="{name}.tsv"', "Cache-Control": "no-store"}
    lines = as_tsv(columns, found)
    return StreamingResponse(lines, media_type="text/tab-separated-values; charset=utf-8", headers=headers)


def as_tsv(columns: tuple[str, ...], found: Rows) -> Iterator[str]:
    """A line of names, and one for each row."""
    yield join_fields(columns)
    yield from (join_fields(map(_text, cells)) for cells in found)


def _text(cell: Cell) -> str | None:
    return cell.isoformat() if isinstance(cell, datetime) else None if cell is None else str(cell)


routes = [Route("/api/{name}.tsv", download, methods=["GET"])]
