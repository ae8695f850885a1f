"""What every page begins with: who is looking, what the page is for, and errors as sentences."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st
from sqlalchemy import Engine

from core.domain import Actor, Session
from core.errors import TiebreakError
from core.settings import Settings
from core.wording import _
from ui.identity import require_session
from ui.server import runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    engine: Engine
    settings: Settings
    session: Session

    @property
    def actor(self) -> Actor:
        return self.session.user.actor


def current_page() -> Page:
    """Who looks at what, checked anew; for callbacks and fragments, which run without the rest of the page."""
    session = require_session()
    running = runtime.require()
    return Page(running.engine, running.settings, session)


def open_page(title: str, purpose: str) -> Page:
    """Title and, in one line, what the page is for."""
    page = current_page()
    st.title(title, anchor=False)
    st.caption(purpose)
    return page


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """The page boundary: what a person can mend is said; anything else gets an id and goes to the log."""
    try:
        yield
    except TiebreakError as err:
        st.error(str(err), icon=":material/error:")
    except Exception:
        error_id = secrets.token_hex(4)
        logger.exception("page error %s", error_id)
        st.error(
            _("Something went wrong here (error {error_id}; the server's log tells more). Nothing was changed.").format(
                error_id=error_id
            )
        )
