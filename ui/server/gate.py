"""The gate before everything that is served: host, origin, session and CSRF token, for requests and websockets."""

from __future__ import annotations

import hmac
import ipaddress
import re
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.clock import utc_now
from core.domain import Session
from core.services import accounts
from core.wording import _
from ui import languages
from ui.server import runtime
from ui.server.cookies import secret_in

OPEN_PATHS = frozenset({"/signin", "/signin/oidc", "/signin/oidc/callback", "/language", "/healthz"})
OPEN_INVITATION = re.compile(r"/invite/[A-Za-z0-9_-]{20,100}")
# Streamlit's own script, style and fonts, the same for everybody. A page that is open when its session ends still has
# to fetch what draws the way to the sign-in page.
OPEN_ASSET = re.compile(r"/static/(?:css|js|media)/[A-Za-z0-9_-][A-Za-z0-9._-]*")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSP = "; ".join(
    (
        "default-src 'self'",
        # Streamlit's page has one inline script (it sets a flag for pre-rendering); it is named by its hash.
        "script-src 'self' blob: 'sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA='",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Gate:
    """ASGI middleware. What passes has request.state.session, except on the few open paths."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        languages.answer_request(connection.cookies, connection.headers.get("accept-language", ""))
        refusal = await _refuse(connection)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before accepting: the client sees HTTP 403
        else:
            await refusal(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            stricter = headers.get("Content-Security-Policy")  # of a route: a browser obeys both
            for name, value in HEADERS.items():
                headers[name] = value
            if stricter is not None:
                headers.append("Content-Security-Policy", stricter)
            if "text/html" in headers.get("content-type", ""):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return send_with_headers


async def _refuse(connection: HTTPConnection) -> Response | None:
    """The answer to whoever may not pass; None lets the request through, with its session."""
    running = runtime.require()
    host = connection.headers.get("host", "")
    if not is_allowed_host(host, running.allowed_hosts):
        return PlainTextResponse(
            _("This host name is not one of Tiebreak's; start it with --allowed-host NAME."), status_code=421
        )
    if not is_own_origin(connection.headers.get("origin"), host):
        return PlainTextResponse(_("Requests from other sites are refused."), status_code=403)
    path = connection.scope["path"]
    if path in OPEN_PATHS or OPEN_INVITATION.fullmatch(path) or _is_asset(connection):
        return None
    session = await run_in_threadpool(accounts.session_of, running.engine, secret_in(connection.cookies), now=utc_now())
    if session is None:
        return _to_signin(connection)
    languages.answer_request(connection.cookies, connection.headers.get("accept-language", ""), session)
    if not _is_meant(connection, session):
        return JSONResponse({"error": _("The page is out of date (CSRF token); reload it.")}, status_code=403)
    connection.scope.setdefault("state", {})["session"] = session
    return None


def _is_asset(connection: HTTPConnection) -> bool:
    return connection.scope.get("method") in ("GET", "HEAD") and bool(OPEN_ASSET.fullmatch(connection.scope["path"]))


def is_allowed_host(host: str, allowed: frozenset[str]) -> bool:
    """Named hosts, localhost and addresses: DNS rebinding needs a name of its own."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.rstrip(".") in allowed | {"localhost"}
    return True


def is_own_origin(origin: str | None, host: str) -> bool:
    """Browsers send Origin with websockets and with everything that changes something; other clients need not."""
    return origin is None or origin.partition("://")[2] == host


def _to_signin(connection: HTTPConnection) -> Response:
    is_page = connection.scope.get("method") == "GET" and "text/html" in connection.headers.get("accept", "")
    if is_page:
        path = connection.scope["path"]
        return RedirectResponse(f"/signin?next={quote(path, safe='')}" if path != "/" else "/signin", status_code=303)
    return JSONResponse({"error": _("You are signed out; sign in and try again.")}, status_code=401)


def _is_meant(connection: HTTPConnection, session: Session) -> bool:
    """A request that changes something carries the session's CSRF token.

    Streamlit's own routes check a token of theirs; /signout carries ours in its form and checks it itself.
    """
    path = connection.scope["path"]
    if connection.scope["type"] == "websocket" or connection.scope["method"] in SAFE_METHODS:
        return True
    if path.startswith("/_stcore/") or path == "/signout":
        return True
    return hmac.compare_digest(connection.headers.get("x-csrf-token", "").encode(), session.csrf.encode())
