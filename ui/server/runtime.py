"""What the pages and routes of one served process share; set once by `tiebreak serve`, before the first request."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Engine

from core.column_writer import Writings
from core.services.words import WordRecords
from core.settings import Oidc, Settings


@dataclass(frozen=True, slots=True)
class Runtime:
    """is_secure: people reach the server by TLS, so cookies are for TLS only. proxy: whose headers are believed.

    address: where people reach the server, as it is printed.
    """

    settings: Settings
    engine: Engine
    allowed_hosts: frozenset[str] = frozenset()
    proxy: str | None = None
    is_secure: bool = False
    address: str = ""
    words: WordRecords = field(default_factory=WordRecords)
    writings: Writings = field(default_factory=Writings)
    oidc: Oidc | None = None


_current: Runtime | None = None


def start(runtime: Runtime) -> None:
    global _current
    _current = runtime


def current() -> Runtime | None:
    """None when the pages were started without our server (`streamlit run`): callers show nothing then."""
    return _current


def require() -> Runtime:
    if _current is None:
        raise RuntimeError("the routes are served by `tiebreak serve` only")
    return _current
