"""The script that Streamlit runs for every visit: who may see which page, and the frame around it."""

from __future__ import annotations

import streamlit as st

from core.permissions import Permission, may
from core.settings import PROJECT_DIR
from ui.components import component
from ui.identity import require_session

# An icon of our own: a page icon from Streamlit's set would be fetched from a font server as the tab's icon.
st.set_page_config(page_title="Tiebreak", page_icon=str(PROJECT_DIR / "ui" / "icon.svg"), layout="wide")

PAGES = {
    "": (
        ("views/home.py", "Home", None),
        ("views/label.py", "Label", Permission.label),
        ("views/own.py", "My work", Permission.label),
        ("views/search.py", "Search", Permission.search),
        ("views/account.py", "My account", Permission.own_account),
    ),
    "Posts": (
        ("views/imports.py", "Import", Permission.manage_imports),
        ("views/families.py", "Families", Permission.look),
    ),
    "Model": (
        ("views/retrain.py", "Retrain", Permission.manage_runs),
        ("views/models.py", "Models", Permission.look),
        ("views/distributions.py", "Distributions", Permission.look),
    ),
    "Team": (
        ("views/review.py", "Review", Permission.review),
        ("views/agreement.py", "Agreement", Permission.review),
        ("views/policy.py", "Policy", Permission.manage_policy),
        ("views/users.py", "Users", Permission.manage_users),
    ),
}

session = require_session()
# Hiding a page is a courtesy: the services check every call again.
pages = {
    section: [
        st.Page(path, title=title, default=path == "views/home.py")
        for path, title, needed in listed
        if needed is None or may(session.user.actor, needed)
    ]
    for section, listed in PAGES.items()
}
st.html(PROJECT_DIR / "ui" / "style.css")
st.logo(str(PROJECT_DIR / "ui" / "logo.svg"), icon_image=str(PROJECT_DIR / "ui" / "icon.svg"), size="large")
chosen = st.navigation({section: listed for section, listed in pages.items() if listed}, expanded=True)
with st.sidebar:
    component("account")(
        key="account", data={"name": session.user.name, "role": session.user.role, "csrf": session.csrf}
    )
chosen.run()
