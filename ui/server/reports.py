"""Reports as pages of their own: one HTML file, without script, under a policy stricter than the app's."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.domain import Session
from core.errors import TiebreakError
from core.html_page import CSP
from core.services import reporting
from core.version_report import page_of
from core.week_report import monday_of
from core.week_report import page_of as week_page_of
from ui import languages
from ui.server import runtime
from ui.server.refusals import refusal_of


def version_report(request: Request) -> Response:
    """GET /report/version/NAME."""
    session: Session = request.state.session
    engine, name = runtime.require().engine, request.path_params["name"]
    try:
        found = reporting.version_report(engine, session.user.actor, name, now=utc_now())
    except TiebreakError as err:
        return refusal_of(err)
    tag = languages.TAGS[languages.language()]
    page = page_of(found, now=utc_now(), language=tag, retell=languages.retell)
    return HTMLResponse(page, headers={"Content-Security-Policy": CSP})


def week_report(request: Request) -> Response:
    """GET /report/week/YYYY-WNN."""
    session: Session = request.state.session
    now = utc_now()
    try:
        monday = monday_of(request.path_params["week"])
        found = reporting.week_report(runtime.require().engine, session.user.actor, monday, now=now)
    except TiebreakError as err:
        return refusal_of(err)
    page = week_page_of(found, now=now, language=languages.TAGS[languages.language()])
    return HTMLResponse(page, headers={"Content-Security-Policy": CSP})


routes = [
    Route("/report/version/{name}", version_report, methods=["GET"]),
    Route("/report/week/{week}", week_report, methods=["GET"]),
]
