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
from ui.words import label_in_full, label_in_words, posts_in_words

POSTS_A_PAGE = 50
ANY, UNDECIDED, DECIDED = "any", "undecided", "decided"
STATES = {
    ANY: _("any"),
    UNDECIDED: _("not decided"),
    DECIDED: _("decided"),
    **{label.name: label_in_words(label) for label in Label},
}
WIDE = st.column_config.TextColumn(_("text"), width="large")


# --- what is looked for -----------------------------------------------------------------------------------------------


def from_start() -> None:
    """Another search begins at its first page."""
    st.session_state["search-places"] = [None]


def asked(page: Page) -> Query:
    """The fields, and what stands in them."""
    words, state = st.columns([4, 2])
    text = words.text_input(_("Text"), key="search-text", on_change=from_start, placeholder=_("two characters or more"))
    chosen = state.selectbox(
        _("Decided as"), list(STATES), format_func=STATES.__getitem__, key="search-state", on_change=from_start
    )
    with st.expander(_("More conditions")):
        left, middle, right = st.columns(3)
        pid = left.text_input("pid", key="search-pid", on_change=from_start)
        word = middle.text_input(_("Hit word"), key="search-word", on_change=from_start)
        family = right.number_input(
            _("Family"),
            min_value=1,
            value=None,
            key="search-family",
            on_change=from_start,
            help=_("its number in the list"),
        )
        author = by = ""
        if may(page.actor, Permission.see_author):
            author = left.text_input(_("Author"), key="search-author", on_change=from_start)
        if may(page.actor, Permission.review):
            by = middle.text_input(_("Decided by"), key="search-by", on_change=from_start)
        import_id = None
        if may(page.actor, Permission.look):
            import_id = right.selectbox(
                _("Import"), imports(page), index=None, key="search-import", on_change=from_start
            )
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
                _("post"): post_cell(each.post_id, each.pid),
                _("text"): each.text,
                _("decided as"): "" if each.label is None else label_in_full(each.label),
                _("by"): each.decided_by or "",
                _("author"): each.author or "",
                _("model"): "" if each.predicted is None else label_in_words(each.predicted),
                _("sure"): each.confidence,
            }
            for each in found
        ]
    )
    empty = [name for name in (_("by"), _("author"), _("model")) if not table[name].any()]
    table = table.drop(columns=[*empty, *([_("sure")] if table[_("sure")].isna().all() else [])])
    sure = st.column_config.NumberColumn(_("sure"), format="percent")
    is_lead = may(page.actor, Permission.review)
    event = st.dataframe(
        table,
        hide_index=True,
        column_config={_("post"): post_column(_("post")), _("text"): WIDE, _("sure"): sure},
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
    left.button(_("Previous"), disabled=len(places) == 1, on_click=turn, args=(places[:-1],), width="stretch")
    right.button(_("Next"), disabled=not has_more, on_click=turn, args=([*places, found[-1].place],), width="stretch")


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
        said = ngettext("{count} decision taken back.", "{count} decisions taken back.", count)
        st.toast(said.format(count=f"{count:,}"))


def show_batch() -> None:
    """What became of the last posts that were decided together, and the way back."""
    if "search-batch" not in st.session_state:
        return
    batch, label, outcome = st.session_state["search-batch"]
    st.success(outcome_words(label, outcome), icon=":material/check:")
    if outcome.decided:
        st.button(_("Undo all of it"), on_click=undo_many, args=(batch,))


def outcome_words(label: Label, outcome: Outcome) -> str:
    decided = posts_in_words(outcome.decided)
    said = [_("{posts} decided as {label}.").format(posts=decided, label=label_in_words(label))]
    if outcome.unchanged:
        said.append(_("Decided so already: {posts}.").format(posts=posts_in_words(outcome.unchanged)))
    if outcome.held:
        held = posts_in_words(len(outcome.held))
        said.append(_("As before, because on somebody's card: {posts}.").format(posts=held))
    if outcome.changed:
        changed = posts_in_words(len(outcome.changed))
        said.append(_("As before, because another text by now: {posts}.").format(posts=changed))
    return " ".join(said)


def show_choice(chosen: list[FoundPost]) -> None:
    """A preview of what deciding the chosen posts would change, and the three ways to do it."""
    if not chosen:
        st.caption(_("Choose rows to decide them together."))
        return
    standing = [each for each in chosen if each.label is not None]
    if standing:
        by_label = (
            f"{sum(each.label is label for each in standing):,} {label_in_words(label)}"
            for label in Label
            if any(each.label is label for each in standing)
        )
        said = _("Chosen: {posts}; decided already: {labels}. What you decide settles those.")
        st.caption(said.format(posts=posts_in_words(len(chosen)), labels=", ".join(by_label)))
    else:
        st.caption(_("Chosen: {posts}.").format(posts=posts_in_words(len(chosen))))
    places = st.columns([2, 2, 2, 3, 3])
    places[3].button(_("Show as examples"), on_click=add_examples, args=(chosen,), width="stretch")
    for place, label in zip(places, Label, strict=False):
        place.button(
            _("All {label}").format(label=label_in_full(label)),
            key=f"many-{label.name}",
            on_click=decide_many,
            args=(chosen, label),
            width="stretch",
        )


page = open_page(
    _("Search"), _("Find posts by what stands in them, and by what is known of them. Newest texts come first.")
)
with errors_as_sentences():
    query = asked(page)
    unindexed = searching.count_unindexed(page.engine)
    if query.text and unindexed:
        st.info(
            ngettext(
                "The newest text cannot be found by its words yet; it soon can.",
                "The newest {count} texts cannot be found by their words yet; they soon can.",
                unindexed,
            ).format(count=f"{unindexed:,}")
        )
    places = st.session_state.setdefault("search-places", [None])
    found = searching.find(page.engine, page.actor, query, limit=POSTS_A_PAGE + 1, after=places[-1])
    has_more, found = len(found) > POSTS_A_PAGE, found[:POSTS_A_PAGE]
    show_batch()
    if not found:
        st.write(
            _("No post is like that. Fewer conditions find more; words are found as they stand, without blanks added.")
        )
    else:
        chosen = show_found(page, found, places)
        show_pages(found, places, has_more)
        if may(page.actor, Permission.review):
            show_choice(chosen)
