"""The audit log as a download: tab-separated or JSON lines, of the entries that the page shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.clock import utc_now
from core.domain import LogFilter, LoggedAction, Session
from core.errors import BadInput, TiebreakError
from core.services import auditing
from core.wording import _
from ui.server import runtime
from ui.server.tables import as_tsv

COLUMNS = ("happened_at", "actor", "action", "details", "address")
KINDS = {"tsv": "text/tab-separated-values", "jsonl": "application/jsonl"}


def download(request: Request) -> Response:
    """GET /api/audit.tsv and /api/audit.jsonl, with actor=, action=, since= and until= (YYYY-MM-DD, UTC)."""
    session: Session = request.state.session
    kind = request.url.path.rpartition(".")[2]
    try:
        asked = _asked(request)
        found = auditing.walk_log(runtime.require().engine, session.user.actor, asked, now=utc_now())
    except TiebreakError as err:
        return JSONResponse({"error": str(err)}, status_code=400 if isinstance(err, BadInput) else 403)
    headers = {"Content-Disposition": f'attachment; filename="audit.{kind}"', "Cache-Control": "no-store"}
    lines = _tsv(found) if kind == "tsv" else map(_json_line, found)
    return StreamingResponse(lines, media_type=f"{KINDS[kind]}; charset=utf-8", headers=headers)


def _asked(request: Request) -> LogFilter:
    given = request.query_params
    return LogFilter(
        given.get("actor") or None, given.get("action") or None, _day(given.get("since")), _day(given.get("until"))
    )


def _day(said: str | None) -> datetime | None:
    if not said:
        return None
    try:
        return datetime.strptime(said, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as err:
        raise BadInput(_("{day!r} is not a day; write it like 2026-03-01.").format(day=said[:20])) from err


def _tsv(found: Iterator[LoggedAction]) -> Iterator[str]:
    rows = (
        (entry.happened_at, entry.actor, entry.action, json.dumps(entry.details, ensure_ascii=False), entry.address)
        for entry in found
    )
    return as_tsv(COLUMNS, rows)


def _json_line(entry: LoggedAction) -> str:
    value = asdict(entry) | {"happened_at": entry.happened_at.isoformat()}
    return json.dumps(value, ensure_ascii=False) + "\n"


routes = [Route(f"/api/audit.{kind}", download, methods=["GET"]) for kind in KINDS]
