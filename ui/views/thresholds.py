"""Thresholds: which posts pass by themselves, which are removed, and what that costs, in the forum's own numbers."""

from __future__ import annotations

from urllib.parse import urlencode

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import ThresholdPolicy
from core.evaluation import ENOUGH
from core.permissions import Permission, may
from core.services import thresholding
from core.services.thresholding import LONGEST_NAME, Trial
from core.thresholds import Thresholds, Verdict
from core.wording import _, ngettext
from core.workload import PLACES, FrontierPoint, Share, expected, frontier, nearest
from ui.look_charts import show_chart, show_table
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.pool_columns import open_columns
from ui.versions import versions_to_look_at
from ui.words import posts_in_words

SEED = 29  # the same thresholds give the same intervals each time the page is drawn
FEW_VIOLATIONS = 10  # judged ones: with fewer, how many are missed is hardly known
OFFERED: list[float | None] = [*PLACES, None]
FIRST = {"passes": 0.97, "removes": 0.9}


def in_words(threshold: float | None) -> str:
    return _("none") if threshold is None else f"{threshold:.3f}".removesuffix("0")


def choose(passes: float | None, removes: float | None) -> None:
    st.session_state["passes"], st.session_state["removes"] = nearest(passes), nearest(removes)


def ask_version(page: Page) -> str:
    names, active = versions_to_look_at(page)
    chosen: str = st.selectbox(
        _("Version"), names, index=names.index(active), key="version", bind="query-params", width=300
    )
    return chosen


def ask_thresholds() -> Thresholds:
    """Two sliders, which the page's address remembers."""
    asked = {
        "passes": _("Pass posts whose probability of normal is at least"),
        "removes": _("Remove posts whose probability of a violation is at least"),
    }
    chosen = {
        name: place.select_slider(
            words, OFFERED, value=FIRST[name], format_func=in_words, key=name, bind="query-params"
        )
        for place, (name, words) in zip(st.columns(2), asked.items(), strict=True)
    }
    return Thresholds(chosen["removes"], chosen["passes"])


def show_counts(found: Trial, chosen: Thresholds, a_day: float | None) -> None:
    counted, posts = found.pool.at(chosen), found.pool.posts
    names = {
        Verdict.passes: _("Pass"),
        Verdict.removed: _("Are removed"),
        Verdict.moderators: _("Left for moderators"),
    }
    for place, (verdict, name) in zip(st.columns(3), names.items(), strict=True):
        share = counted[verdict] / posts
        said = None if a_day is None else _("{posts} a day").format(posts=amount(share * a_day))
        place.metric(
            name, f"{share:.1%}", said, delta_color="off", delta_arrow="off", help=posts_in_words(int(counted[verdict]))
        )


def amount(posts: float) -> str:
    """Whole posts, with a decimal where there are few."""
    return f"{posts:,.0f}" if posts >= 10 or posts == round(posts) else f"{posts:.1f}"


def ask_pace(found: Trial) -> float | None:
    """Posts a day: as they came in, or as somebody who knows better says."""
    known = None if found.pace is None else found.pace.a_day
    typed = st.number_input(
        _("Posts a day"), min_value=0.0, value=known, step=1.0, format="%.0f", key=f"a-day-{known}", width=220
    )
    if found.pace is None:
        st.caption(
            _(
                "How many posts come in a day cannot be known from one import, or from imports of one day: what the "
                "first one brought had gathered before. Type it, if you know it."
            )
        )
    else:
        said = ngettext(
            "{posts} came in during the {days} day between the first and the last import; what the first one brought "
            "had gathered before and is not counted.",
            "{posts} came in during the {days} days between the first and the last import; what the first one brought "
            "had gathered before and is not counted.",
            round(found.pace.days),
        )
        st.caption(said.format(posts=posts_in_words(found.pace.posts), days=f"{found.pace.days:,.0f}"))
    return typed or None


# --- what goes wrong --------------------------------------------------------------------------------------------------


