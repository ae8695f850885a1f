"""Review: decided posts whose text an import has changed since."""

from __future__ import annotations

import streamlit as st

from core.clock import utc_now
from core.domain import Label
from core.services import reviewing
from db.golds import OldTextDecision
from ui.page import Page, current_page, errors_as_sentences, open_page

PAGE_SIZE = 10


def confirm(old: OldTextDecision, label: Label) -> None:
    page = current_page()
    with errors_as_sentences():
        reviewing.confirm(page.engine, page.actor, old.decision_id, text_id=old.text_id, label=label, now=utc_now())


def show_decision(page: Page, old: OldTextDecision) -> None:
    st.caption(f"Post {old.post_id}, decided as {old.label.name} {old.label.chinese} by {old.source}")
    left, right = st.columns(2)
    with left:
        st.caption("Text that was decided")
        st.text(old.old_text)
    with right:
        st.caption("Text it has now")
        st.text(old.new_text)
    places = st.columns([2, 2, 2, 6])
    for place, label in zip(places, Label, strict=False):
        keeps = "keep " if label is old.label else ""
        place.button(
            f"{keeps}{label.name} {label.chinese}",
            key=f"confirm-{old.decision_id}-{label.name}",
            on_click=confirm,
            args=(old, label),
            width="stretch",
        )
    st.divider()


page = open_page(
    "Review", "Decided posts whose text an import has changed since. They are left out of training until judged again."
)
with errors_as_sentences():
    waiting = reviewing.count_on_old_texts(page.engine, page.actor)
    if waiting == 0:
        st.write("Nothing to review. When a longer export brings new hits of a decided post, it is listed here.")
    else:
        st.caption(f"{waiting:,} waiting, the oldest {min(waiting, PAGE_SIZE)} shown")
        for old in reviewing.decisions_on_old_texts(page.engine, page.actor, limit=PAGE_SIZE):
            show_decision(page, old)
