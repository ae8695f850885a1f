"""Users: who may sign in, one-time links for those who shall, and what moderators see of authors."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Role, User
from core.services import accounts, rules
from ui.page import Page, current_page, errors_as_sentences, open_page

WHAT = {
    Role.moderator: "decides posts",
    Role.lead: "may do everything",
    Role.analyst: "reads distributions",
}


def in_words(role: str) -> str:
    return f"{role} – {WHAT[Role(role)]}"


def make_link() -> None:
    page = current_page()
    with errors_as_sentences():
        token = accounts.invite(page.engine, page.actor, role=Role(st.session_state["invite-role"]), now=utc_now())
        remember_link(token, "a new account")


def make_link_back(name: str) -> None:
    page = current_page()
    with errors_as_sentences():
        remember_link(accounts.invite_back(page.engine, page.actor, name=name, now=utc_now()), name)


def remember_link(token: str, whom: str) -> None:
    """Shown once: only its hash is stored."""
    origin = st.context.url or ""
    scheme, _, rest = origin.partition("://")
    st.session_state["invite-link"] = (f"{scheme}://{rest.partition('/')[0]}/invite/{token}", whom)


def switch(name: str, *, disabled: bool) -> None:
    page = current_page()
    with errors_as_sentences():
        change = accounts.enable_user if disabled else accounts.disable_user
        change(page.engine, page.actor, name, now=utc_now())


def give_role(name: str) -> None:
    page = current_page()
    with errors_as_sentences():
        chosen = Role(st.session_state[f"role-{name}"])
        accounts.change_role(page.engine, page.actor, name, role=chosen, now=utc_now())


def change_author() -> None:
    page = current_page()
    with errors_as_sentences():
        chosen = replace(rules.current_policy(page.engine), show_author=st.session_state["policy-author"])
        rules.change_policy(page.engine, page.actor, chosen, now=utc_now())


def show_people(page: Page, people: list[User]) -> None:
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "name": user.name,
                    "role": user.role,
                    "since": user.created_at,
                    "state": "disabled" if user.disabled_at else "",
                }
                for user in people
            ]
        ),
        hide_index=True,
        column_config={"since": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
    )
    left, next_to_it, middle, right = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
    name = left.selectbox("Account", [user.name for user in people], key="users-name")
    user = next(user for user in people if user.name == name)
    is_disabled = user.disabled_at is not None
    st.session_state[f"role-{name}"] = user.role  # the database is the truth, also after a refusal
    next_to_it.selectbox(
        "Role", list(Role), key=f"role-{name}", format_func=in_words, on_change=give_role, args=(name,)
    )
    middle.button(
        "Link for a new password", on_click=make_link_back, args=(name,), disabled=is_disabled, width="stretch"
    )
    right.button(
        "Enable" if is_disabled else "Disable",
        on_click=switch,
        args=(name,),
        kwargs={"disabled": is_disabled},
        width="stretch",
        help="A disabled account is signed out at once and the posts it holds go back. Its decisions stay.",
    )


page = open_page("Users", "Who may sign in. Accounts are made by one-time links, which you pass on yourself.")
with errors_as_sentences():
    if link := st.session_state.pop("invite-link", None):
        address, whom = link
        st.success(f"Pass this link on to the person it is for ({whom}). It works once, for 24 hours.")
        st.code(address, language=None, wrap_lines=True)
    left, right, _ = st.columns([3, 2, 5], vertical_alignment="bottom")
    left.selectbox("Invite a", list(Role), key="invite-role", format_func=in_words)
    right.button("Make a link", type="primary", on_click=make_link, width="stretch")
    show_people(page, accounts.list_users(page.engine, page.actor))
    st.subheader("What moderators see", anchor=False)
    st.toggle(
        "Author names on the card",
        value=rules.current_policy(page.engine).show_author,
        key="policy-author",
        on_change=change_author,
        help="Leads always see them. Addresses are shown to nobody.",
    )
