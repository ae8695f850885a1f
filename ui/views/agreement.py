"""Agreement: how well people agree, on posts that two of them judged without knowing of one another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.domain import SecondOpinion
from core.services import agreeing
from core.services.agreeing import AgreementReport, Measured
from core.services.rules import current_policy
from core.wording import _
from ui.page import Page, errors_as_sentences, open_page
from ui.words import label_in_full, posts_in_words

SEED = 20_260_302  # the same posts give the same interval each time the page is drawn
IN_95 = _("95 % interval")
SETS = {SecondOpinion.drawn: _("drawn by chance"), SecondOpinion.audit: _("drawn to measure by")}


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def interval(found: Measured) -> str | None:
    if found.interval is None:
        return None
    low, high = found.interval
    return _("{low} to {high}").format(low=f"{low:.2f}", high=f"{high:.2f}")


def show_alpha(found: AgreementReport) -> None:
    places = st.columns(3)
    places[0].metric(_("Posts judged twice"), f"{found.nominal.posts:,}")
    for place, name, measured, says in (
        (
            places[1],
            _("Alpha, ordinal"),
            found.ordinal,
            _("Normal against violation counts for more than for suspicious."),
        ),
        (places[2], _("Alpha, nominal"), found.nominal, _("Every difference counts the same.")),
    ):
        place.metric(name, number(measured.alpha), interval(measured), delta_color="off", delta_arrow="off", help=says)
    st.caption(
        _(
            "Krippendorff's alpha: 1 is full agreement, 0 what chance would give; from 0.80 on "
            "conclusions are safe, from 0.67 on tentative. Below it: the interval that holds the true "
            "value in 95 of 100 samples, drawn by families of near-copies. What counts is what both said before "
            "either could know of the other; corrections since change nothing."
        )
    )


def show_labels(found: AgreementReport) -> None:
    st.subheader(_("By label"), anchor=False)
    table = pd.DataFrame(
        [
            {
                _("label"): label_in_full(label),
                _("alpha against the others"): number(measured.alpha),
                IN_95: interval(measured) or "–",
            }
            for label, measured in found.by_label.items()
        ]
    )
    st.dataframe(table, hide_index=True, width="content", key="by-label")


def show_pairs(found: AgreementReport) -> None:
    st.subheader(_("By pair"), anchor=False)
    table = pd.DataFrame(
        [
            {
                _("pair"): " + ".join(pair.names),
                _("posts"): pair.measured.posts,
                _("same label"): pair.same / pair.measured.posts,
                _("alpha, ordinal"): number(pair.measured.alpha),
                IN_95: interval(pair.measured) or "–",
            }
            for pair in found.by_pair
        ]
    )
    share = st.column_config.NumberColumn(_("same label"), format="percent")
    st.dataframe(table, hide_index=True, column_config={_("same label"): share}, width="content", key="by-pair")


def show_weeks(found: AgreementReport) -> None:
    st.subheader(_("By week"), anchor=False)
    table = pd.DataFrame(
        [
            {
                _("week from"): monday,
                _("posts"): measured.posts,
                _("alpha, ordinal"): number(measured.alpha),
                IN_95: interval(measured) or "–",
            }
            for monday, measured in reversed(found.by_week)
        ]
    )
    st.dataframe(table, hide_index=True, width="content", key="by-week")


def show_none(page: Page) -> None:
    share = current_policy(page.engine).second_share
    if share == 0:
        st.write(_("Second opinions are switched off; the Policy page switches them on."))
    else:
        st.write(
            _(
                "No post has been judged by two people yet. {share} of what one person decides comes to "
                "another one too, without either knowing; that takes two people who label."
            ).format(share=f"{share:.0%}")
        )


page = open_page(
    _("Agreement"), _("How well people agree, on posts that two of them judged without knowing of one another.")
)
with errors_as_sentences():
    why = st.segmented_control(
        _("Posts"), list(SETS), format_func=SETS.__getitem__, default=SecondOpinion.drawn, required=True
    )
    found = agreeing.agreement(page.engine, page.actor, why=why, rng=np.random.default_rng(SEED))
    if not found.nominal.posts:
        show_none(page)
    else:
        show_alpha(found)
        show_labels(found)
        show_pairs(found)
        show_weeks(found)
        st.caption(
            _(
                "{posts}. Of near-copies of one text two people judge one; those that were decided along with it have "
                "the first opinion only, and come up in Review where the two differ. What a lead settled is no opinion."
            ).format(posts=posts_in_words(found.nominal.posts))
        )
