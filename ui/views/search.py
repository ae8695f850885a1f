"""Search: posts by what stands in them and what is known of them; a lead decides many at once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Label, RunKind
from core.errors import TiebreakError
from core.permissions import Permission, may
from core.services import guidelines, runs, searching
from core.services.searching import FoundPost, Outcome, Query
from core.wording import _, ngettext
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.post_links import post_cell, post_column
from ui.words import counted, counted_doing

POSTS_A_PAGE = 50
ANY, UNDECIDED, DECIDED = "any", "not decided", "decided"
STATES = (ANY, UNDECIDED, DECIDED, *(label.name for label in Label))
WIDE = st.column_config.TextColumn("text", width="large")


# --- what is looked for -----------------------------------------------------------------------------------------------


def from_start() -> None:
    """Another search begins at its first page."""
    st.session_state["search-places"] = [None]


def asked(page: Page) -> Query:
    """The fields, and what stands in them."""
    words, state = st.columns([4, 2])
    text = words.text_input("Text", key="search-text", on_change=from_start, placeholder="two characters or more")
    chosen = state.selectbox("Decided as", STATES, key="search-state", on_change=from_start)
    with st.expander("More conditions"):
        left, middle, right = st.columns(3)
        pid = left.text_input("pid", key="search-pid", on_change=from_start)
        word = middle.text_input("Hit word", key="search-word", on_change=from_start)
        family = right.number_input(
            "Family", min_value=1, value=None, key="search-family", on_change=from_start, help="its number in the list"
        )
        author = by = ""
        if may(page.actor, Permission.see_author):
            author = left.text_input("Author", key="search-author", on_change=from_start)
        if may(page.actor, Permission.review):
            by = middle.text_input("Decided by", key="search-by", on_change=from_start)
        import_id = None
        if may(page.actor, Permission.look):
            import_id = right.selectbox("Import", imports(page), index=None, key="search-import", on_change=from_start)
        sure = (33, 100)
        if may(page.actor, Permission.look):
            sure = st.slider(
                _("How sure the model is, in percent"), *sure, sure, key="search-sure", on_change=from_start
            )
    return Query(
        text=text.strip() or None,
        pid=pid.strip() or None,
        author=author.strip() or None,
        hit_word=word.strip() or None,
        is_decided={UNDECIDED: False, DECIDED: True}.get(chosen),
        label=Label[chosen] if chosen in Label.__members__ else None,
        decided_by=by.strip() or None,
        family=family,
        import_id=import_id,
        confidence=None if sure == (33, 100) else (sure[0] / 100, sure[1] / 100),
    )


def imports(page: Page) -> list[int]:
    past = runs.list_runs(page.engine, page.actor, kind=RunKind.importing)
    return [run.id for run in past if run.published_at is not None]


# --- what is found ----------------------------------------------------------------------------------------------------


def show_found(page: Page, found: Sequence[FoundPost], places: Sequence[tuple[int, int] | None]) -> list[FoundPost]:
    """One page of posts; returns those that are chosen."""
    table = pd.DataFrame(
        [
            {
                "post": post_cell(each.post_id, each.pid),
                "text": each.text,
                "decided as": "" if each.label is None else f"{each.label.name} {each.label.chinese}",
                "by": each.decided_by or "",
                "author": each.author or "",
                "model": "" if each.predicted is None else each.predicted.name,
                "sure": each.confidence,
            }
            for each in found
        ]
    )
    empty = [name for name in ("by", "author", "model") if not table[name].any()]
    table = table.drop(columns=[*empty, *(["sure"] if table["sure"].isna().all() else [])])
    sure = st.column_config.NumberColumn("sure", format="percent")
    is_lead = may(page.actor, Permission.review)
    event = st.dataframe(
        table,
        hide_index=True,
        column_config={"post": post_column("post"), "text": WIDE, "sure": sure},
        on_select="rerun" if is_lead else "ignore",
        selection_mode="multi-row",
        key=f"found-{hash(tuple(each.post_id for each in found))}",  # positions would choose other posts
    )
    return [found[row] for row in event["selection"]["rows"] if row < len(found)] if is_lead else []


def turn(places: list[tuple[int, int] | None]) -> None:
    st.session_state["search-places"] = places


def show_pages(found: Sequence[FoundPost], places: list[tuple[int, int] | None], has_more: bool) -> None:
    if len(places) == 1 and not has_more:
        return
    left, right, _rest = st.columns([2, 2, 8])
    left.button("Previous", disabled=len(places) == 1, on_click=turn, args=(places[:-1],), width="stretch")
    right.button("Next", disabled=not has_more, on_click=turn, args=([*places, found[-1].place],), width="stretch")


# --- many at once -----------------------------------------------------------------------------------------------------


def decide_many(chosen: list[FoundPost], label: Label) -> None:
    page = current_page()
    batch = f"bulk-{secrets.token_hex(12)}"
    with errors_as_sentences():
        places = [(each.post_id, each.text_id) for each in chosen]
        outcome = searching.decide_many(page.engine, page.actor, places, label=label, batch=batch, now=utc_now())
        st.session_state["search-batch"] = (batch, label, outcome)


def add_examples(chosen: list[FoundPost]) -> None:
    """Those that can be: what is undecided, or still measures people, is named and left out."""
    page = current_page()
    added, refused = 0, []
    for each in chosen:
        try:
            guidelines.add_example(page.engine, page.actor, each.post_id, now=utc_now())
            added += 1
        except TiebreakError as err:
            refused.append(str(err))
    if added:
        said = ngettext("{count} example is in the guidelines.", "{count} examples are in the guidelines.", added)
        st.toast(said.format(count=f"{added:,}"))
    for why in refused:
        st.warning(why)


def undo_many(batch: str) -> None:
    page = current_page()
    with errors_as_sentences():
        count = searching.undo_many(page.engine, page.actor, batch, now=utc_now())
        st.session_state.pop("search-batch", None)
        st.toast(f"{counted(count, 'decision')} taken back.")


def show_batch() -> None:
    """What became of the last posts that were decided together, and the way back."""
    if "search-batch" not in st.session_state:
        return
    batch, label, outcome = st.session_state["search-batch"]
    st.success(outcome_words(label, outcome), icon=":material/check:")
    if outcome.decided:
        st.button("Undo all of it", on_click=undo_many, args=(batch,))


def outcome_words(label: Label, outcome: Outcome) -> str:
    said = [f"{counted(outcome.decided, 'post')} decided as {label.name}."]
    if outcome.unchanged:
        said.append(f"{counted_doing(outcome.unchanged, 'post', 'stand')} so already.")
    if outcome.held:
        said.append(f"{counted_doing(len(outcome.held), 'post', 'stay')} as before: on somebody's card.")
    if outcome.changed:
        said.append(f"{counted_doing(len(outcome.changed), 'post', 'stay')} as before: another text by now.")
    return " ".join(said)


def show_choice(chosen: list[FoundPost]) -> None:
    """A preview of what deciding the chosen posts would change, and the three ways to do it."""
    if not chosen:
        st.caption("Choose rows to decide them together.")
        return
    standing = [each for each in chosen if each.label is not None]
    said = f"{counted(len(chosen), 'post')} chosen"
    if standing:
        by_label = (
            f"{sum(each.label is label for each in standing):,} {label.name}"
            for label in Label
            if any(each.label is label for each in standing)
        )
        said += f"; decided already: {', '.join(by_label)}. What you decide settles those"
    st.caption(f"{said}.")
    places = st.columns([2, 2, 2, 3, 3])
    places[3].button(_("Show as examples"), on_click=add_examples, args=(chosen,), width="stretch")
    for place, label in zip(places, Label, strict=False):
        place.button(
            f"All {label.name} {label.chinese}",
            key=f"many-{label.name}",
            on_click=decide_many,
            args=(chosen, label),
            width="stretch",
        )


page = open_page("Search", "Find posts by what stands in them, and by what is known of them. Newest texts come first.")
with errors_as_sentences():
    query = asked(page)
    unindexed = searching.count_unindexed(page.engine)
    if query.text and unindexed:
        st.info(f"The newest {counted(unindexed, 'text')} cannot be found by their words yet; they soon can.")
    places = st.session_state.setdefault("search-places", [None])
    found = searching.find(page.engine, page.actor, query, limit=POSTS_A_PAGE + 1, after=places[-1])
    has_more, found = len(found) > POSTS_A_PAGE, found[:POSTS_A_PAGE]
    show_batch()
    if not found:
        st.write(
            "No post is like that. Fewer conditions find more; words are found as they stand, without blanks added."
        )
    else:
        chosen = show_found(page, found, places)
        show_pages(found, places, has_more)
        if may(page.actor, Permission.review):
            show_choice(chosen)
