"""Exports: tables for other programs, as downloads."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import streamlit as st

from core.clock import utc_now
from core.permissions import Permission, may
from core.services import models, thresholding
from core.services.exporting import NEEDED, WITH_AUTHORS, Authors, Content
from core.sheets import TABULAR, SheetForm
from core.week_report import last_whole_week, week_in_words
from core.wording import N_, _
from ui.page import Page, errors_as_sentences, open_page

WEEKS = 12  # whole ones that are offered
CONTENTS = {
    Content.gold: N_("Gold labels"),
    Content.decisions: N_("Decisions"),
    Content.predictions: N_("Predictions"),
    Content.verdicts: N_("Posts, with what thresholds say"),
    Content.families: N_("Families"),
    Content.agreement: N_("Agreement"),
    Content.audit: N_("Audit log"),
}
SAYS = {
    Content.gold: N_("A row for each post whose label counts, with its text, family and side of the split."),
    Content.decisions: N_("A row for each decision, also those that were taken back: label, source, time, why shown."),
    Content.predictions: N_("A row for each post that the version has scored: its label and the three probabilities."),
    Content.verdicts: N_("The columns that came in, a row for each hit, with label, probabilities and verdict beside."),
    Content.families: N_("A row for each post of the families of near-copies of two or more."),
    Content.agreement: N_("A row for each post that two people judged without knowing of one another."),
    Content.audit: N_("A row for each entry, newest first. The Audit log page exports a part of it."),
}
FORMS = {
    SheetForm.csv: N_("CSV, for spreadsheets"),
    SheetForm.tsv: N_("TSV, verbatim as MySQL writes it"),
    SheetForm.jsonl: N_("JSON lines, for datasets.load_dataset"),
    SheetForm.parquet: N_("Parquet"),
    SheetForm.label_studio: N_("Label Studio, JSON"),
    SheetForm.doccano: N_("doccano, JSON lines"),
}
AUTHORS = {
    Authors.left_out: N_("left out"),
    Authors.pseudonyms: N_("by pseudonyms that stay the same"),
    Authors.plain: N_("as they are"),
}


def ask_authors(page: Page) -> Authors:
    """Which columns of people; as they are only for whoever may see them."""
    offered = [each for each in Authors if each is not Authors.plain or may(page.actor, Permission.see_author)]
    chosen: Authors = st.selectbox(
        _("Authors and addresses"),
        offered,
        format_func=lambda each: _(AUTHORS[each]),
        help=_("A pseudonym is a keyed hash; the key stays in this installation, and nobody finds the way back."),
        key="export-authors",
    )
    return chosen


def ask_version(page: Page) -> str | None:
    """None while there is no version at all."""
    rows = models.list_versions(page.engine, page.actor)
    names = [row.version.name for row in rows]
    active = next((place for place, row in enumerate(rows) if row.is_active), 0)
    if not names:
        st.write(_("There is no model version yet, so nothing has been scored. A lead makes one on the Retrain page."))
        return None
    chosen: str = st.selectbox(_("Version"), names, index=active, key="export-version")
    return chosen


def ask_policy(page: Page) -> str | None:
    """Under which name; None while there is none."""
    names = list(dict.fromkeys(policy.name for policy in thresholding.list_policies(page.engine, page.actor)))
    if not names:
        st.write(_("No thresholds are saved under a name yet; the Thresholds page does that."))
        return None
    chosen: str = st.selectbox(_("Thresholds"), names, key="export-policy")
    return chosen


def show_choice(page: Page) -> dict[str, str] | None:
    """What is asked for, as the address has it; None while there is nothing to ask for."""
    offered = [content for content in CONTENTS if may(page.actor, NEEDED[content])]
    left, right = st.columns(2)
    with left:
        content = st.selectbox(_("Table"), offered, format_func=lambda each: _(CONTENTS[each]), key="export-content")
        st.caption(_(SAYS[content]))
    forms = [form for form in FORMS if form in TABULAR or content is Content.gold]
    given = {"content": str(content)}
    with right:
        form = st.selectbox(_("Format"), forms, format_func=lambda each: _(FORMS[each]), key="export-form")
        if form is SheetForm.csv:
            st.caption(_("Cells that a spreadsheet would take for formulas begin with an apostrophe."))
        if form is SheetForm.tsv and st.toggle(_("No cell is read as a formula"), key="export-safe"):
            given["safe"] = "1"
        if content in (Content.predictions, Content.verdicts):
            version = ask_version(page)
            if version is None:
                return None
            given["version"] = version
        if content is Content.verdicts:
            policy = ask_policy(page)
            if policy is None:
                return None
            given["policy"] = policy
        if content in WITH_AUTHORS:
            given["authors"] = str(ask_authors(page))
    return given | {"form": str(form)}


def show_week() -> None:
    """The way to the report of one of the last weeks."""
    st.subheader(_("A week's report"), anchor=False)
    newest = last_whole_week(utc_now())
    weeks = [week_in_words(newest + timedelta(weeks=ahead)) for ahead in range(1, -WEEKS, -1)]
    left, right, _rest = st.columns([2, 2, 4], vertical_alignment="bottom")
    week = left.selectbox(_("Week"), weeks, index=1, key="report-week", help=_("The first one is still under way."))
    right.link_button(_("Open the report"), f"/report/week/{week}", icon=":material/summarize:")
    st.caption(
        _(
            "What was decided, the model, thresholds and hit words on one page to keep or to send, without names; for "
            "leads also how well people agree. It fetches nothing."
        )
    )


page = open_page(
    _("Exports"), _("Tables for other programs. What leaves is on record in the audit log, with who took it.")
)
with errors_as_sentences():
    chosen = show_choice(page)
    if chosen is not None:
        content = chosen.pop("content")
        st.link_button(
            _("Download"), f"/api/export/{content}?{urlencode(chosen)}", type="primary", icon=":material/download:"
        )
        st.caption(
            _(
                "It is written while it is read: a large one starts at once, and each part is as of the moment at "
                "which it is written. The command line has the same tables: `tiebreak export {table}`."
            ).format(table="decisions --policy" if content == Content.verdicts else content)
        )
    show_week()
