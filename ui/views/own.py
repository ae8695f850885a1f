"""My work: today, pace, agreement, what became of flags and skips, and the last decisions with their correction."""

from __future__ import annotations

import secrets
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import altair as alt
import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Label, SkipKind
from core.services import annotation, flags, own
from core.services.annotation import Press, PressKind
from core.services.own import OwnFigures, RecentDecision
from core.services.rules import current_policy
from core.wording import _
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.post_links import post_cell, post_column
from ui.words import label_in_full, label_in_words, plain, rule_in_words

SHOWN = 200
WENT = {SkipKind.later: _("later, to me"), SkipKind.not_me: _("to others"), SkipKind.cannot_judge: _("to the lead")}
WIDE = st.column_config.TextColumn(width="large")


def here() -> tzinfo:
    """The time zone of the browser."""
    try:
        return ZoneInfo(str(st.context.timezone))
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def show_figures(found: OwnFigures) -> None:
    places = st.columns(5)
    places[0].metric(_("Today"), f"{found.today:,}")
    places[1].metric(_("In all"), f"{found.in_all:,}")
    pace = "–" if found.pace.median_s is None else f"{found.pace.median_s:.1f} s"
    places[2].metric(_("A decision takes"), pace, help=_("The median of your last 500, from the card to the key."))
    share = found.agreement.share
    agreed = "–" if share is None else f"{share:.0%}"
    compared = _("Of {compared} judgements by others of what you judged, up to yesterday.").format(
        compared=f"{found.agreement.compared:,}"
    )
    places[3].metric(_("Others say the same"), agreed, help=compared)
    checks = found.checks
    right = "–" if checks.share is None else f"{checks.share:.0%}"
    says = _(
        "Posts whose label is known, which come among the others unseen: {same} of {compared} alike, up to yesterday."
    )
    places[4].metric(
        _("As on check posts"), right, help=says.format(same=f"{checks.same:,}", compared=f"{checks.compared:,}")
    )
    if found.pace.is_hasty:
        sentence = _(
            "{fast} of your last {timed} decisions took less than a second each, quicker than most posts can be read. "
            "There is no hurry: a right decision is worth more than a fast one."
        )
        st.info(
            sentence.format(fast=f"{found.pace.fast:,}", timed=f"{found.pace.timed:,}"),
            icon=":material/hourglass_bottom:",
        )
    if found.in_all:
        days = pd.DataFrame(found.by_day, columns=["day", "decisions"])
        bars = (
            alt.Chart(days, height=120)
            .mark_bar(color="#6b7a90")
            .encode(
                x=alt.X("monthdate(day):O", title=None, axis=alt.Axis(labelAngle=0)),
                y=alt.Y("decisions:Q", title=None, axis=alt.Axis(tickMinStep=1)),
                tooltip=[
                    alt.Tooltip("day:T", title=_("day"), format="%Y-%m-%d"),
                    alt.Tooltip("decisions:Q", title=_("decisions"), format=","),
                ],
            )
        )
        st.altair_chart(bars, width="stretch")


def show_flags(page: Page) -> None:
    found = flags.own_flags(page.engine, page.actor)
    if not found:
        st.write(_("None. F on the Label page flags a post for the lead."))
        return
    rows = [
        {
            _("post"): post_cell(flag.post_id, flag.pid),
            _("text"): flag.text,
            _("my note"): flag.note,
            "flagged": flag.flagged_at,
            _("answer"): _("waits") if flag.closed_at is None else flag.answer or _("closed"),
            _("by"): flag.closed_by or "",
        }
        for flag in found
    ]
    when = st.column_config.DatetimeColumn(_("flagged (UTC)"), format="YYYY-MM-DD HH:mm")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={_("post"): post_column(_("post")), _("text"): WIDE, "flagged": when},
        key="own-flags",
    )


def show_skips(page: Page) -> None:
    found = flags.own_skips(page.engine, page.actor)
    if not found:
        st.write(_("None that is not decided."))
        return
    rows = [
        {
            _("post"): post_cell(skip.post_id, skip.pid),
            _("text"): skip.text,
            _("went"): WENT[skip.kind],
            "when": skip.skipped_at,
        }
        for skip in found
    ]
    when = st.column_config.DatetimeColumn(_("when (UTC)"), format="YYYY-MM-DD HH:mm")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={_("post"): post_column(_("post")), _("text"): WIDE, "when": when},
        key="own-skips",
    )


def correct(made: RecentDecision, label: Label) -> None:
    page = current_page()
    press = Press(
        secrets.token_hex(16), PressKind.correct, text_id=made.text_id, label=label, decision_id=made.decision_id
    )
    now = utc_now()
    with errors_as_sentences():
        answer = annotation.sync(page.engine, page.actor, [press], holding=[], want=0, today=now, now=now)
        for refused in answer.refused:
            st.error(refused.reason, icon=":material/error:")


def show_decisions(page: Page) -> None:
    found = own.last_decisions(page.engine, page.actor, limit=SHOWN)
    if not found:
        st.write(_("None yet. The Label page brings posts."))
        return
    names = {rule.key: rule_in_words(rule) for rule in current_policy(page.engine).rules}
    rows = [
        {
            _("post"): post_cell(made.post_id, None),
            _("text"): made.text,
            _("label"): label_in_full(made.label),
            _("rule"): names.get(made.rule or "", made.rule or ""),
            _("note"): made.note or "",
            _("near-copies"): made.copies,
            "when": made.decided_at,
        }
        for made in found
    ]
    when = st.column_config.DatetimeColumn(_("when (UTC)"), format="YYYY-MM-DD HH:mm")
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={_("post"): post_column(_("post")), _("text"): WIDE, "when": when},
        on_select="rerun",
        selection_mode="single-row",
        key=f"own-decisions-{found[0].decision_id}",  # positions would choose other decisions
    )
    rows_chosen = event["selection"]["rows"]
    if not rows_chosen or rows_chosen[0] >= len(found):
        st.caption(_("Choose a row to correct it."))
        return
    made = found[rows_chosen[0]]
    st.text(made.text)
    if made.note:
        st.caption(_("Note: {note}").format(note=plain(made.note)))
    st.caption(_("Decided as {label}. Correct it to:").format(label=label_in_words(made.label)))
    for place, label in zip(st.columns([2, 2, 2, 6]), Label, strict=False):
        place.button(
            label_in_full(label),
            key=f"correct-{made.decision_id}-{label.name}",
            disabled=label is made.label,
            on_click=correct,
            args=(made, label),
            width="stretch",
        )


page = open_page(_("My work"), _("What you decided, how others see it, and what became of what you passed on."))
with errors_as_sentences():
    show_figures(own.own_figures(page.engine, page.actor, now=utc_now(), zone=here()))
    st.subheader(_("My flags"), anchor=False)
    show_flags(page)
    st.subheader(_("Posts I passed on"), anchor=False)
    show_skips(page)
    st.subheader(_("My last decisions"), anchor=False)
    show_decisions(page)
