"""Proof: what the queue saves, and what more labels would bring, measured by posts that chance has drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.domain import Label
from core.growth import ENOUGH_JUDGED, FIGURES
from core.prevalence import ENOUGH_DRAWN
from core.services import proving
from core.services.proving import Proof
from core.wording import _
from ui.page import errors_as_sentences, open_page
from ui.proof_charts import curve_chart, interval_chart
from ui.proof_words import (
    NAMES,
    curve_caption,
    curve_table,
    draws_in_words,
    interval_in_words,
    missing_in_words,
    missing_slice_in_words,
    outlook_in_words,
    percent,
    point_rows,
    prevalence_in_words,
    share_row,
    spread,
    yield_in_words,
    yield_row,
    yields_of,
)
from ui.words import label_in_full, reason_in_words

SEED = 20_260_302  # the same decisions give the same intervals each time the page is drawn
FEWEST_TIMED = 10  # decisions: of fewer, quartiles say nothing


# --- what is in the forum -------------------------------------------------------------------------------------------


def show_prevalence(found: Proof) -> None:
    st.subheader(_("What is in the forum"), anchor=False)
    if not found.prevalence[Label.violation].is_enough:
        st.write(missing_in_words(found, have=found.drawn, enough=ENOUGH_DRAWN))
        return
    st.write(prevalence_in_words(found))
    chosen = [Label.suspicious, Label.violation]
    rows = [share_row(label_in_full(label), found.prevalence[label], found.drawn) for label in chosen]
    chart = interval_chart(
        pd.DataFrame(rows), value=_("in percent"), axis=_("percent of all posts"), counted=_("judged draws")
    )
    st.altair_chart(chart, width="stretch")
    st.caption(draws_in_words(found))
    with st.expander(_("The figures of this chart")):
        table = [
            {_("label"): label_in_full(label), _("share"): percent(share.value), _("interval"): spread(share)}
            for label, share in found.prevalence.items()
        ]
        st.dataframe(pd.DataFrame(table), hide_index=True, width="content")


# --- what the queue finds -------------------------------------------------------------------------------------------


def show_yield(found: Proof) -> None:
    st.subheader(_("What the queue finds"), anchor=False)
    if not found.audit.violations.is_enough:
        st.write(missing_in_words(found, have=found.audit.violations.families, enough=ENOUGH_DRAWN))
    elif not found.queue.violations.is_enough:
        st.write(
            _("{count} posts were decided that the queue chose; it takes {enough} to compare them with chance.").format(
                count=f"{found.queue.decisions:,}", enough=ENOUGH_DRAWN
            )
        )
    else:
        st.write(yield_in_words(found))
    shown = {name: each for name, each in yields_of(found).items() if each.violations.is_enough}
    if len(shown) < 2:
        return
    rows = [share_row(name, each.violations, each.decisions) for name, each in shown.items()]
    chart = interval_chart(
        pd.DataFrame(rows),
        value=_("violations in 100 decisions"),
        axis=_("violations in 100 decisions"),
        counted=_("decisions"),
    )
    st.altair_chart(chart, width="stretch")
    st.caption(
        _("By why the post was shown, where at least {enough} posts were decided.").format(enough=ENOUGH_DRAWN)
        + f" {interval_in_words()}"
    )
    with st.expander(_("The figures of this chart")):
        table = [yield_row(name, each) for name, each in yields_of(found).items()]
        st.dataframe(pd.DataFrame(table), hide_index=True, width="content")


# --- what more labels would bring -----------------------------------------------------------------------------------


def show_curve(found: Proof) -> None:
    st.subheader(_("What more labels would bring"), anchor=False)
    if not found.versions:
        st.write(_("No version has been trained yet; a lead trains one on the Retrain page."))
        return
    if found.in_slice < ENOUGH_JUDGED:
        st.write(missing_slice_in_words(found))
        return
    if not found.curve.points:
        st.write(
            _(
                "No version has scored {enough} judged posts of the audit slice yet; each new version does when it is "
                "trained."
            ).format(enough=ENOUGH_JUDGED)
        )
        return
    st.write(outlook_in_words(found.curve))
    tables = {name: curve_table(found.curve, name) for name in FIGURES}
    charts = {name: table for name, table in tables.items() if len(table) > 1}
    for place, (name, table) in zip(st.columns(max(1, len(charts))), charts.items(), strict=False):
        place.altair_chart(curve_chart(table, figure=_(NAMES[name])), width="stretch")
    st.caption(curve_caption(found))
    with st.expander(_("The figures of these charts")):
        st.dataframe(pd.DataFrame(point_rows(found.curve)), hide_index=True, width="content")


# --- what a decision costs ------------------------------------------------------------------------------------------


def show_paces(found: Proof) -> None:
    st.subheader(_("What a decision costs"), anchor=False)
    told = {reason: pace for reason, pace in found.paces.items() if pace.decisions >= FEWEST_TIMED}
    if not told:
        st.write(_("Fewer than {count} decisions on cards were timed for any reason.").format(count=FEWEST_TIMED))
        return
    rows = [
        {
            "name": reason_in_words(reason),
            "value": pace.median,
            "low": pace.low,
            "high": pace.high,
            "count": pace.decisions,
        }
        for reason, pace in told.items()
    ]
    chart = interval_chart(
        pd.DataFrame(rows),
        value=_("median seconds"),
        axis=_("seconds from the card to the key"),
        counted=_("decisions"),
    )
    st.altair_chart(chart, width="stretch")
    st.caption(
        _("The median of the latest {count} decisions for each reason; half of them lie on the line.").format(
            count=f"{proving.TIMED:,}"
        )
    )
    with st.expander(_("The figures of this chart")):
        table = [
            {
                _("shown because"): reason_in_words(reason),
                _("median seconds"): f"{pace.median:.1f}",
                _("a quarter takes less than"): f"{pace.low:.1f}",
                _("a quarter takes more than"): f"{pace.high:.1f}",
                _("decisions"): pace.decisions,
            }
            for reason, pace in told.items()
        ]
        st.dataframe(pd.DataFrame(table), hide_index=True, width="content")


page = open_page(
    _("Proof"),
    _("What the queue saves and what more labels would bring, measured by posts that chance drew."),
)
with errors_as_sentences():
    found = proving.prove(page.engine, page.actor, rng=np.random.default_rng(SEED))
    if not found.queue.decisions + found.audit.decisions + found.versions:
        st.write(_("Nothing has been decided on the Label page yet; this page fills as your team decides."))
    else:
        show_yield(found)
        show_curve(found)
        show_prevalence(found)
        show_paces(found)
