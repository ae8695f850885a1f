"""Where somebody is signed in, as a table: for the person, and for the lead."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.domain import ListedSession
from core.services.sessions import ADDRESSES_KEPT
from core.wording import _


def show_sessions(found: Sequence[ListedSession], *, here: int | None = None) -> None:
    """here: the session that looks at the page."""
    rows = [
        {
            "browser": (session.browser or _("unknown")) + (" " + _("(this one)") if session.id == here else ""),
            "address": session.address or _("unknown"),
            "begun": session.begun_at,
            "seen": session.last_seen_at,
        }
        for session in found
    ]
    columns = {
        "browser": st.column_config.TextColumn(_("browser"), width="medium"),
        "address": st.column_config.TextColumn(_("address")),
        "begun": st.column_config.DatetimeColumn(_("signed in (UTC)"), format="YYYY-MM-DD HH:mm"),
        "seen": st.column_config.DatetimeColumn(_("last seen (UTC)"), format="YYYY-MM-DD HH:mm"),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns)
    st.caption(_("Forgotten {days} days after it was last seen.").format(days=ADDRESSES_KEPT.days))
