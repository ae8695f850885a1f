"""Lists of posts behind a part of a chart: open one, send some to the front of the queue, export them all."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Label, Reason
from core.permissions import Permission, may
from core.services import sending
from core.services.looking import Order, ScoredPost
from core.services.sending import Sent
from core.wording import N_, _
from ui.page import Page, current_page, errors_as_sentences
from ui.post_filter import portion_in_words
from ui.post_links import post_cell, post_column
from ui.words import label_in_words, posts_in_words, reason_in_words

PAGE_SIZE = 20
ORDERS = {
    Order.unsure: N_("least sure first"),
    Order.sure: N_("surest first"),
    Order.newest: N_("newest first"),
}


def order_in_words(order: Order) -> str:
    return _(ORDERS[order])


def ask_page(total: int, key: str) -> int:
    """Which page of so many posts, from 1."""
    pages = max(1, -(-total // PAGE_SIZE))
    return int(st.pagination(pages, key=f"{key}-page")) if pages > 1 else 1


def show_posts(page: Page, found: Sequence[ScoredPost], *, key: str, export: str) -> None:
    """One page of a list, what may be done with it, and all of it as CSV from the address `export`."""
    table = pd.DataFrame(
        [
            {
                _("post"): post_cell(each.post_id, each.pid),
                _("text"): each.text,
                _("predicted"): label_in_words(each.predicted),
                **{
                    _("P({label})").format(label=label_in_words(label)): said
                    for label, said in zip(Label, each.probabilities, strict=True)
                },
                _("state"): _("decided as {label}").format(label=label_in_words(each.label))
                if each.label is not None
                else portion_in_words(each.portion),
            }
            for each in found
        ]
    )
    numbers = {
        _("P({label})").format(label=label_in_words(label)): st.column_config.NumberColumn(format="%.3f")
        for label in Label
    }
    is_lead = may(page.actor, Permission.review)
    event = st.dataframe(
        table,
        hide_index=True,
        column_config={
            _("post"): post_column(_("post")),
            _("text"): st.column_config.TextColumn(_("text"), width="large"),
            **numbers,
        },
        height="content",
        on_select="rerun" if is_lead else "ignore",
        selection_mode="multi-row",
        key=f"{key}-{hash(tuple(each.post_id for each in found))}",  # positions would choose other posts
    )
    left, middle, right = st.columns([3, 3, 3], vertical_alignment="bottom")
    if may(page.actor, Permission.export):
        right.link_button(_("Export the whole list (CSV)"), export, icon=":material/download:", width="stretch")
    if not is_lead:
        return
    chosen = [found[row].post_id for row in event["selection"]["rows"] if row < len(found)]
    reason = left.selectbox(
        _("To be judged next, because"), sending.REASONS, format_func=reason_in_words, key=f"{key}-reason"
    )
    middle.button(
        _("Send {posts} to the front").format(posts=posts_in_words(len(chosen or found))),
        on_click=send,
        args=(chosen or [each.post_id for each in found], reason),
        key=f"{key}-send",
        width="stretch",
        help=_("Those that are chosen in the list; all that it shows where none is."),
    )


def send(post_ids: list[int], reason: Reason) -> None:
    page = current_page()
    with errors_as_sentences():
        st.toast(sent_in_words(sending.send_first(page.engine, page.actor, post_ids, reason=reason, now=utc_now())))


def sent_in_words(sent: Sent) -> str:
    said = [_("To be judged next: {posts}.").format(posts=posts_in_words(sent.sent))]
    if sent.decided:
        said.append(_("Left out, because decided already: {posts}.").format(posts=posts_in_words(sent.decided)))
    if sent.held:
        held = posts_in_words(sent.held)
        said.append(_("Left out, because on somebody's card or left to the lead: {posts}.").format(posts=held))
    if sent.copies:
        copies = posts_in_words(sent.copies)
        said.append(_("Left out, because near-copies of others that were sent: {posts}.").format(posts=copies))
    return " ".join(said)
