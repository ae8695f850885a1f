"""The versions that a page of the analyst's room can look at."""

from __future__ import annotations

import streamlit as st

from core.services import models
from core.wording import _
from ui.page import Page


def versions_to_look_at(page: Page) -> tuple[list[str], str]:
    """(names, newest first; the one that is looked at where none is chosen: the active one, else the newest).

    Where there is none, says how to get one and ends the page.
    """
    rows = models.list_versions(page.engine, page.actor)
    names = [row.version.name for row in rows]
    if not names:
        st.write(_("There is no model version yet, so nothing has been scored. A lead makes one on the Retrain page."))
        st.stop()
    return names, next((row.version.name for row in rows if row.is_active), names[0])
