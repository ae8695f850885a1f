"""What the pages and routes of one served process share; set once by `tiebreak serve`, before the first request."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    engine: Engine


_current: Runtime | None = None


def start(runtime: Runtime) -> None:
    global _current  # noqa: PLW0603 - Streamlit runs the page script anew each time; nothing else outlives a run
    _current = runtime


def current() -> Runtime | None:
    """None when the pages were started without our server (`streamlit run`): callers show nothing then."""
    return _current
