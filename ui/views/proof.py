"""Proof: what the queue saves, and what more labels would bring, measured by posts that chance has drawn."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from core.domain import Label, Reason
from core.growth import (
    ENOUGH_JUDGED,
    ENOUGH_VIOLATIONS,
    FEWEST_POINTS,
    FIGURES,
    LEAST_SPREAD,
    MORE,
    WORTH,
    Curve,
    Outlook,
)
from core.prevalence import ENOUGH_DRAWN, Share
from core.services import proving
from core.services.proving import Proof, Yield
from core.wording import N_, _, ngettext
from ui.page import errors_as_sentences, open_page
from ui.proof_charts import curve_chart, interval_chart
from ui.words import label_in_full, reason_in_words

SEED = 20_260_302  # the same decisions give the same intervals each time the page is drawn
FEWEST_TIMED = 10  # decisions: of fewer, quartiles say nothing
NAMES = {"macro_f1": "macro-F1", "violation recall": N_("violations found (recall)")}
INTERVAL = _("The interval holds the true value in 95 of 100 samples, drawn by families of near-copies.")


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def spread(share: Share) -> str:
    if share.interval is None:
        return "–"
    low, high = share.interval
    return _("{low} to {high}").format(low=f"{low * 100:.1f}", high=percent(high))


def decisions_to(drawn: int, audit_share: float) -> int:
    """How many decisions bring that many draws."""
    return math.ceil(drawn / audit_share)


def show_missing(found: Proof, *, have: int, enough: int) -> None:
    """How many draws are there, how many it takes, and how to get them."""
    said = ngettext(
        "{have} post that chance drew is judged; it takes {enough}.",
        "{have} posts that chance drew are judged; it takes {enough}.",
        have,
    ).format(have=f"{have:,}", enough=f"{enough:,}")
    if not found.audit_share:
        how = _("The policy draws none: give the posts drawn to measure by a share on the Policy page.")
    else:
        how = _(
            "They are {share} of the queue, so about {more} decisions more bring them; the Policy page changes that."
        ).format(share=f"{found.audit_share:.0%}", more=f"{decisions_to(max(1, enough - have), found.audit_share):,}")
    st.write(f"{said} {how}")


# --- what is in the forum -------------------------------------------------------------------------------------------


def show_prevalence(found: Proof) -> None:
    st.subheader(_("What is in the forum"), anchor=False)
    if not found.prevalence[Label.violation].is_enough:
        show_missing(found, have=found.drawn, enough=ENOUGH_DRAWN)
        return
    violation, suspicious = found.prevalence[Label.violation], found.prevalence[Label.suspicious]
    st.write(
        _(
            "Of all posts about {violation} are violations ({violation_spread}) and {suspicious} are suspicious "
            "({suspicious_spread})."
        ).format(
            violation=percent(violation.value),
            violation_spread=spread(violation),
            suspicious=percent(suspicious.value),
            suspicious_spread=spread(suspicious),
        )
    )
    chosen = [Label.suspicious, Label.violation]
    rows = [share_row(label_in_full(label), found.prevalence[label], found.drawn) for label in chosen]
    chart = interval_chart(
        pd.DataFrame(rows), value=_("in percent"), axis=_("percent of all posts"), counted=_("judged draws")
    )
    st.altair_chart(chart, width="stretch")
    said = ngettext(
        "From {drawn} post that chance drew, near-copies counted as often as they were posted; posts under four "
        "characters are hardly among them.",
        "From {drawn} posts that chance drew, near-copies counted as often as they were posted; posts under four "
        "characters are hardly among them.",
        found.drawn,
    ).format(drawn=f"{found.drawn:,}")
    st.caption(f"{said} {INTERVAL} {disputed_in_words(found)}".strip())
    with st.expander(_("The figures of this chart")):
        table = [
            {_("label"): label_in_full(label), _("share"): percent(share.value), _("interval"): spread(share)}
            for label, share in found.prevalence.items()
        ]
        st.dataframe(pd.DataFrame(table), hide_index=True, width="content")


def share_row(name: str, share: Share, count: int) -> dict[str, object]:
    low, high = share.interval or (share.value, share.value)
    return {"name": name, "value": share.value * 100, "low": low * 100, "high": high * 100, "count": count}


def disputed_in_words(found: Proof) -> str:
    if not found.disputed:
        return ""
    return ngettext(
        "{count} more has no agreed label; Review settles it.",
        "{count} more have no agreed label; Review settles them.",
        found.disputed,
    ).format(count=f"{found.disputed:,}")


# --- what the queue finds -------------------------------------------------------------------------------------------


def show_yield(found: Proof) -> None:
    st.subheader(_("What the queue finds"), anchor=False)
    if not found.audit.violations.is_enough:
        show_missing(found, have=found.audit.violations.families, enough=ENOUGH_DRAWN)
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
        + f" {INTERVAL}"
    )
    with st.expander(_("The figures of this chart")):
        table = [yield_row(name, each) for name, each in yields_of(found).items()]
        st.dataframe(pd.DataFrame(table), hide_index=True, width="content")


def yields_of(found: Proof) -> dict[str, Yield]:
    by_reason = {
        reason_in_words(reason): each for reason, each in found.by_reason.items() if reason is not Reason.audit
    }
    return {_("all that the queue chose"): found.queue, **by_reason, _("drawn by chance"): found.audit}


def yield_row(name: str, each: Yield) -> dict[str, object]:
    is_told = each.violations.is_enough
    return {
        _("shown because"): name,
        _("decisions"): each.decisions,
        _("violations in 100"): f"{each.violations.value * 100:.1f}" if is_told else "–",
        _("interval"): spread(each.violations) if is_told else "–",
        _("not normal in 100"): f"{each.not_normal.value * 100:.1f}" if is_told else "–",
        _("its interval"): spread(each.not_normal) if is_told else "–",
    }


def yield_in_words(found: Proof) -> str:
    queue, audit, surplus = found.queue.violations, found.audit.violations, found.surplus
    if surplus is None:
        return ""
    low, high = (f"{bound * 100:.1f}" for bound in surplus.interval)
    facts = _("In 100 decisions the queue finds {queue} violations, chance {audit}.").format(
        queue=f"{queue.value * 100:.1f}", audit=f"{audit.value * 100:.1f}"
    )
    if surplus.interval[0] > 0:
        says = _("That is {low} to {high} more: choosing pays.").format(low=low, high=high)
    elif surplus.interval[1] < 0:
        says = _("That is fewer than chance: choose another order on the Policy page.")
    else:
        says = _("The difference ({low} to {high}) could be chance.").format(low=low, high=high)
    return f"{facts} {says}"


# --- what more labels would bring -----------------------------------------------------------------------------------


def show_curve(found: Proof) -> None:
    st.subheader(_("What more labels would bring"), anchor=False)
    if not found.versions:
        st.write(_("No version has been trained yet; a lead trains one on the Retrain page."))
        return
    if found.in_slice < ENOUGH_JUDGED:
        show_missing_slice(found)
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


def show_missing_slice(found: Proof) -> None:
    said = ngettext(
        "{have} post of the audit slice is judged; it takes {enough} to measure versions by. They come first among the "
        "posts drawn to measure by.",
        "{have} posts of the audit slice are judged; it takes {enough} to measure versions by. They come first among "
        "the posts drawn to measure by.",
        found.in_slice,
    )
    st.write(said.format(have=f"{found.in_slice:,}", enough=ENOUGH_JUDGED))


def outlook_in_words(curve: Curve) -> str:
    """The stopping hint with its reason."""
    if not curve.forecasts:
        return _(
            "What more labels would bring cannot be told yet: it takes versions with {points} different numbers of "
            "labels, the most of them at least {spread} times the least. Retrain as labels come in."
        ).format(points=FEWEST_POINTS, spread=round(LEAST_SPREAD))
    parts = "; ".join(
        _("{figure} {gain} ({low} to {high})").format(
            figure=_(NAMES[name]),
            gain=f"{each.value:+.3f}",
            low=f"{each.interval[0]:+.3f}",
            high=f"{each.interval[1]:+.3f}",
        )
        for name, each in curve.forecasts.items()
    )
    facts = _("{more} labels more would bring about: {parts}.").format(more=MORE, parts=parts)
    return f"{_(OUTLOOKS[curve.outlook]).format(worth=WORTH)} {facts}"


OUTLOOKS = {
    Outlook.go_on: N_("Go on labelling: the model still learns from it."),
    Outlook.may_stop: N_(
        "Labelling for the model may stop: neither figure would rise by {worth}. Go on with the posts drawn to measure "
        "by, to see when the forum changes."
    ),
    Outlook.cannot_tell: N_("Whether more labels are worth it cannot be told yet: the intervals are too wide."),
}


def curve_table(curve: Curve, name: str) -> pd.DataFrame:
    rows = []
    for point in curve.points:
        figure = point.figures.get(name)
        if figure is not None and figure.interval is not None:
            low, high = figure.interval
            rows.append((point.version, point.labels, figure.value, low, high, point.judged))
    return pd.DataFrame(rows, columns=["version", "labels", "value", "low", "high", "judged"])


def point_rows(curve: Curve) -> list[dict[str, object]]:
    rows = []
    for point in curve.points:
        row: dict[str, object] = {_("version"): point.version, _("labels"): point.labels}
        for name in FIGURES:
            figure = point.figures.get(name)
            row[_(NAMES[name])] = "–" if figure is None else f"{figure.value:.3f}"
            interval = None if figure is None else figure.interval
            row[_("interval of {figure}").format(figure=_(NAMES[name]))] = (
                "–"
                if interval is None
                else _("{low} to {high}").format(low=f"{interval[0]:.3f}", high=f"{interval[1]:.3f}")
            )
        rows.append(row | {_("measured on posts"): point.judged, _("violations among them"): point.violations})
    return rows


def curve_caption(found: Proof) -> str:
    said = _(
        "Each point is a version of {base}, measured on the posts of the audit slice judged by now; no version has "
        "learned from them. The forecast carries a power law on; its interval holds what these posts and "
        "chance in training leave open. Recall is shown from {violations} violations on."
    ).format(base=found.base, violations=ENOUGH_VIOLATIONS)
    if found.other_bases:
        others = ngettext(
            "{count} version of another base encoder is left out.",
            "{count} versions of other base encoders are left out.",
            found.other_bases,
        ).format(count=found.other_bases)
        said = f"{said} {others}"
    return said


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
