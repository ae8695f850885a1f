"""Guidelines: what the labels mean here, written by a lead, with examples; every version is kept."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.clock import utc_now
from core.domain import Label
from core.guidelines import MOST_CHARACTERS, Line, changes, to_html
from core.permissions import Permission, may
from core.services import guidelines, history
from core.services.guidelines import MOST_NOTE, Example, Guidelines, Version
from core.services.rules import current_policy
from core.wording import N_, _
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.words import plain

READ, VERSIONS, WRITE, EXAMPLES = N_("Read"), N_("Versions"), N_("Write"), N_("Choose examples")
MARKS = {"new": "+ ", "gone": "− ", "same": "  ", "gap": "…"}
STYLES = {"new": "font-weight:600", "gone": "text-decoration:line-through;opacity:.7", "same": "opacity:.7"}
PLACEHOLDER = N_("What a violation is here, and what only looks like one …")


# --- reading ----------------------------------------------------------------------------------------------------------


def show_lines(lines: Sequence[Line]) -> None:
    """What a version brought: text only, each line marked by a sign as well."""
    rows = (
        f'<div style="{STYLES.get(line.kind, "opacity:.7")}">{MARKS[line.kind]}{escape(line.text)}</div>'
        for line in lines
    )
    st.html(f'<div lang="zh" style="white-space:pre-wrap;overflow-wrap:anywhere">{"".join(rows)}</div>')


def show_news(page: Page, found: Guidelines) -> None:
    """What the reader has not been shown yet; it stays on the page until the next visit."""
    shown_id = 0 if found.version is None else found.version.id
    if st.session_state.get("guidelines-noted") != shown_id:
        st.session_state["guidelines-noted"], st.session_state["guidelines-news"] = shown_id, found.changes
        version_id = None if found.version is None else found.version.id
        guidelines.note_read(page.engine, page.actor, version_id=version_id, now=utc_now())
    news = st.session_state["guidelines-news"]
    if news is None:
        return
    with st.expander(_("Changed since you read version {number}").format(number=news.since.id), expanded=True):
        for version in news.versions:
            st.caption(heading_of(version))
        show_lines(news.lines)


def heading_of(version: Version) -> str:
    made = _("Version {number}, {name}, {day}").format(
        number=version.id, name=plain(version.written_by), day=f"{version.written_at:%Y-%m-%d %H:%M} UTC"
    )
    return f"{made}: {plain(version.note)}" if version.note else made


def show_whole(page: Page, found: Guidelines) -> None:
    show_news(page, found)
    if found.version is None:
        writes = may(page.actor, Permission.write_guidelines)
        st.write(
            _("There are no guidelines yet. Write what the labels mean here, under Write.")
            if writes
            else _("There are no guidelines yet; a lead writes them.")
        )
    else:
        st.html(f'<div lang="zh" style="max-width:44em;line-height:1.7">{to_html(found.version.body)}</div>')
        st.caption(heading_of(found.version))
    show_rules(page)
    for label in Label:
        show_examples_of(label, [example for example in found.examples if example.label is label])


def show_rules(page: Page) -> None:
    names = [" ".join(filter(None, (rule.chinese, rule.english))) for rule in current_policy(page.engine).rules]
    if names:
        st.subheader(_("Rules that a post can break"), anchor=False)
        st.text("\n".join(names))


def show_examples_of(label: Label, examples: Sequence[Example]) -> None:
    if not examples:
        return
    st.subheader(_("Examples of {label}").format(label=f"{label.name} {label.chinese}"), anchor=False)
    for example in examples:
        st.text(example.post.text)
        if example.post.note:
            st.caption(plain(example.post.note))


# --- versions ---------------------------------------------------------------------------------------------------------


def show_versions(page: Page) -> None:
    listed = guidelines.list_versions(page.engine, page.actor)
    if not listed:
        st.write(_("There is no version yet. Each that is saved is listed here, and none is ever changed."))
        return
    by_id = {version.id: version for version in listed}
    chosen = st.selectbox(
        _("Version"), list(by_id), format_func=lambda version_id: heading_of(by_id[version_id]).replace("\\", "")
    )
    older = [version_id for version_id in by_id if version_id < chosen]
    version = by_id[chosen]
    if older:
        against = st.selectbox(_("Compared with"), older, format_func=_("version {}").format)
        show_lines(changes(by_id[against].body, version.body))
    with st.expander(_("The whole of version {number}").format(number=version.id), expanded=not older):
        st.html(f'<div lang="zh" style="max-width:44em;line-height:1.7">{to_html(version.body)}</div>')


# --- writing ----------------------------------------------------------------------------------------------------------


def save() -> None:
    page, typed = current_page(), st.session_state
    with errors_as_sentences():
        made = guidelines.write_version(
            page.engine,
            page.actor,
            typed["guidelines-body"],
            note=typed["guidelines-note"],
            based_on=typed["guidelines-base"],
            now=utc_now(),
        )
        del typed["guidelines-base"]
        typed["guidelines-note"] = ""
        st.toast(_("Version {number} is saved; everybody is shown what changed.").format(number=made.id))


def start_over() -> None:
    st.session_state.pop("guidelines-base", None)


def show_editor(page: Page, found: Guidelines) -> None:
    state = st.session_state
    newest = None if found.version is None else found.version.id
    if "guidelines-base" not in state:
        state["guidelines-base"] = newest
        state["guidelines-draft"] = "" if found.version is None else found.version.body
        state.pop("guidelines-body", None)
    if state["guidelines-base"] != newest:
        st.warning(
            _("Version {number} was saved by {name} meanwhile; yours cannot be saved over it.").format(
                number=newest, name=plain(found.version.written_by if found.version else "")
            )
        )
        st.button(_("Drop my text and begin with the newest version"), on_click=start_over)
    body = st.text_area(
        _("Text, in Markdown: headings, lists, tables, links. Pictures and HTML are not shown."),
        value=state["guidelines-draft"],
        key="guidelines-body",
        height=420,
        max_chars=MOST_CHARACTERS,
        placeholder=_(PLACEHOLDER),
    )
    state["guidelines-draft"] = body  # it outlives a look at the other views
    st.text_input(
        _("What changed, in a sentence: shown to everybody beside it"), key="guidelines-note", max_chars=MOST_NOTE
    )
    st.button(_("Save as a new version"), type="primary", on_click=save)
    if body.strip():
        with st.expander(_("As it will look"), expanded=True):
            st.html(f'<div lang="zh" style="max-width:44em;line-height:1.7">{to_html(body)}</div>')


# --- examples ---------------------------------------------------------------------------------------------------------


def add_example() -> None:
    page, typed = current_page(), st.session_state
    with errors_as_sentences():
        post_id = history.find_post(page.engine, page.actor, typed["example-post"])
        guidelines.add_example(page.engine, page.actor, post_id, note=typed["example-note"], now=utc_now())
        typed["example-post"] = typed["example-note"] = ""


def remove_example(post_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        guidelines.remove_example(page.engine, page.actor, post_id, now=utc_now())


def show_chooser(page: Page) -> None:
    st.caption(
        _(
            "A decided post shows what its label means. It is shown with the words and the label that it has; no name "
            "of anybody is shown. Search finds posts, and lets you add several at once."
        )
    )
    number, note, add = st.columns([2, 5, 2], vertical_alignment="bottom")
    number.text_input(_("Post (its pid, or # and its number)"), key="example-post", max_chars=40)
    note.text_input(_("What it shows"), key="example-note", max_chars=MOST_NOTE)
    add.button(_("Add"), on_click=add_example, width="stretch")
    listed = guidelines.list_examples(page.engine, page.actor)
    if not listed:
        st.write(_("None yet. Moderators read examples sooner than rules."))
    for example in listed:
        show_example(example)


def show_example(example: Example) -> None:
    post, label = example.post, example.label
    name = post.pid or f"#{post.post_id}"
    if label is not None:
        stands = _("shown as {label}").format(label=f"{label.name} {label.chinese}")
    elif post.is_waiting:
        stands = _("not shown: it waits for a second opinion, or is a check post")
    else:
        stands = _("not shown: no label counts for it at the moment")
    st.divider()
    text, gone = st.columns([7, 2], vertical_alignment="top")
    with text:
        st.text(post.text)
        st.caption(
            _("Post {post}, {stands}, added by {name}").format(
                post=plain(name), stands=stands, name=plain(post.added_by)
            )
        )
        if post.note:
            st.caption(plain(post.note))
    gone.button(
        _("Remove"), key=f"remove-example-{post.post_id}", on_click=remove_example, args=(post.post_id,),
        width="stretch", help=plain(name),
    )  # fmt: skip


page = open_page(_("Guidelines"), _("What the labels mean here. On the Label page G shows them beside the card."))
with errors_as_sentences():
    views = [READ, VERSIONS]
    if may(page.actor, Permission.write_guidelines):
        views += [WRITE, EXAMPLES]
    view = st.segmented_control(
        _("View"), views, format_func=_, default=READ, required=True, label_visibility="collapsed"
    )
    found = guidelines.read_guidelines(page.engine, page.actor)
    if view == READ:
        show_whole(page, found)
    elif view == VERSIONS:
        show_versions(page)
    elif view == WRITE:
        show_editor(page, found)
    else:
        show_chooser(page)
