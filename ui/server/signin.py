"""Sign-in, sign-out, invitations and the choice of a language: plain forms that need no script."""

from __future__ import annotations

import hmac
import html
import secrets
from string import Template
from urllib.parse import parse_qs, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.domain import Language, Session
from core.errors import BadInput, NotFound, SignInFailed, TiebreakError
from core.passwords import MIN_LENGTH, rules_in_words
from core.services import accounts
from core.wording import _
from ui import languages
from ui.server import runtime
from ui.server.browsers import browser_named
from ui.server.cookies import clear_secret, secret_in, set_language, set_secret
from ui.words import role_in_words

FORM_COOKIE = "tiebreak_form"  # the same value in cookie and form: another site can send the form, not read the cookie
MAX_FORM = 20_000

_PAGE = Template("""<!doctype html>
<html lang="$lang"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tiebreak</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark;
  --ink: #23272b; --quiet: #5c646b; --paper: #fbfbfa; --line: #c9cdd1; --accent: #2b5d8a; --on: #fff; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e6e8ea; --quiet: #a0a8af; --paper: #16181b; --line: #474d53; --accent: #7fb2e0; --on: #10202e; } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 17px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Zen Hei", sans-serif; }
main { width: min(22rem, calc(100vw - 3rem)); padding: 1rem 0 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
p { margin: 0 0 1.25rem; color: var(--quiet); }
p.hint { font-size: .85rem; margin-top: -.5rem; }
p.error { color: var(--ink); border-left: 3px solid currentColor; padding-left: .75rem; }
label { display: block; margin: 0 0 1rem; }
input { display: block; box-sizing: border-box; width: 100%; margin-top: .25rem; padding: .55rem .7rem; font: inherit;
  color: inherit; background: transparent; border: 1px solid var(--line); border-radius: .4rem; }
button { width: 100%; padding: .6rem; font: inherit; font-weight: 600; color: var(--on); background: var(--accent);
  border: 0; border-radius: .4rem; cursor: pointer; }
form.languages { margin-top: 2rem; }
form.languages button { width: auto; padding: .2rem .6rem; font-weight: 400; color: var(--quiet); background: none;
  border: 1px solid var(--line); }
a.other { display: block; margin-top: 1rem; padding: .55rem; text-align: center; text-decoration: none; color: inherit;
  font-weight: 600; border: 1px solid var(--line); border-radius: .4rem; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
</style></head><body><main><h1>$title</h1>$lead$form$others</main></body></html>""")


def _page(
    title: str, lead: str, fields: str, button: str, *, other: str = "", error: str = "", status: int = 200
) -> HTMLResponse:
    """A form with a fresh double-submit token; texts are escaped here, `fields` and `other` are markup of ours."""
    token = secrets.token_urlsafe(32)
    says = f"<p>{html.escape(lead)}</p>" if lead else ""
    says += f'<p class="error" role="alert">{html.escape(error)}</p>' if error else ""
    hidden = f'<input type="hidden" name="form" value="{token}">'
    others = "".join(
        f'<button name="language" value="{other}" lang="{languages.TAGS[other]}">{languages.OWN_NAMES[other]}</button>'
        for other in Language
        if other is not languages.language()
    )
    others = f'<form method="post" action="/language" class="languages">{others}</form>'
    form = f'<form method="post">{hidden}{fields}<button>{html.escape(button)}</button></form>' if button else ""
    lang = languages.TAGS[languages.language()]
    page = _PAGE.substitute(lang=lang, title=html.escape(title), lead=says, form=form + other, others=others)
    response = HTMLResponse(page, status_code=status)
    running = runtime.require()
    response.set_cookie(FORM_COOKIE, token, httponly=True, secure=running.is_secure, samesite="strict", path="/")
    return response


def _field(label: str, name: str, *, kind: str = "text", complete: str, value: str = "", focus: bool = False) -> str:
    extra = " autofocus" if focus else ""
    return (
        f'<label>{html.escape(label)}<input name="{name}" type="{kind}" autocomplete="{complete}" required '
        f'value="{html.escape(value, quote=True)}"{extra}></label>'
    )


