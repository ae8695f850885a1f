"""Team's work: everybody's figures, how long the queue lasts, and what to look at with whom."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import Label, SkipKind
from core.prevalence import ENOUGH_DRAWN, Share
from core.services import leaning, team
from core.services.leaning import Lean, LeaningReport
from core.services.team import Forecast, PersonFigures, TeamReport
from core.wording import _, ngettext
from db.figures import Agreement
from ui.page import errors_as_sentences, open_page
from ui.words import label_in_words, plain

WEEK = 7
SEED = 37  # the same decisions give the same intervals each time the page is drawn


def here() -> tzinfo:
    """The time zone of the browser."""
    try:
        return ZoneInfo(str(st.context.timezone))
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def forecast_in_words(found: Forecast, weekdays: list[str]) -> str:
    """What can be said of the end of the queue, and from what."""
    if not found.left:
        return _("The queue is empty.")
    if found.days == 0:
        return _("When it will be empty cannot be told yet: no whole day of work is behind the team.")
    if not found.judged:
        none = ngettext(
            "Nobody judged a post yesterday, so that it cannot be told when it will be empty.",
            "Nobody judged a post in the {days} days before today, so that it cannot be told when it will be empty.",
            found.days,
        )
        return none.format(days=found.days)
    pace = f"{found.judged / found.days:,.0f}" if found.judged >= found.days else f"{found.judged / found.days:.1f}"
    if found.empty_on is None:
        return _("At the pace of the last days ({pace} posts a day) it lasts longer than ten years.").format(pace=pace)
    said = ngettext(
        "At the pace of the last whole day ({pace} posts a day) it is empty on {weekday}, {day}, if nothing comes in.",
        "At the pace of the last {days} whole days, days off among them ({pace} posts a day), it is empty on "
        "{weekday}, {day}, if nothing comes in.",
        found.days,
    )
    weekday = weekdays[found.empty_on.weekday()]
    return said.format(days=found.days, pace=pace, weekday=weekday, day=found.empty_on.isoformat())


def weekday_names() -> list[str]:
    return [
        _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"),
    ]  # fmt: skip


def show_totals(found: TeamReport) -> None:
    today, week = found.by_day[-1][1], sum(count for _day, count in found.by_day[-WEEK:])
    places = st.columns(4)
    places[0].metric(_("Today"), f"{today:,}")
    places[1].metric(_("Last 7 days"), f"{week:,}", help=_("Today among them; near-copies decided along not counted."))
    places[2].metric(_("In the queue"), f"{found.forecast.left:,}")
    checks = [each.checks for each in found.people]
    places[3].metric(_("As on check posts"), share_of(checks), help=counts_of(checks))
    st.write(plain(forecast_in_words(found.forecast, weekday_names())))


def share_of(agreements: list[Agreement]) -> str:
    compared = sum(each.compared for each in agreements)
    return f"{sum(each.same for each in agreements) / compared:.0%}" if compared else "–"


def counts_of(agreements: list[Agreement]) -> str:
    same, compared = sum(each.same for each in agreements), sum(each.compared for each in agreements)
    return _("{same} of {compared} alike").format(same=f"{same:,}", compared=f"{compared:,}")


def show_days(found: TeamReport) -> None:
    table = pd.DataFrame(
        [
            {"day": day.isoformat(), "name": each.name, "decisions": each.by_day[at]}
            for at, day in enumerate(found.days)
            for each in found.people
            if any(each.by_day)
        ]
    )
    if table.empty:
        return
    bars = (
        alt.Chart(table, height=160)
        .mark_bar(color="#6b7a90", stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("monthdate(day):O", title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("sum(decisions):Q", title=None, axis=alt.Axis(tickMinStep=1)),
            detail="name:N",
            tooltip=["name:N", "day:N", alt.Tooltip("decisions:Q", format=",")],
        )
    )
    st.altair_chart(bars, width="stretch")


def ratio(found: Agreement) -> str:
    """`94 % of 120`."""
    return "–" if found.share is None else _("{share} of {count}").format(
        share=f"{found.share:.0%}", count=f"{found.compared:,}"
    )  # fmt: skip


def row_of(each: PersonFigures) -> dict[str, object]:
    return {
        _("name"): each.name + (_(" (disabled)") if each.is_disabled else ""),
        _("today"): each.today,
        _("7 days"): sum(each.by_day[-WEEK:]),
        _("14 days"): list(each.by_day),
        _("in all"): each.in_all,
        _("seconds"): each.pace.median_s,
        _("under 1 s"): f"{each.pace.fast:,} / {each.pace.timed:,}" if each.pace.timed else "–",
        _("check posts alike"): ratio(each.checks),
        _("others alike"): ratio(each.agreement),
        _("flags"): each.flags,
        _("later"): each.skips[SkipKind.later],
        _("to others"): each.skips[SkipKind.not_me],
        _("cannot judge"): each.skips[SkipKind.cannot_judge],
        _("last decision (UTC)"): each.last_at,
    }


def show_people(found: TeamReport) -> None:
    st.dataframe(
        pd.DataFrame([row_of(each) for each in found.people]),
        hide_index=True,
        column_config={
            _("14 days"): st.column_config.BarChartColumn(width="small", y_min=0),
            _("seconds"): st.column_config.NumberColumn(
                format="%.1f", help=_("The median of the last 500 decisions on a card, from the card to the key.")
            ),
            _("under 1 s"): st.column_config.TextColumn(
                help=_("Of the last 500 decisions on a card: less than a second after the card was on the screen.")
            ),
            _("check posts alike"): st.column_config.TextColumn(help=_("Of the check posts that they answered.")),
            _("others alike"): st.column_config.TextColumn(
                help=_("Of the judgements by other people and files of what they judged.")
            ),
            _("last decision (UTC)"): st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
        key="team",
    )


def show_hasty(found: TeamReport) -> None:
    """Names of those whose decisions are often too fast to have been read."""
    hasty = [each for each in found.people if each.pace.is_hasty]
    if hasty:
        names = ", ".join(f"{each.name} ({each.pace.fast:,} / {each.pace.timed:,})" for each in hasty)
        said = _("A tenth or more of the latest decisions took less than a second: {names}. Worth a friendly word.")
        st.warning(plain(said.format(names=names)), icon=":material/hourglass_bottom:")


def share_in_words(share: Share, lean: Lean | None = None) -> str:
    """`12 % (8 – 17 %) ▲`."""
    if not share.is_enough or share.interval is None:
        return _("too few")
    low, high = share.interval
    said = f"{share.value:.0%} ({low:.0%} – {high:.0%})"
    return said + {Lean.more: " ▲", Lean.less: " ▼"}.get(lean or Lean.alike, "")


def show_leanings(found: LeaningReport) -> None:
    st.subheader(_("Labels on posts that chance drew"), anchor=False)
    if not found.posts:
        st.write(
            _("Nobody has judged a post that chance drew yet. The Policy page says how many of the cards are such.")
        )
        return
    rows = [
        {_("name"): each.name, _("posts"): each.posts}
        | {label_in_words(label): share_in_words(each.shares[label], each.leans[label]) for label in Label}
        for each in found.people
    ]
    whole = {label_in_words(label): share_in_words(found.everybody[label]) for label in Label}
    rows.append({_("name"): _("everybody"), _("posts"): found.posts} | whole)
    columns = {_("posts"): st.column_config.NumberColumn(format="localized")}
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns, width="content", key="leanings")
    st.caption(
        _(
            "Chance deals to everybody alike: who gives a label more often (▲) or less often (▼) than the others, "
            "beyond chance, judges otherwise. Who is right, check posts and Review say. Brackets: 95 % intervals. "
            "From {fewest} posts of a person and of the others on; of twenty figures about one stands out by chance "
            "alone."
        ).format(fewest=ENOUGH_DRAWN)
    )


page = open_page(
    _("Team's work"), _("Who decided how much, how fast, and how well; and how long the queue lasts at this pace.")
)
with errors_as_sentences():
    found = team.team_report(page.engine, page.actor, now=utc_now(), zone=here())
    show_totals(found)
    if not found.people:
        st.write(_("Nobody labels yet; the Users page invites moderators."))
    else:
        show_hasty(found)
        show_days(found)
        show_people(found)
        show_leanings(leaning.leanings(page.engine, page.actor, rng=np.random.default_rng(SEED)))
        st.link_button(_("Download as TSV"), "/api/team.tsv", icon=":material/download:")
