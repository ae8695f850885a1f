"""What charts of the analyst's room have in common: colours, how they are saved, and what stands behind them."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from core.domain import Label
from core.post_filter import Portion
from core.wording import _
from ui.components import component
from ui.post_filter import portion_in_words
from ui.words import LABEL_COLOURS, label_in_words

# Greys and one accent: colours are for labels. They differ in lightness, for whoever tells no hues apart.
PORTION_COLOURS = {Portion.undecided: "#b9bfc5", Portion.leased: "#7fb2e0", Portion.decided: "#2b5d8a"}
SHAPES = {Label.normal: "circle", Label.suspicious: "triangle-up", Label.violation: "square"}
FEWEST = 20  # posts: a distribution of fewer is no distribution


def label_scale() -> alt.Scale:
    return alt.Scale(domain=[label_in_words(label) for label in LABEL_COLOURS], range=list(LABEL_COLOURS.values()))


def portion_scale() -> alt.Scale:
    return alt.Scale(
        domain=[portion_in_words(portion) for portion in PORTION_COLOURS], range=list(PORTION_COLOURS.values())
    )


def show_chart(chart: Any, name: str, *, table: str | None, key: str, may_be_chosen: bool = True) -> Any:
    """The chart, and below it how to save it: drawn as SVG, so that the browser can hand it out as it is.

    name: of the files. table: the address of the table behind it as CSV; None where it may not be had. Returns what was
    chosen in it, by name of selection.
    """
    drawn = chart.properties(usermeta={"embedOptions": {"renderer": "svg"}})
    event = (
        st.altair_chart(drawn, on_select="rerun", key=key, width="stretch")
        if may_be_chosen
        else st.altair_chart(drawn, key=key, width="stretch")
    )
    words = {"svg": _("Save as SVG"), "png": _("Save as PNG"), "csv": _("Table as CSV")}
    component("save")(key=f"save-{key}", data={"name": name, "table": table, "words": words})
    return event["selection"] if may_be_chosen else {}


def show_table(table: pd.DataFrame, formats: dict[str, Any] | None = None) -> None:
    """The table behind a chart, folded away."""
    with st.expander(_("Table"), icon=":material/table:"):
        st.dataframe(table, hide_index=True, column_config=formats)
