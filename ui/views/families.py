"""Families: the largest groups of near-copies, what was decided of each, and their posts."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.services import families
from core.services.families import FamilyCounts, ListedFamily
from ui.page import Page, errors_as_sentences, open_page
from ui.post_links import post_cell, post_column

FAMILIES_A_PAGE = 20
MEMBERS_A_PAGE = 50
WIDE = st.column_config.TextColumn(width="large")
DAY = st.column_config.DateColumn(format="YYYY-MM-DD")


def show_counts(found: FamilyCounts) -> None:
    columns = st.columns(3)
    columns[0].metric("Families", f"{found.families:,}")
    columns[1].metric("Posts in them", f"{found.posts_in_families:,}")
    columns[2].metric("Judgements saved", f"{found.saved:.1%}")
    st.caption(
        f"Judged once a family, {counted(found.posts, 'post')} take {counted(found.judgements, 'judgement')}. "
        "Posts without near-copies are not listed here."
    )


def counted(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def decided_so_far(listed: ListedFamily) -> str:
    return " · ".join(f"{label.name} {count:,}" for label, count in listed.labels.most_common())


def decided_by(listed: ListedFamily) -> str:
    """`mo 38 (37 by the family)`, summed over labels."""
    posts: dict[str, int] = {}
    along: dict[str, int] = {}
    for found in listed.decided:
        posts[found.source] = posts.get(found.source, 0) + found.posts
        along[found.source] = along.get(found.source, 0) + found.by_family
    said = (
        f"{name} {count:,}" + (f" ({along[name]:,} by the family)" if along[name] else "")
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
                "size": found.family.size,
                "text": found.family.text,
                "decided so far": decided_so_far(found),
                "by": decided_by(found),
                "first seen": found.family.first_seen_at,
                "last seen": found.family.last_seen_at,
            }
            for found in listed
        ]
    )
    event = st.dataframe(
        table,
        hide_index=True,
        column_config={"text": WIDE, "first seen": DAY, "last seen": DAY},
        on_select="rerun",
        selection_mode="single-row",
        key=f"families-{number}",
    )
    chosen = event["selection"]["rows"]
    return listed[chosen[0]] if chosen and chosen[0] < len(listed) else None


def show_members(page: Page, chosen: ListedFamily) -> None:
    st.subheader(f"Family of {counted(chosen.family.size, 'post')}", anchor=False)
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
                    "text": member.text,
                    "label": "" if member.label is None else f"{member.label.name} {member.label.chinese}",
                    "decided by": member.decided_by or "",
                    "by family": "by family" if member.by_family else "",
                }
                for member in members
            ]
        ),
        hide_index=True,
        column_config={"pid": post_column("pid"), "text": WIDE},
        key=f"members-{chosen.family.id}-{number}",
    )


page = open_page(
    "Families", "Near-copies of one text, spam templates above all: which are the largest, and how each was decided."
)
with errors_as_sentences():
    counts = families.count_families(page.engine, page.actor)
    if not counts.families:
        st.write("There are no near-copies yet. Every import looks for them; what it finds is listed here.")
        st.stop()
    show_counts(counts)
    chosen = show_families(page, counts.families)
    st.link_button("Export all families (TSV)", "/api/families.tsv", icon=":material/download:")
    if chosen is None:
        st.caption("Choose a row to read its posts.")
    else:
        show_members(page, chosen)