def show_too_few(found: Trial) -> None:
    judged = len(found.sample)
    st.info(
        _(
            "What goes wrong by thresholds cannot be told yet: that takes {needed} judged families of the audit slice, "
            "and {judged} are judged and scored by this version. They come up among the cards by themselves; the "
            "Policy page says how often."
        ).format(needed=f"{ENOUGH:,}", judged=f"{judged:,}")
    )


def share_in_words(share: Share) -> str:
    if np.isnan(share.value):
        return "–"
    said = f"{share.value:.2%}"
    return said if share.interval is None else f"{said} ({share.interval[0]:.2%} – {share.interval[1]:.2%})"


def a_day_in_words(share: Share, a_day: float | None) -> str:
    if a_day is None:
        return "–"
    said = amount(share.value * a_day)
    if share.interval is None:
        return said
    return f"{said} ({amount(share.interval[0] * a_day)} – {amount(share.interval[1] * a_day)})"


def show_errors(found: Trial, chosen: Thresholds, a_day: float | None) -> None:
    st.subheader(_("What is expected to go wrong"), anchor=False)
    told = expected(found.sample, chosen, rng=np.random.default_rng(SEED))
    table = pd.DataFrame(
        [
            {
                _("error"): name,
                _("of all posts"): share_in_words(of_all),
                _("a day"): a_day_in_words(of_all, a_day),
                _("in other words"): words.format(share=share_in_words(of_these)),
            }
            for name, of_all, of_these, words in (
                (_("violations that pass"), told.missed, told.missed_of_violations, _("{share} of the violations")),
                (_("posts removed wrongly"), told.wrong, told.wrong_of_removed, _("{share} of what is removed")),
            )
        ]
    )
    st.dataframe(table, hide_index=True, key="errors")
    st.caption(
        _(
            "Estimated on {judged} judged families of the audit slice, drawn by chance, {violations} of them "
            "violations; each counts as often as it has posts, and has no part in the correction that it is tried "
            "with. Brackets: 95 % intervals. Removed wrongly is all that is no violation, suspicious posts too."
        ).format(judged=f"{len(found.sample):,}", violations=f"{found.sample.violations:,}")
    )
    if found.sample.violations < FEW_VIOLATIONS:
        st.warning(
            _(
                "So few violations are among them that it is hardly known how many would be missed. "
                "Judge more of the slice."
            )
        )


def show_frontier(found: Trial, chosen: Thresholds) -> None:
    st.subheader(_("The frontier"), anchor=False)
    points = frontier(found.pool, found.sample)
    table = pd.DataFrame([row_of(point) for point in points])
    told = expected(found.sample, chosen, rng=np.random.default_rng(SEED))
    here = FrontierPoint(
        chosen, found.pool.at(chosen)[Verdict.moderators] / found.pool.posts, told.missed.value, told.wrong.value
    )
    x = alt.X("left:Q", title=_("posts left for moderators"), axis=alt.Axis(format="%"))
    y = alt.Y("errors:Q", title=_("errors, of all posts"), axis=alt.Axis(format=".1%"))
    tooltip = [
        alt.Tooltip("left:Q", title=_("posts left for moderators"), format=".1%"),
        alt.Tooltip("missed:Q", title=_("violations that pass"), format=".2%"),
        alt.Tooltip("wrong:Q", title=_("posts removed wrongly"), format=".2%"),
        alt.Tooltip("passes:N", title=_("pass from")),
        alt.Tooltip("removes:N", title=_("remove from")),
    ]
    line = alt.Chart(table).mark_line(interpolate="step-after", point=True).encode(x=x, y=y, tooltip=tooltip)
    now = alt.Chart(pd.DataFrame([row_of(here)])).mark_point(size=160, shape="diamond", filled=True, color="#c9483b")
    show_chart(
        (line + now.encode(x=x, y=y, tooltip=tooltip)).properties(height=280),
        f"{found.version}-frontier",
        table=f"/api/look/frontier.csv?{urlencode({'version': found.version})}",
        key="frontier-chart",
        may_be_chosen=False,
    )
    st.caption(
        _(
            "Each dot is a pair of thresholds that no other beats in both: fewer posts left and fewer errors, a missed "
            "violation counting as much as a post removed wrongly. The diamond is what the sliders say."
        )
    )
    words = {
        "left": _("posts left for moderators"),
        "errors": _("errors, of all posts"),
        "missed": _("violations that pass"),
        "wrong": _("posts removed wrongly"),
    }
    shares: dict[str, object] = {
        name: st.column_config.NumberColumn(said, format="percent") for name, said in words.items()
    }
    show_table(table, shares | {"passes": _("pass from"), "removes": _("remove from")})


