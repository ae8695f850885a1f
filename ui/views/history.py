"""Post history: one post from its import to what was learned from it: who, when, what they saw, what followed."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Label, ModelView, Side
from core.permissions import Permission, may
from core.services import checks, history
from core.services.history import Event, History, What
from core.services.rules import current_policy
from core.wording import N_, _, ngettext
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.words import label_in_full, plain, reason_in_words

WHAT = {
    What.imported: N_("came with an import"),
    What.found_again: N_("found again by an import"),
    What.import_taken_back: N_("import taken back"),
    What.shown: N_("on a card"),
    What.decided: N_("decided"),
    What.taken_back: N_("decision taken back"),
    What.skipped: N_("passed on"),
    What.flagged: N_("flagged"),
    What.flag_answered: N_("flag answered"),
    What.second_asked: N_("second opinion wanted"),
    What.second_given: N_("second opinion given"),
    What.made_check: N_("made a check post"),
    What.learned: N_("used in a training"),
}
ENDINGS = {
    "open": N_("still open"),
    "decided": N_("decided"),
    "skipped": N_("passed on"),
    "returned": N_("returned"),
    "expired": N_("time ran out"),
    "later": N_("for later"),
    "not_me": N_("to others"),
    "cannot_judge": N_("to the lead"),
}
VIEWS = {
    ModelView.hidden: N_("not looked at"),
    ModelView.asked: N_("asked for"),
    ModelView.shown: N_("shown before"),
    ModelView.blind: N_("blind by chance"),
    ModelView.withheld: N_("withheld"),
    ModelView.after: N_("seen before, corrected"),
}
SIDES = {
    Side.train: N_("learned from it"),
    Side.evaluation: N_("measured on it"),
    Side.audit: N_("measured on it, audit slice"),
}


def details(event: Event, rules: dict[str, str]) -> str:
    """Everything about an event that has no column of its own."""
    said: list[str] = []
    if event.corrects:
        said.append(_("in place of an earlier decision"))
    if event.settles:
        said.append(_("settles the post"))
    if event.is_suggestion:
        said.append(_("a suggestion, which does not count"))
    if event.is_check:
        said.append(_("as a check post"))
    if event.by_family:
        said.append(_("along with a near-copy"))
    if event.rule:
        said.append(rules.get(event.rule, event.rule))
    if event.note:
        said.append(f"“{event.note}”" if event.is_person else event.note)
    if event.excerpts:
        count = ngettext("{count} excerpt", "{count} excerpts", event.excerpts)
        said.append(count.format(count=f"{event.excerpts:,}"))
    if event.reason is not None and event.what is What.shown:
        said.append(reason_in_words(event.reason))
    if event.ending is not None:
        said.append(_(ENDINGS[event.ending]))
    if event.side is not None:
        said.append(_(SIDES[event.side]))
    if event.on_text is not None:
        said.append(_("on the text: {text}").format(text=event.on_text))
    return " · ".join(said)


def seen(event: Event) -> str:
    """What the person could see of the model."""
    if event.what is not What.decided or event.model_view is None:
        return ""
    said = _(VIEWS[event.model_view])
    return said if event.model is None else f"{said} · {event.model.version}: {shares(event.model.probabilities)}"


def shares(probabilities: tuple[float, float, float]) -> str:
    return ", ".join(f"{label_in_full(label)} {share:.0%}" for label, share in zip(Label, probabilities, strict=True))


def minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def show_events(page: Page, found: History) -> None:
    rules = {rule.key: rule.chinese or rule.english for rule in current_policy(page.engine).rules}
    table = pd.DataFrame(
        [
            {
                _("when (UTC)"): minute(event.at),
                _("what"): _(WHAT[event.what]),
                _("who"): event.who or "",
                _("label"): "" if event.label is None else label_in_full(event.label),
                _("counts then"): gold_words(event),
                _("model's view"): seen(event),
                _("seconds"): event.seconds,
                _("more"): details(event, rules),
            }
            for event in found.events
        ]
    )
    if table.empty:
        st.write(_("You have had nothing to do with this post."))
        return
    empty = [name for name in table.columns if not table[name].astype(object).where(table[name].notna(), "").any()]
    st.dataframe(
        table.drop(columns=empty),
        hide_index=True,
        column_config={
            _("more"): st.column_config.TextColumn(width="large"),
            _("seconds"): st.column_config.NumberColumn(format="%.1f"),
        },
        height="content",
        key=f"events-{found.post_id}",
    )


def gold_words(event: Event) -> str:
    if event.what not in (What.decided, What.taken_back) or event.is_check:
        return ""
    return _("nothing") if event.gold is None else label_in_full(event.gold)


def show_said(found: History) -> None:
    st.subheader(_("What each version says of the text"), anchor=False)
    if not found.said:
        st.write(_("No version has scored it."))
        return
    table = pd.DataFrame(
        [
            {_("version"): said.version}
            | {label_in_full(label): share for label, share in zip(Label, said.probabilities, strict=True)}
            for said in found.said
        ]
    )
    percent = {label_in_full(label): st.column_config.NumberColumn(format="percent") for label in Label}
    st.dataframe(table, hide_index=True, column_config=percent, width="content", key=f"said-{found.post_id}")


def make_check(post_id: int, text_id: int, label: Label) -> None:
    page = current_page()
    with errors_as_sentences():
        checks.make_check(page.engine, page.actor, post_id, text_id=text_id, label=label, now=utc_now())
        st.toast(_("It is a check post now; moderators get it unseen among the others."))


def show_post(page: Page, found: History) -> None:
    facts = [f"#{found.post_id}"] + ([f"pid {found.pid}"] if found.pid else [])
    if found.author:
        facts.append(found.author)
    if found.is_whole:
        counts = _("no label counts") if found.gold is None else _("counts as {label}")
        facts.append(counts if found.gold is None else counts.format(label=label_in_full(found.gold)))
    if found.check is not None:
        facts.append(_("check post"))
    if found.is_held:
        facts.append(_("on somebody's card now"))
    st.caption(plain(" · ".join(facts)))
    st.text(found.text)
    if may(page.actor, Permission.review) and found.gold is not None and found.check is None:
        st.button(
            _("Make it a check post ({label})").format(label=label_in_full(found.gold)),
            on_click=make_check,
            args=(found.post_id, found.text_id, found.gold),
            help=_("A clear case, to be mixed among moderators' cards: it measures how they judge."),
        )


def chosen_post(page: Page) -> int | None:
    """From the field, else from the address."""
    asked = st.text_input(_("pid, or # and the number here"), key="history-post", placeholder="10054321, #12")
    if asked:
        return history.find_post(page.engine, page.actor, asked)
    linked = st.query_params.get("post", "")
    return history.find_post(page.engine, page.actor, f"#{linked}") if linked else None


page = open_page(
    _("Post history"),
    _("One post from its import on: who said what and when, what they saw, what followed. Moderators see their part."),
)
with errors_as_sentences():
    post_id = chosen_post(page)
    if post_id is None:
        st.write(_("Name a post, or come from a link on Search, Review, Families or My work."))
    else:
        found = history.history_of(page.engine, page.actor, post_id)
        show_post(page, found)
        show_events(page, found)
        if found.is_whole:
            show_said(found)
