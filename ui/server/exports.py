"""Tables as downloads, streamed while they are read, in each format."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from core.clock import utc_now
from core.domain import Session
from core.errors import NotFound, TiebreakError
from core.services import exporting
from core.services.exporting import Authors, Content, Wanted
from core.sheets import SheetForm, write_sheet
from core.wording import _
from ui.server import runtime
from ui.server.refusals import refusal_of


def download(request: Request) -> Response:
    """GET /api/export/CONTENT?form=FORM, with authors=, version= and policy=; safe=1: no cell of a TSV is a formula."""
    session: Session = request.state.session
    running, now = runtime.require(), utc_now()
    try:
        wanted = _wanted(request)
        sheet = exporting.open_sheet(running.engine, session.user.actor, wanted, settings=running.settings, now=now)
    except TiebreakError as err:
        return refusal_of(err)
    name = f"{wanted.content}-{now:%Y-%m-%d}.{wanted.form.ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    pieces = write_sheet(sheet, wanted.form, is_spreadsheet_safe=request.query_params.get("safe") == "1")
    return StreamingResponse(pieces, media_type=wanted.form.media_type, headers=headers)


def _wanted(request: Request) -> Wanted:
    given = request.query_params
    try:
        content = Content(request.path_params["content"])
        form, authors = SheetForm(given.get("form", "")), Authors(given.get("authors") or Authors.left_out)
    except ValueError as err:
        raise NotFound(_("There is no such table, or not in that format; the Exports page lists them.")) from err
    return Wanted(content, form, authors, given.get("version") or None, given.get("policy") or None)


routes = [Route("/api/export/{content}", download, methods=["GET"])]
