"""The session cookie: set, read, cleared in one way."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from core.domain import Language
from ui import languages

COOKIE = "tiebreak_session"


def secret_in(cookies: Mapping[str, str]) -> str | None:
    return cookies.get(COOKIE) or None


def set_secret(response: Response, secret: str, *, is_secure: bool) -> None:
    """Ends with the browser; the server ends it earlier when it lies idle. Unreadable for scripts."""
    response.set_cookie(COOKIE, secret, httponly=True, secure=is_secure, samesite="lax", path="/")


def set_language(response: Response, language: Language, *, is_secure: bool) -> None:
    """Lasts a year: the sign-in page is to be read by whoever used this browser before."""
    response.set_cookie(
        languages.COOKIE, language, max_age=365 * 86_400, httponly=True, secure=is_secure, samesite="lax", path="/"
    )


def clear_secret(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
