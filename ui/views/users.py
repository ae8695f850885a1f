"""Users: who may sign in, one-time links for those who shall, and where people are signed in."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Role, User
from core.services import accounts, identities, sessions
from core.wording import N_, _, ngettext
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.server import runtime
from ui.sessions_table import show_sessions
from ui.words import role_in_words

WHAT = {
    Role.moderator: N_("decides posts"),
    Role.lead: N_("may do everything"),
    Role.analyst: N_("reads distributions"),
}


def in_words(role: str) -> str:
    return f"{role_in_words(Role(role))} – {_(WHAT[Role(role)])}"


def make_link() -> None:
    page = current_page()
    with errors_as_sentences():
        token = accounts.invite(page.engine, page.actor, role=Role(st.session_state["invite-role"]), now=utc_now())
        remember_link(token, _("a new account"))


def make_link_back(name: str) -> None:
    page = current_page()
    with errors_as_sentences():
        remember_link(accounts.invite_back(page.engine, page.actor, name=name, now=utc_now()), name)


def invite_address() -> None:
    page, typed = current_page(), st.session_state
    with errors_as_sentences():
        chosen = typed["address-account"]
        identities.invite_address(
            page.engine,
            page.actor,
            email=typed["address-email"],
            role=Role(typed["address-role"]),
            account=chosen or None,
            now=utc_now(),
        )


def withdraw(email: str) -> None:
    page = current_page()
    with errors_as_sentences():
        identities.withdraw_address(page.engine, page.actor, email=email, now=utc_now())


def remember_link(token: str, whom: str) -> None:
    """Shown once: only its hash is stored."""
    origin = st.context.url or ""
    scheme, _sep, rest = origin.partition("://")
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


def sign_out(name: str) -> None:
    page = current_page()
    with errors_as_sentences():
        ended = sessions.sign_out_user(page.engine, page.actor, name, now=utc_now())
        said = ngettext("{count} session of {name} has ended.", "{count} sessions of {name} have ended.", ended)
        st.toast(said.format(count=f"{ended:,}", name=name))


def untie(name: str) -> None:
    page = current_page()
    with errors_as_sentences():
        identities.untie(page.engine, page.actor, account=name, now=utc_now())
        st.toast(_("Nobody signs in to {name} through the provider any more.").format(name=name))


def show_bound(page: Page, name: str, email: str) -> None:
    """Who signs in to the account through the provider, and the way to end that."""
    left, right = st.columns([8, 4], vertical_alignment="center")
    left.text(_("Signs in as {email}").format(email=email))
    right.button(
        _("Untie from the account"),
        on_click=untie,
        args=(name,),
        key="users-untie",
        width="stretch",
        help=_(
            "Whoever has this address at the provider does not come in any more, and the account is signed out. It "
            "keeps role and decisions; pass on a link for a password, or invite another address for it."
        ),
    )


def show_addresses(page: Page, people: list[User]) -> None:
    """Who may come in through the team's own provider."""
    st.subheader(_("Sign-in with {provider}").format(provider=provider_name()), anchor=False)
    st.caption(
        _(
            "Invite an e-mail address: whoever has it there, verified, comes in with the role you give, within 30 "
            "days. From the first sign-in on the account is that person's, whatever the address becomes."
        )
    )
    with st.form("address", clear_on_submit=True, border=False):
        left, middle, right, last = st.columns([4, 3, 3, 2], vertical_alignment="bottom")
        left.text_input(_("E-mail address"), key="address-email", max_chars=254)
        middle.selectbox(_("As a new"), list(Role), key="address-role", format_func=in_words)
        names = ["", *(user.name for user in people if user.disabled_at is None)]
        right.selectbox(_("or for the account"), names, key="address-account", format_func=lambda name: name or "–")
        last.form_submit_button(_("Invite"), on_click=invite_address, width="stretch")
    for invited in identities.list_invited(page.engine, page.actor, now=utc_now()):
        left, right = st.columns([10, 2], vertical_alignment="center")
        whom = invited.account or role_in_words(invited.role)
        said = _("{email}, {whom}, invited by {name}, until {day}")
        left.text(said.format(email=invited.email, whom=whom, name=invited.created_by, day=f"{invited.expires_at:%F}"))
        right.button(
            _("Withdraw"), key=f"withdraw-{invited.id}", on_click=withdraw, args=(invited.email,), width="stretch"
        )


