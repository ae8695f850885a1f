"""Who looks at the page: the session behind the browser's cookie, looked up anew at every run."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from core.clock import utc_now
from core.domain import Session
from core.services import accounts
from core.wording import _
from ui import languages
from ui.server import runtime
from ui.server.cookies import secret_in


def require_session() -> Session:
    """Return the session; otherwise show the way to the sign-in page and stop.

    The cookie is the one of the page's websocket, so a page left open by somebody who signed out stays shut. Without
    our server (`streamlit run`) there is nobody to ask: nothing is shown.
    """
    running = runtime.current()
    if running is None:
        _stop()
    session = accounts.session_of(running.engine, secret_in(st.context.cookies), now=utc_now())
    if session is None:
        st.write(_("You are signed out."))
        st.link_button(_("Sign in"), "/signin", type="primary")
        _stop()
    languages.answer_page(session)
    return session


def _stop() -> NoReturn:
    """st.stop, which type checkers do not know to end the run."""
    st.stop()
    raise AssertionError("st.stop returned")