async def _fields(request: Request) -> dict[str, str]:
    """Fields of a posted form; raises BadInput when it is too large or was not made by our page."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise BadInput(_("The form is too large."))
    try:
        parsed = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    except ValueError as err:
        raise BadInput(_("The form has too many fields.")) from err
    return {name: values[0] for name, values in parsed.items()}


def _require_own_form(request: Request, fields: dict[str, str]) -> None:
    expected = request.cookies.get(FORM_COOKIE, "")
    if not expected or not hmac.compare_digest(fields.get("form", "").encode(), expected.encode()):
        raise BadInput(_("The form was open too long or cookies are off; please try again."))


def address_of(request: Request) -> str:
    """Where the request came from: the peer, or what a named proxy says it forwarded for."""
    peer = request.client.host if request.client else "unknown"
    forwarded = request.headers.get("x-forwarded-for", "")
    if runtime.require().proxy == peer and forwarded:
        return forwarded.rpartition(",")[2].strip()[:64]  # the last entry is the one the proxy added itself
    return peer


def browser_of(request: Request) -> str:
    return browser_named(request.headers.get("user-agent", ""))


def entered(secret: str, *, to: str) -> Response:
    response = RedirectResponse(to, status_code=303)
    set_secret(response, secret, is_secure=runtime.require().is_secure)
    return response


# --- sign-in --------------------------------------------------------------------------------------------------------


def signin_page(*, name: str = "", error: str = "", onwards: str = "/", status: int = 200) -> Response:
    """onwards: the page of ours to go on to."""
    fields = _field(_("Name"), "name", complete="username", value=name, focus=not name)
    fields += _field(_("Password"), "password", kind="password", complete="current-password", focus=bool(name))
    lead = _("Sign in to decide what the model cannot.")
    return _page("Tiebreak", lead, fields, _("Sign in"), other=_other_way(onwards), error=error, status=status)


def _other_way(onwards: str) -> str:
    """A link to the team's own provider, where one is set up. A link: forms may only lead to us."""
    oidc = runtime.require().oidc
    if oidc is None:
        return ""
    words = _("Sign in with {provider}").format(provider=oidc.label)
    href = f"/signin/oidc?next={quote(onwards, safe='')}"
    return f'<a class="other" href="{html.escape(href, quote=True)}">{html.escape(words)}</a>'


def show_signin(request: Request) -> Response:
    return signin_page(onwards=local_path(request.query_params.get("next", "/")))


async def sign_in(request: Request) -> Response:
    fields: dict[str, str] = {}
    onwards = local_path(request.query_params.get("next", "/"))
    try:
        fields = await _fields(request)
        _require_own_form(request, fields)
        secret, _session = await run_in_threadpool(
            accounts.sign_in,
            runtime.require().engine,
            name=fields.get("name", ""),
            password=fields.get("password", ""),
            address=address_of(request),
            browser=browser_of(request),
            now=utc_now(),
            instead_of=secret_in(request.cookies),
        )
    except (SignInFailed, BadInput) as err:
        status = 403 if isinstance(err, SignInFailed) else 400
        return signin_page(name=fields.get("name", "")[:80], error=str(err), onwards=onwards, status=status)
    return entered(secret, to=onwards)


def local_path(path: str) -> str:
    """A page of ours to go on to; anything that could lead elsewhere becomes the home page."""
    is_plain = path.startswith("/") and not path.startswith(("//", "/\\", "/_stcore", "/api", "/signin/oidc"))
    return path if is_plain and path.isprintable() and "\\" not in path else "/"


async def sign_out(request: Request) -> Response:
    """POST only, with the session's CSRF token in the form."""
    session: Session = request.state.session
    try:
        fields = await _fields(request)
    except BadInput as err:
        return HTMLResponse(html.escape(str(err)), status_code=400)
    if not hmac.compare_digest(fields.get("csrf", "").encode(), session.csrf.encode()):
        return HTMLResponse(html.escape(_("The page is out of date; reload it.")), status_code=403)
    secret = secret_in(request.cookies) or ""
    await run_in_threadpool(accounts.sign_out, runtime.require().engine, secret, now=utc_now())
    response = RedirectResponse("/signin", status_code=303)
    clear_secret(response)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


# --- invitations ----------------------------------------------------------------------------------------------------


