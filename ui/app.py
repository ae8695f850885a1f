"""The script that Streamlit runs for every visit: who may see which page, and the frame around it."""

from __future__ import annotations

import streamlit as st

from core.permissions import Permission, may
from ui.components import component
from ui.identity import require_session

st.set_page_config(page_title="Tiebreak", layout="wide", initial_sidebar_state="auto")

PAGES = (
    ("views/home.py", "Home", ":material/home:", None),
    ("views/label.py", "Label", ":material/keyboard:", Permission.label),
    ("views/imports.py", "Import", ":material/upload_file:", Permission.manage_imports),
    ("views/retrain.py", "Retrain", ":material/model_training:", Permission.manage_runs),
    ("views/models.py", "Models", ":material/rule:", Permission.look),
    ("views/distributions.py", "Distributions", ":material/bar_chart:", Permission.look),
    ("views/review.py", "Review", ":material/history:", Permission.review),
    ("views/users.py", "Users", ":material/group:", Permission.manage_users),
)

session = require_session()
# Hiding a page is a courtesy: the services check every call again.
pages = [
    st.Page(path, title=title, icon=icon, default=path == "views/home.py")
    for path, title, icon, needed in PAGES
    if needed is None or may(session.user.actor, needed)
]
chosen = st.navigation(pages)
with st.sidebar:
    component("account")(
        key="account", data={"name": session.user.name, "role": session.user.role, "csrf": session.csrf}
    )
chosen.run()
