"""Forget: what of an author or a post would go, and its removal for good."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.errors import BadInput
from core.services import forgetting
from core.services.forgetting import Forgotten, Target
from core.wording import N_, _
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.words import plain

BY = {"author": N_("every post of an author, by name or number"), "pid": N_("one post, by its pid")}
COUNTS = {
    "posts": N_("posts without a decision, gone as a whole"),
    "decided_posts": N_("decided posts: their words, author and address go, their decisions stay"),
    "decisions": N_("decisions that stay, without words"),
    "texts": N_("texts that no other post has, with predictions and search index"),
    "hits": N_("hits with their excerpts"),
    "notes": N_("notes and messages in which a name or quotation is replaced by […]"),
    "rejects": N_("rejected lines of imports"),
}


def asked() -> Target:
    typed = st.session_state
    return Target(typed["forget-by"], typed["forget-value"])


def look() -> None:
    page = current_page()
    st.session_state.pop("forget-seen", None)
    with errors_as_sentences():
        found = forgetting.preview(page.engine, page.actor, asked(), settings=page.settings, now=utc_now())
        st.session_state["forget-seen"] = (asked(), found)


def forget(target: Target) -> None:
    page = current_page()
    with errors_as_sentences():
        if st.session_state["forget-again"] != target.value:
            raise BadInput(_("What you typed is not the same; nothing was changed."))
        found = forgetting.forget(page.engine, page.actor, target, settings=page.settings, now=utc_now())
        del st.session_state["forget-seen"]
        st.session_state["forget-value"] = ""
        st.session_state["forget-done"] = found


def show_counts(found: Forgotten) -> None:
    rows = [{"count": getattr(found.counts, name), "what": _(words)} for name, words in COUNTS.items()]
    rows.append({"count": len(found.uploads), "what": _("uploads that hold it")})
    rows.append({"count": len(found.logs), "what": _("logs of runs that name it")})
    columns = {
        "what": st.column_config.TextColumn(_("what"), width="large"),
        "count": st.column_config.NumberColumn(_("how many"), format="localized", width="small"),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns, width=640, height="content")


def show_out_of_reach(found: Forgotten) -> None:
    lines = []
    if found.posts_that_name:
        said = _("{count} posts of others contain the name: look for them on the Search page.")
        lines.append(said.format(count=f"{found.posts_that_name:,}"))
    lines += [_("data/inbox/{name} holds it still.").format(name=plain(name)) for name in found.inbox]
    lines += [_("The backup {name}, if it holds it.").format(name=plain(name)) for name in found.backups]
    if lines:
        st.markdown(_("Out of reach, for you to see to:") + "\n\n" + "\n".join(f"- {line}" for line in lines))
    st.caption(
        _(
            "Versions that were trained before stay as they are; no later one learns from what was forgotten. An "
            "export that still holds a post brings it in again."
        )
    )


def show_past(page: Page) -> None:
    past = forgetting.list_forgotten(page.engine, page.actor)
    if not past:
        return
    st.subheader(_("Forgotten before"), anchor=False)
    rows = [
        {
            "when": run.created_at,
            "who": run.created_by,
            "posts": int(str(run.result["posts"])) + int(str(run.result["decided_posts"])),
            "by": _(BY[str(run.config["forget"])]),
        }
        for run in past
    ]
    columns = {
        "when": st.column_config.DatetimeColumn(_("when (UTC)"), format="YYYY-MM-DD HH:mm"),
        "who": st.column_config.TextColumn(_("who")),
        "posts": st.column_config.NumberColumn(_("posts"), format="localized"),
        "by": st.column_config.TextColumn(_("what"), width="large"),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns)


page = open_page(
    _("Forget"), _("Remove an author's posts, or one post, for good. This cannot be undone; look first what goes.")
)
with errors_as_sentences():
    if done := st.session_state.pop("forget-done", None):
        st.success(_("Forgotten. This is what went, and what is out of reach:"))
        show_counts(done)
        show_out_of_reach(done)
        if not done.is_clean:
            st.warning(_("Files still have to be removed or written anew; the server does it at its next start."))
    with st.form("forget", border=False):  # what is typed comes with the click, however fast it follows
        left, middle, right = st.columns([4, 4, 2], vertical_alignment="bottom")
        left.selectbox(_("Forget"), list(BY), key="forget-by", format_func=lambda by: _(BY[by]))
        middle.text_input(_("Name, number or pid, exactly"), key="forget-value")
        right.form_submit_button(_("Look what goes"), on_click=look, width="stretch")
    if seen := st.session_state.get("forget-seen"):
        target, found = seen
        show_counts(found)
        show_out_of_reach(found)
        with st.form("forget-confirm", border=False):
            again, button, _rest = st.columns([4, 3, 3], vertical_alignment="bottom")
            again.text_input(_("To confirm, type it again"), key="forget-again")
            words = _("Forget for good")
            button.form_submit_button(words, type="primary", on_click=forget, args=(target,), width="stretch")
    show_past(page)
