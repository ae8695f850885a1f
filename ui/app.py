"""The script that Streamlit runs for every visit: who may see which page, and the frame around it."""

from __future__ import annotations

import streamlit as st

from core.domain import Language
from core.permissions import Permission, may
from core.settings import PROJECT_DIR
from core.wording import N_, _
from ui.components import component
from ui.identity import require_session
from ui.languages import OWN_NAMES, TAGS, language
from ui.words import role_in_words

# An icon of our own: a page icon from Streamlit's set would be fetched from a font server as the tab's icon.
st.set_page_config(page_title="Tiebreak", page_icon=str(PROJECT_DIR / "ui" / "icon.svg"), layout="wide")

PAGES = {
    "": (
        ("views/home.py", N_("Home"), None),
        ("views/label.py", N_("Label"), Permission.label),
        ("views/own.py", N_("My work"), Permission.label),
        ("views/search.py", N_("Search"), Permission.search),
        ("views/guidelines.py", N_("Guidelines"), Permission.read_guidelines),
        ("views/history.py", N_("Post history"), Permission.search),
        ("views/account.py", N_("My account"), Permission.own_account),
    ),
    N_("Posts"): (
        ("views/imports.py", N_("Import"), Permission.manage_imports),
        ("views/families.py", N_("Families"), Permission.look),
    ),
    N_("Model"): (
        ("views/retrain.py", N_("Retrain"), Permission.manage_runs),
        ("views/models.py", N_("Models"), Permission.look),
        ("views/distributions.py", N_("Distributions"), Permission.look),
        ("views/trust.py", N_("Trust"), Permission.look),
        ("views/change.py", N_("Change"), Permission.look),
        ("views/proof.py", N_("Proof"), Permission.look),
        ("views/thresholds.py", N_("Thresholds"), Permission.look),
        ("views/words.py", N_("Words"), Permission.look),
        ("views/exports.py", N_("Exports"), Permission.export),
    ),
    N_("Team"): (
        ("views/review.py", N_("Review"), Permission.review),
        ("views/team.py", N_("Team's work"), Permission.review),
        ("views/agreement.py", N_("Agreement"), Permission.review),
        ("views/anchoring.py", N_("Model view"), Permission.review),
        ("views/policy.py", N_("Policy"), Permission.manage_policy),
        ("views/audit.py", N_("Audit log"), Permission.audit),
        ("views/forget.py", N_("Forget"), Permission.forget),
        ("views/users.py", N_("Users"), Permission.manage_users),
    ),
}

session = require_session()
# Hiding a page is a courtesy: the services check every call again.
pages = {
    _(section) if section else "": [
        st.Page(path, title=_(title), default=path == "views/home.py")
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
        key="account",
        data={
            "name": session.user.name,
            "role": role_in_words(session.user.role),
            "csrf": session.csrf,
            "lang": TAGS[language()],
            "languages": [
                {"code": other, "tag": TAGS[other], "name": OWN_NAMES[other]}
                for other in Language
                if other is not language()
            ],
            "words": {"leave": _("Sign out")},
        },
    )
chosen.run()
