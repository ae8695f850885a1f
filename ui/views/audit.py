"""Audit log: who did what, newest first, by person, action and day; and as a download."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.domain import LogFilter, LoggedAction
from core.services import auditing
from core.services.sessions import ADDRESSES_KEPT
from core.wording import N_, _, ngettext
from ui.page import Page, errors_as_sentences, open_page

PER_PAGE = 50
ACTIONS = {
    "sign in": N_("sign in"),
    "sign-in failed": N_("sign-in failed"),
    "sign out": N_("sign out"),
    "sign out everywhere": N_("sign out everywhere"),
    "invite": N_("invite"),
    "invite address": N_("invite an e-mail address"),
    "invite back": N_("link for a new password"),
    "withdraw address": N_("withdraw an e-mail address"),
    "untie address": N_("untie an e-mail address"),
    "accept invitation": N_("accept an invitation"),
    "set password": N_("set a password"),
    "change own password": N_("change their own password"),
    "change role": N_("change a role"),
    "disable user": N_("disable an account"),
    "enable user": N_("enable an account"),
    "change policy": N_("change the policy"),
    "change trust": N_("change a source's trust"),
    "import": N_("import"),
    "take back import": N_("take an import back"),
    "retrain": N_("retrain"),
    "pretrain": N_("pretrain"),
    "score": N_("score"),
    "promote": N_("promote a version"),
    "import model": N_("take in a version"),
    "cancel import": N_("cancel an import"),
    "cancel training": N_("cancel a training"),
    "cancel scoring": N_("cancel a scoring"),
    "cancel pretraining": N_("cancel a pretraining"),
    "cancel export": N_("cancel an export"),
    "decide": N_("decide at the command line"),
    "decide many": N_("decide many"),
    "send to the front": N_("send posts to the front"),
    "undo many": N_("undo many"),
    "settle": N_("settle"),
    "put back": N_("put a post back"),
    "answer flag": N_("answer a flag"),
    "make check post": N_("make a check post"),
    "change check post": N_("change a check post"),
    "write guidelines": N_("write the guidelines"),
    "add example": N_("add an example"),
    "remove example": N_("remove an example"),
    "split off": N_("split a near-copy off"),
    "export": N_("export"),
    "save thresholds": N_("save thresholds"),
    "forget": N_("forget"),
    "back up": N_("back up"),
    "restore": N_("restore a backup"),
}


def in_words(action: str) -> str:
    return _(ACTIONS[action]) if action in ACTIONS else action


def from_start() -> None:
    """Other entries begin at their first page."""
    st.session_state["audit-page"] = 1


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def asked(page: Page) -> LogFilter:
    actors, actions = auditing.names_in_log(page.engine, page.actor)
    who, what, since, until = st.columns([3, 3, 2, 2])
    actor = who.selectbox(_("Person"), actors, index=None, placeholder=_("anybody"), on_change=from_start)
    action = what.selectbox(
        _("Action"), actions, index=None, placeholder=_("anything"), format_func=in_words, on_change=from_start
    )
    first = since.date_input(_("From day (UTC)"), value=None, format="YYYY-MM-DD", on_change=from_start)
    last = until.date_input(_("To day (UTC)"), value=None, format="YYYY-MM-DD", on_change=from_start)
    return LogFilter(
        actor,
        action,
        midnight(first) if isinstance(first, date) else None,
        midnight(last + timedelta(days=1)) if isinstance(last, date) else None,
    )


def details_in_words(details: dict[str, object]) -> str:
    """`user: mo, role: lead`; what is deeper stays as it is stored."""
    shown = (
        f"{name}: {value if isinstance(value, (str, int)) else json.dumps(value, ensure_ascii=False)}"
        for name, value in details.items()
        if value not in (None, "")
    )
    return ", ".join(shown)


def show_entries(found: list[LoggedAction]) -> None:
    rows = [
        {
            "when": entry.happened_at,
            "who": entry.actor,
            "what": in_words(entry.action),
            "details": details_in_words(entry.details),
            "address": entry.address or "",
        }
        for entry in found
    ]
    columns = {
        "when": st.column_config.DatetimeColumn(_("when (UTC)"), format="YYYY-MM-DD HH:mm:ss"),
        "who": st.column_config.TextColumn(_("who")),
        "what": st.column_config.TextColumn(_("what"), width="medium"),
        "details": st.column_config.TextColumn(_("details"), width="large"),
        "address": st.column_config.TextColumn(_("address")),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns, height="content")


def show_downloads(wanted: LogFilter) -> None:
    given = {
        "actor": wanted.actor,
        "action": wanted.action,
        "since": f"{wanted.since:%Y-%m-%d}" if wanted.since else None,
        "until": f"{wanted.until:%Y-%m-%d}" if wanted.until else None,
    }
    query = urlencode({name: value for name, value in given.items() if value})
    places = st.columns([2, 2, 6])
    for place, kind in zip(places, ("tsv", "jsonl"), strict=False):
        address = f"/api/audit.{kind}" + (f"?{query}" if query else "")
        words = _("Export as {kind}").format(kind=kind.upper())
        place.link_button(words, address, icon=":material/download:", width="stretch")


page = open_page(
    _("Audit log"), _("Who did what, newest first. Nothing here is changed or deleted; no post's text is in it.")
)
with errors_as_sentences():
    wanted = asked(page)
    number = st.session_state.get("audit-page", 1)
    found, total = auditing.list_log(page.engine, page.actor, wanted, page=number, per_page=PER_PAGE)
    if total:
        st.caption(ngettext("{count} entry", "{count} entries", total).format(count=f"{total:,}"))
        show_entries(found)
        if total > PER_PAGE:
            st.pagination(-(-total // PER_PAGE), key="audit-page")
        show_downloads(wanted)
        said = _("Addresses of sign-ins are kept for {days} days. Exports are entries themselves.")
        st.caption(said.format(days=ADDRESSES_KEPT.days))
    else:
        st.write(_("Nothing of that kind is on record."))
