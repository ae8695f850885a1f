"""Sign-in through the team's own provider: off to it, and back with a code."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.errors import SignInFailed
from core.services import identities
from core.settings import Oidc
from core.wording import _
from ui.server import provider, runtime
from ui.server.cookies import secret_in
from ui.server.provider import Asked
from ui.server.signin import address_of, browser_of, entered, local_path, signin_page

# What the attempt has to bring back stays in the browser that began it. SameSite=lax: the way back begins elsewhere.
COOKIE = "tiebreak_oidc"
PATH, CALLBACK = "/signin/oidc", "/signin/oidc/callback"
LASTS_S = 600


async def begin(request: Request) -> Response:
    """GET /signin/oidc?next=PAGE: to the provider, with fresh state, nonce and PKCE verifier."""
    oidc = runtime.require().oidc
    if oidc is None:
        return _failed(SignInFailed(_("No sign-in provider is set up here; sign in with your password.")), status=404)
    asked = Asked(_secret(), _secret(), _secret(), _redirect_uri(request))
    try:
        url = await run_in_threadpool(provider.authorization_url, oidc, asked)
    except SignInFailed as err:
        return _failed(err, status=502)
    response = RedirectResponse(url, status_code=303)
    onwards = quote(local_path(request.query_params.get("next", "/")), safe="")
    response.set_cookie(
        COOKIE,
        ".".join((asked.state, asked.nonce, asked.verifier, onwards)),
        max_age=LASTS_S,
        httponly=True,
        secure=runtime.require().is_secure,
        samesite="lax",
        path=PATH,
    )
    return response


async def come_back(request: Request) -> Response:
    """GET /signin/oidc/callback?code=…&state=…: check, bind or find the account, open a session."""
    oidc = runtime.require().oidc
    if oidc is None:
        return _failed(SignInFailed(_("No sign-in provider is set up here; sign in with your password.")), status=404)
    try:
        asked, code, onwards = _brought_back(request, oidc)
        claims = await run_in_threadpool(provider.claims_of, oidc, asked, code=code)
        secret, _session = await run_in_threadpool(
            identities.sign_in_with,
            runtime.require().engine,
            claims,
            address=address_of(request),
            browser=browser_of(request),
            now=utc_now(),
            instead_of=secret_in(request.cookies),
        )
    except SignInFailed as err:
        return _failed(err, status=403)
    response = entered(secret, to=local_path(onwards))
    response.delete_cookie(COOKIE, path=PATH)
    return response


def _brought_back(request: Request, oidc: Oidc) -> tuple[Asked, str, str]:
    """(what was asked, the code, the page to go on to); raises SignInFailed for another browser's answer."""
    given = request.query_params
    kept = request.cookies.get(COOKIE, "").split(".", 3)
    if len(kept) != 4 or not hmac.compare_digest(given.get("state", "").encode(), kept[0].encode()):
        raise SignInFailed(_("This attempt to sign in took too long, or another browser began it; please try again."))
    if given.get("iss", oidc.issuer) != oidc.issuer:  # RFC 9207: the answer of another provider
        raise SignInFailed(_("This answer does not come from the provider that was asked; please try again."))
    if "code" not in given:
        raise SignInFailed(_("The provider did not let you in; try again there, or ask whoever runs it."))
    state, nonce, verifier, onwards = kept
    return Asked(state, nonce, verifier, _redirect_uri(request)), given["code"], unquote(onwards)


def _secret() -> str:
    return secrets.token_urlsafe(32)


def _redirect_uri(request: Request) -> str:
    """At the host that the browser knows us by; the gate has checked that it is one of ours."""
    scheme = "https" if runtime.require().is_secure else "http"
    return f"{scheme}://{request.headers['host']}{CALLBACK}"


def _failed(err: SignInFailed, *, status: int) -> Response:
    response = signin_page(error=str(err), status=status)
    response.delete_cookie(COOKIE, path=PATH)
    return response


routes = [
    Route(PATH, begin, methods=["GET"]),
    Route(CALLBACK, come_back, methods=["GET"]),
]
