"""Review: what moderators passed on to the lead, sources that disagree, decided posts whose text an import has changed
since, and the rating of sources."""

from __future__ import annotations

import streamlit as st

from core.clock import utc_now
from core.domain import Label, SourceKind, SourceTrust
from core.services import flags, rating, reviewing
from core.services.flags import Flag, SkippedPost
from db.disagreements import Disagreement
from db.golds import OldTextDecision
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.words import plain

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


def answer_flag(flag_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        answer = st.session_state.get(f"answer-{flag_id}", "")
        flags.close_flag(page.engine, page.actor, flag_id, answer=answer, now=utc_now())


def show_flag(found: Flag) -> None:
    st.caption(f"Post {found.post_id}, flagged by {plain(found.flagged_by)} on {found.flagged_at:%Y-%m-%d %H:%M} UTC")
    st.text(found.text)
    if found.note:
        st.text(f"“{found.note}”")
    answer, close = st.columns([6, 2], vertical_alignment="bottom")
    answer.text_input("Answer, for whoever flagged it", key=f"answer-{found.id}", max_chars=2_000)
    close.button("Close the flag", key=f"close-{found.id}", on_click=answer_flag, args=(found.id,), width="stretch")
    st.divider()


def show_flags(page: Page) -> None:
    count = flags.count_open_flags(page.engine, page.actor)
    if count == 0:
        st.write("No open flag. What moderators flag with F is listed here.")
        return
    st.caption(f"{count:,} open, the oldest {min(count, PAGE_SIZE)} shown")
    for found in flags.open_flags(page.engine, page.actor, limit=PAGE_SIZE):
        show_flag(found)


def judge(found: SkippedPost, label: Label) -> None:
    page = current_page()
    with errors_as_sentences():
        flags.judge(page.engine, page.actor, found.post_id, text_id=found.text_id, label=label, now=utc_now())


def put_back(post_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        flags.put_back(page.engine, page.actor, post_id, now=utc_now())


def show_unjudged_post(found: SkippedPost, names: list[str]) -> None:
    st.caption(f"Post {found.post_id}, could not be judged by {plain(', '.join(names))}")
    st.text(found.text)
    places = st.columns([2, 2, 2, 3, 3])
    for place, label in zip(places, Label, strict=False):
        place.button(
            f"{label.name} {label.chinese}",
            key=f"judge-{found.post_id}-{label.name}",
            on_click=judge,
            args=(found, label),
            width="stretch",
        )
    places[3].button("Put back in the queue", key=f"back-{found.post_id}", on_click=put_back, args=(found.post_id,))
    st.divider()


def show_unjudged(page: Page) -> None:
    count = flags.count_unjudged(page.engine, page.actor)
    if count == 0:
        st.write("None. A post that a moderator cannot judge (X) leaves the queue and is listed here.")
        return
    names: dict[int, list[str]] = {}
    posts: dict[int, SkippedPost] = {}
    for found in flags.unjudged_posts(page.engine, page.actor, limit=PAGE_SIZE):
        posts.setdefault(found.post_id, found)
        names.setdefault(found.post_id, []).append(found.skipped_by)
    st.caption(f"{count:,} {'post' if count == 1 else 'posts'}, the newest {len(posts)} shown")
    for post_id, found in posts.items():
        show_unjudged_post(found, names[post_id])


def show_downloads() -> None:
    left, right, _rest = st.columns([2, 2, 6])
    left.link_button("All flags", "/api/flags.tsv", icon=":material/download:", width="stretch")
    right.link_button("All skips", "/api/skips.tsv", icon=":material/download:", width="stretch")


def settle(found: Disagreement, label: Label) -> None:
    page = current_page()
    with errors_as_sentences():
        reviewing.settle(page.engine, page.actor, found.post_id, text_id=found.text_id, label=label, now=utc_now())


def show_disagreement(found: Disagreement) -> None:
    until = "left out of training" if found.gold is None else f"counts as {found.gold.name} {found.gold.chinese}"
    st.caption(f"Post {found.post_id}, {until} until it is settled")
    st.text(found.text)
    for voice in found.voices:
        label, trust = voice.vote.label, voice.vote.trust
        rated = " (trusted)" if trust is SourceTrust.trusted else ""
        st.caption(f"{label.name} {label.chinese} · {voice.source}{rated} · {voice.decided_at:%Y-%m-%d}")
    places = st.columns([2, 2, 2, 6])
    for place, label in zip(places, Label, strict=False):
        place.button(
            f"{label.name} {label.chinese}",
            key=f"settle-{found.post_id}-{label.name}",
            on_click=settle,
            args=(found, label),
            width="stretch",
        )
    st.divider()


def show_disagreements(page: Page) -> None:
    count = reviewing.count_disagreements(page.engine, page.actor)
    if count == 0:
        st.write("No disagreement. Posts that a person and a file, or two files, judged differently are listed here.")
        return
    pages = -(-count // PAGE_SIZE)
    if st.session_state.get("review-page", 1) > pages:  # settled away
        st.session_state["review-page"] = pages
    number = 1 if pages == 1 else st.number_input("Page", min_value=1, max_value=pages, key="review-page", width=160)
    st.caption(f"{count:,} {'post' if count == 1 else 'posts'} · page {number} of {pages}")
    for found in reviewing.disagreements(page.engine, page.actor, page=int(number), page_size=PAGE_SIZE):
        show_disagreement(found)


def show_old_texts(page: Page) -> None:
    waiting = reviewing.count_on_old_texts(page.engine, page.actor)
    if waiting == 0:
        st.write("No text changed. When a longer export brings new hits of a decided post, it is listed here.")
        return
    st.caption(f"{waiting:,} waiting, the oldest {min(waiting, PAGE_SIZE)} shown")
    for old in reviewing.decisions_on_old_texts(page.engine, page.actor, limit=PAGE_SIZE):
        show_decision(page, old)


def change_trust(source_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        chosen = SourceTrust(st.session_state[f"trust-{source_id}"])
        rating.change_trust(page.engine, page.actor, source_id, trust=chosen, now=utc_now())


def show_sources(page: Page) -> None:
    files = [source for source in rating.list_sources(page.engine, page.actor) if source.kind is SourceKind.file]
    if not files:
        st.write("No labelled file yet. Each that is imported is a source of decisions, and is rated here.")
        return
    st.caption(
        "A human source counts like a colleague. A suggestion is a model's opinion: it decides nothing and teaches "
        "nothing. A trusted source stands above everybody but what you settle here."
    )
    for source in files:
        st.session_state[f"trust-{source.id}"] = source.trust  # the database is the truth, also after a refusal
        name, count, choice = st.columns([5, 2, 3], vertical_alignment="center")
        name.text(source.name)
        count.text(f"{source.decisions:,} decisions")
        choice.selectbox(
            f"Trust in {source.name}",
            list(SourceTrust),
            key=f"trust-{source.id}",
            on_change=change_trust,
            args=(source.id,),
            label_visibility="collapsed",
        )


page = open_page(
    "Review",
    "Settle what only a lead can: what moderators pass on, sources that disagree, decided posts whose text changed.",
)
with errors_as_sentences():
    st.subheader("Flags", anchor=False)
    show_flags(page)
    st.subheader("Cannot be judged", anchor=False)
    show_unjudged(page)
    show_downloads()
    st.subheader("Sources disagree", anchor=False)
    show_disagreements(page)
    st.subheader("Text changed since it was decided", anchor=False)
    st.caption("Left out of training until judged again.")
    show_old_texts(page)
    st.subheader("Sources", anchor=False)
    show_sources(page)