def _invitation_page(token: str, *, name: str = "", error: str = "", status: int = 200) -> Response:
    try:
        invitation, owner = accounts.look_up_invitation(runtime.require().engine, token, now=utc_now())
    except NotFound as err:
        return _page(_("This link does not work"), str(err), "", "", status=404)
    label = _("Password (at least {count} characters)").format(count=MIN_LENGTH)
    passwords = _field(label, "password", kind="password", complete="new-password")
    passwords += _field(_("The same again"), "again", kind="password", complete="new-password")
    passwords += f'<p class="hint">{html.escape(rules_in_words())}</p>'
    if owner is not None:
        shown = (
            f'<input type="text" name="name" value="{html.escape(owner, quote=True)}" autocomplete="username" hidden>'
        )
        return _page(
            _("New password"),
            _("For the account {name}.").format(name=owner),
            shown + passwords,
            _("Set password"),
            error=error,
            status=status,
        )
    fields = _field(_("Name"), "name", complete="username", value=name, focus=True) + passwords
    lead = _("Create your account as {role}.").format(role=role_in_words(invitation.role))
    return _page(_("Welcome to Tiebreak"), lead, fields, _("Create account"), error=error, status=status)


def show_invitation(request: Request) -> Response:
    """Looking does not use the link up: chat programs open links to show previews."""
    return _invitation_page(request.path_params["token"])


async def accept_invitation(request: Request) -> Response:
    token = request.path_params["token"]
    fields: dict[str, str] = {}
    try:
        fields = await _fields(request)
        _require_own_form(request, fields)
        return await run_in_threadpool(_accept, request, token, fields)
    except TiebreakError as err:
        name = fields.get("name", "")[:80]
        return await run_in_threadpool(_invitation_page, token, name=name, error=str(err), status=400)


def _accept(request: Request, token: str, fields: dict[str, str]) -> Response:
    if fields.get("password", "") != fields.get("again", ""):
        raise BadInput(_("The two passwords differ; type the same one twice."))
    engine, now = runtime.require().engine, utc_now()
    made = accounts.accept_invitation(
        engine, token, name=fields.get("name", ""), password=fields.get("password", ""), now=now
    )
    secret, _session = accounts.open_session(
        engine,
        made,
        by="link",
        address=address_of(request),
        browser=browser_of(request),
        now=now,
        instead_of=secret_in(request.cookies),
    )
    return entered(secret, to="/")


# --- language -------------------------------------------------------------------------------------------------------


async def choose_language(request: Request) -> Response:
    """POST /language: the next pages are in that language; kept with the account, or in a cookie until there is one."""
    try:
        fields = await _fields(request)
    except BadInput as err:
        return HTMLResponse(html.escape(str(err)), status_code=400)
    if fields.get("language") not in list(Language):
        return HTMLResponse(html.escape(_("That language is not one of Tiebreak's.")), status_code=400)
    chosen, engine = Language(fields["language"]), runtime.require().engine
    session = await run_in_threadpool(accounts.session_of, engine, secret_in(request.cookies), now=utc_now())
    if session is not None:
        if not hmac.compare_digest(fields.get("csrf", "").encode(), session.csrf.encode()):
            return HTMLResponse(html.escape(_("The page is out of date; reload it.")), status_code=403)
        await run_in_threadpool(accounts.choose_language, engine, session.user.actor, chosen)
    came_from = urlsplit(request.headers.get("referer", ""))
    response = RedirectResponse(local_path(f"{came_from.path}?{came_from.query}".strip("?") or "/"), status_code=303)
    set_language(response, chosen, is_secure=runtime.require().is_secure)
    return response


def healthy(request: Request) -> Response:
    """GET /healthz: answers once the server serves; says nothing else."""
    return Response("ok", media_type="text/plain")


routes = [
    Route("/healthz", healthy, methods=["GET"]),
    Route("/signin", show_signin, methods=["GET"]),
    Route("/signin", sign_in, methods=["POST"]),
    Route("/signout", sign_out, methods=["POST"]),
    Route("/language", choose_language, methods=["POST"]),
    Route("/invite/{token}", show_invitation, methods=["GET"]),
    Route("/invite/{token}", accept_invitation, methods=["POST"]),
]