def row_of(point: FrontierPoint) -> dict[str, object]:
    return {
        "left": point.left,
        "errors": point.missed + point.wrong,
        "missed": point.missed,
        "wrong": point.wrong,
        "passes": in_words(point.thresholds.passes),
        "removes": in_words(point.thresholds.removes),
    }


# --- under a name -----------------------------------------------------------------------------------------------------


def save(version: str) -> None:
    page = current_page()
    with errors_as_sentences():
        name = str(st.session_state.get("policy-name", ""))
        chosen = Thresholds(st.session_state["removes"], st.session_state["passes"])
        thresholding.save_policy(page.engine, page.actor, name, chosen, version=version, now=utc_now())
        st.session_state["policy-name"] = ""
        st.toast(_("Saved. `tiebreak export decisions --policy` and the Exports page know it."))


def show_saved(page: Page, version: str) -> None:
    st.subheader(_("Saved under a name"), anchor=False)
    if may(page.actor, Permission.save_thresholds):
        left, right, _rest = st.columns([3, 2, 4], vertical_alignment="bottom")
        name = left.text_input(_("Name of the thresholds"), key="policy-name", max_chars=LONGEST_NAME)
        right.button(
            _("Save these thresholds"), type="primary", on_click=save, args=(version,), disabled=not name.strip()
        )
    saved = thresholding.list_policies(page.engine, page.actor)
    if not saved:
        st.caption(_("None yet. A name lets the thresholds be exported, and tried on another version."))
        return
    newest = {policy.name: policy for policy in reversed(saved)}
    st.dataframe(
        pd.DataFrame([saved_row(policy, newest) for policy in saved]),
        hide_index=True,
        column_config={_("saved (UTC)"): st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
        key="saved",
    )
    left, right, _rest = st.columns([3, 2, 4], vertical_alignment="bottom")
    chosen = left.selectbox(_("Try on {version}").format(version=version), list(newest), key="policy-to-try")
    policy = newest[chosen]
    right.button(_("Set the sliders to it"), on_click=choose, args=(policy.passes, policy.removes))


def saved_row(policy: ThresholdPolicy, newest: dict[str, ThresholdPolicy]) -> dict[str, object]:
    is_replaced = newest[policy.name].id != policy.id
    return {
        _("name"): _("{name} (replaced)").format(name=policy.name) if is_replaced else policy.name,
        _("pass from"): in_words(policy.passes),
        _("remove from"): in_words(policy.removes),
        _("chosen on"): policy.version,
        _("by"): policy.saved_by,
        _("saved (UTC)"): policy.saved_at,
    }


@st.fragment
def show_trial(found: Trial) -> None:
    """What the sliders say. Moving them draws this part anew, and not what it takes to know the pool."""
    with errors_as_sentences():
        chosen = ask_thresholds()
        figures = st.container()
        a_day = ask_pace(found)
        with figures:
            show_counts(found, chosen, a_day)
        if found.is_enough:
            show_errors(found, chosen, a_day)
            show_frontier(found, chosen)
        else:
            show_too_few(found)
        show_saved(current_page(), found.version)


page = open_page(
    _("Thresholds"), _("Which posts pass by themselves, which are removed, and how many are left for moderators.")
)
with errors_as_sentences():
    version = ask_version(page)
    columns = open_columns(page, version=version)
    found = thresholding.trial(page.engine, page.actor, columns, version=version)
    if found.pool.posts:
        show_trial(found)
    else:
        st.write(
            _("This version has scored nothing yet. Promote it, or run `tiebreak score --model {version}`.").format(
                version=version
            )
        )