def provider_name() -> str | None:
    running = runtime.current()
    return running.oidc.label if running is not None and running.oidc is not None else None


def show_people(people: list[User], seen: dict[int, datetime], addresses: dict[int, str]) -> None:
    rows = [
        {
            "name": user.name,
            "email": addresses.get(user.id, ""),
            "role": role_in_words(user.role),
            "state": _("disabled") if user.disabled_at else "",
            "since": user.created_at,
            "seen": seen.get(user.id),
        }
        for user in people
    ]
    columns = {
        "name": st.column_config.TextColumn(_("name"), width="medium"),
        "email": st.column_config.TextColumn(_("signs in as"), width="medium"),
        "role": st.column_config.TextColumn(_("role")),
        "state": st.column_config.TextColumn(_("state")),
        "since": st.column_config.DatetimeColumn(_("since"), format="YYYY-MM-DD"),
        "seen": st.column_config.DatetimeColumn(_("last seen (UTC)"), format="YYYY-MM-DD HH:mm"),
    }
    shown = pd.DataFrame(rows) if addresses else pd.DataFrame(rows).drop(columns="email")
    st.dataframe(shown, hide_index=True, column_config=columns)


def show_account(page: Page, people: list[User], addresses: dict[int, str]) -> None:
    """One account: its role, a link for a new password, disabling it, and where it is signed in."""
    left, middle, right, last = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
    name = left.selectbox(_("Account"), [user.name for user in people], key="users-name")
    user = next(user for user in people if user.name == name)
    is_disabled = user.disabled_at is not None
    st.session_state[f"role-{name}"] = user.role  # the database is the truth, also after a refusal
    middle.selectbox(_("Role"), list(Role), key=f"role-{name}", format_func=in_words, on_change=give_role, args=(name,))
    right.button(
        _("Link for a new password"), on_click=make_link_back, args=(name,), disabled=is_disabled, width="stretch"
    )
    last.button(
        _("Enable") if is_disabled else _("Disable"),
        on_click=switch,
        args=(name,),
        kwargs={"disabled": is_disabled},
        width="stretch",
        help=_("A disabled account is signed out at once and the posts it holds go back. Its decisions stay."),
    )
    if user.id in addresses:
        show_bound(page, name, addresses[user.id])
    found = sessions.sessions_of(page.engine, page.actor, name, now=utc_now())
    if not found:
        st.caption(_("Signed in nowhere."))
        return
    st.markdown(_("Signed in:"))
    show_sessions(found)
    st.button(_("Sign out everywhere"), on_click=sign_out, args=(name,), key="users-sign-out")


page = open_page(_("Users"), _("Who may sign in. Accounts are made by one-time links, which you pass on yourself."))
with errors_as_sentences():
    if link := st.session_state.pop("invite-link", None):
        address, whom = link
        said = _("Pass this link on to the person it is for ({whom}). It works once, for 24 hours.")
        st.success(said.format(whom=whom))
        st.code(address, language=None, wrap_lines=True)
    left, right, _rest = st.columns([3, 2, 5], vertical_alignment="bottom")
    left.selectbox(_("Invite a"), list(Role), key="invite-role", format_func=in_words)
    right.button(_("Make a link"), type="primary", on_click=make_link, width="stretch")
    people = accounts.list_users(page.engine, page.actor)
    addresses = identities.bound_addresses(page.engine, page.actor)
    show_people(people, sessions.last_seen(page.engine, page.actor), addresses)
    st.subheader(_("One account"), anchor=False)
    show_account(page, people, addresses)
    if provider_name():
        show_addresses(page, people)
