"""Families: the largest groups of near-copies, what was decided of each, and their posts."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.services import families
from core.services.families import FamilyCounts, ListedFamily
from core.wording import _
from ui.page import Page, errors_as_sentences, open_page
from ui.post_links import post_cell, post_column
from ui.words import label_in_full, label_in_words, posts_in_words

FAMILIES_A_PAGE = 20
MEMBERS_A_PAGE = 50
WIDE = st.column_config.TextColumn(width="large")
DAY = st.column_config.DateColumn(format="YYYY-MM-DD")


def show_counts(found: FamilyCounts) -> None:
    columns = st.columns(3)
    columns[0].metric(_("Families"), f"{found.families:,}")
    columns[1].metric(_("Posts in them"), f"{found.posts_in_families:,}")
    columns[2].metric(_("Judgements saved"), f"{found.saved:.1%}")
    st.caption(
        _(
            "Posts: {posts}. Judgements that they take, once a family: {judgements}. Posts without near-copies are "
            "not listed here."
        ).format(posts=f"{found.posts:,}", judgements=f"{found.judgements:,}")
    )


def decided_so_far(listed: ListedFamily) -> str:
    return " · ".join(f"{label_in_words(label)} {count:,}" for label, count in listed.labels.most_common())


def decided_by(listed: ListedFamily) -> str:
    """`mo 38 (37 by the family)`, summed over labels."""
    posts: dict[str, int] = {}
    along: dict[str, int] = {}
    for found in listed.decided:
        posts[found.source] = posts.get(found.source, 0) + found.posts
        along[found.source] = along.get(found.source, 0) + found.by_family
    by_family = _("{name} {count} ({along} by the family)")
    said = (
        by_family.format(name=name, count=f"{count:,}", along=f"{along[name]:,}")
        if along[name]
        else f"{name} {count:,}"
        for name, count in posts.items()
    )
    return ", ".join(said)


def show_families(page: Page, count: int) -> ListedFamily | None:
    """One page of the list; returns the family whose row is chosen."""
    pages = -(-count // FAMILIES_A_PAGE)
    number = st.pagination(pages, key="families-page") if pages > 1 else 1
    listed = families.list_families(
        page.engine, page.actor, limit=FAMILIES_A_PAGE, offset=(number - 1) * FAMILIES_A_PAGE
    )
    table = pd.DataFrame(
        [
            {
                _("size"): found.family.size,
                _("text"): found.family.text,
                _("decided so far"): decided_so_far(found),
                _("by"): decided_by(found),
                _("first seen"): found.family.first_seen_at,
                _("last seen"): found.family.last_seen_at,
            }
            for found in listed
        ]
    )
    event = st.dataframe(
        table,
        hide_index=True,
        column_config={_("text"): WIDE, _("first seen"): DAY, _("last seen"): DAY},
        on_select="rerun",
        selection_mode="single-row",
        key=f"families-{number}",
    )
    chosen = event["selection"]["rows"]
    return listed[chosen[0]] if chosen and chosen[0] < len(listed) else None


def show_members(page: Page, chosen: ListedFamily) -> None:
    st.subheader(_("Family of {posts}").format(posts=posts_in_words(chosen.family.size)), anchor=False)
    st.text(chosen.family.text)
    pages = -(-chosen.family.size // MEMBERS_A_PAGE)
    number = st.pagination(pages, key=f"members-page-{chosen.family.id}") if pages > 1 else 1
    members = families.list_members(
        page.engine, page.actor, chosen.family.id, limit=MEMBERS_A_PAGE, offset=(number - 1) * MEMBERS_A_PAGE
    )
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "pid": post_cell(member.post_id, member.pid),
                    _("text"): member.text,
                    _("label"): "" if member.label is None else label_in_full(member.label),
                    _("decided by"): member.decided_by or "",
                    _("by family"): _("by family") if member.by_family else "",
                }
                for member in members
            ]
        ),
        hide_index=True,
        column_config={"pid": post_column("pid"), _("text"): WIDE},
        key=f"members-{chosen.family.id}-{number}",
    )


page = open_page(
    _("Families"),
    _("Near-copies of one text, spam templates above all: which are the largest, and how each was decided."),
)
with errors_as_sentences():
    counts = families.count_families(page.engine, page.actor)
    if not counts.families:
        st.write(_("There are no near-copies yet. Every import looks for them; what it finds is listed here."))
        st.stop()
    show_counts(counts)
    chosen = show_families(page, counts.families)
    st.link_button(_("Export all families (TSV)"), "/api/families.tsv", icon=":material/download:")
    if chosen is None:
        st.caption(_("Choose a row to read its posts."))
    else:
        show_members(page, chosen)
