"""My account: who I am here, where I am signed in, and my password."""

from __future__ import annotations

import streamlit as st

from core.clock import utc_now
from core.errors import BadInput
from core.passwords import rules_in_words
from core.services import accounts, sessions
from core.wording import _
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.sessions_table import show_sessions
from ui.words import plain, role_in_words


def sign_out_everywhere() -> None:
    page = current_page()
    with errors_as_sentences():
        sessions.sign_out_everywhere(page.engine, page.actor, now=utc_now())


def change_password() -> None:
    page, typed = current_page(), st.session_state
    with errors_as_sentences():
        now = utc_now()
        if typed["password-chosen"] != typed["password-again"]:
            raise BadInput(_("The two new passwords differ; type the same one twice. Nothing was changed."))
        here = [s for s in sessions.own_sessions(page.engine, page.actor, now=now) if s.id == page.session.id]
        accounts.change_own_password(
            page.engine,
            page.actor,
            current=typed["password-current"],
            chosen=typed["password-chosen"],
            address=here[0].address or "" if here else "",
            session_id=page.session.id,
            now=now,
        )
        st.success(_("The new password holds. Everywhere else you are signed out."))


def show_password_form(page: Page) -> None:
    if not accounts.has_password(page.engine, page.actor):
        st.write(_("You sign in without a password of ours. A lead can make a link for one."))
        return
    st.caption(rules_in_words())
    with st.form("password", clear_on_submit=True, width=460):
        for key, label, kind in (
            ("password-current", _("Present password"), "current-password"),
            ("password-chosen", _("New password"), "new-password"),
            ("password-again", _("The new one again"), "new-password"),
        ):
            st.text_input(label, type="password", autocomplete=kind, key=key)
        st.form_submit_button(_("Change the password"), on_click=change_password)


page = open_page(_("My account"), _("Where you are signed in, and your password."))
with errors_as_sentences():
    user = page.session.user
    said = _("**{name}**, {role}, since {day}.")
    st.markdown(said.format(name=plain(user.name), role=role_in_words(user.role), day=f"{user.created_at:%Y-%m-%d}"))
    st.subheader(_("Signed in"), anchor=False)
    show_sessions(sessions.own_sessions(page.engine, page.actor, now=utc_now()), here=page.session.id)
    st.button(
        _("Sign out everywhere"),
        on_click=sign_out_everywhere,
        help=_("Every browser, this one too. What you have decided is saved."),
    )
    st.subheader(_("Password"), anchor=False)
    show_password_form(page)
