"""Charts of the proof: shares and seconds with their intervals, and what versions learned by number of labels."""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.wording import _

ROW, AXIS = 34, 60  # pixels of a line in a chart of intervals, and of what stands under it
CURVE_HEIGHT = 260
INK, QUIET = "#3d5a80", "#9aa5b1"


def interval_chart(table: pd.DataFrame, *, value: str, axis: str, counted: str) -> alt.LayerChart:
    """A line a row, in the table's order: its interval, and the value as a point.

    table: name, value, low, high, count. value: what the number is called. axis: the title under it, with its unit.
    counted: what the count counts.
    """
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=260, ticks=False, domain=False))
    tooltip = [
        alt.Tooltip("name", title=" "),
        alt.Tooltip("value", title=value, format=",.1f"),
        alt.Tooltip("low", title=_("from"), format=",.1f"),
        alt.Tooltip("high", title=_("to"), format=",.1f"),
        alt.Tooltip("count", title=counted, format=","),
    ]
    base = alt.Chart(table, height=ROW * len(table) + AXIS).encode(y=y, tooltip=tooltip)
    scale = alt.Scale(domainMin=0, nice=True)
    x = alt.X("low:Q", title=axis, scale=scale, axis=alt.Axis(tickCount=6))
    spread = base.mark_rule(strokeWidth=3, color=QUIET).encode(x=x, x2="high:Q")
    return spread + base.mark_point(size=90, filled=True, opacity=1, color=INK).encode(x="value:Q")


def curve_chart(table: pd.DataFrame, *, figure: str) -> alt.LayerChart:
    """A version's figure by the labels it learned from, with its interval.

    table: version, labels, value, low, high, judged (how many posts it is measured on).
    """
    x = alt.X("labels:Q", title=_("labels it learned from"), axis=alt.Axis(format=",d", tickCount=6, grid=False))
    tooltip = [
        alt.Tooltip("version", title=_("version")),
        alt.Tooltip("labels", title=_("labels"), format=","),
        alt.Tooltip("value", title=figure, format=".3f"),
        alt.Tooltip("low", title=_("from"), format=".3f"),
        alt.Tooltip("high", title=_("to"), format=".3f"),
        alt.Tooltip("judged", title=_("measured on posts"), format=","),
    ]
    base = alt.Chart(table, height=CURVE_HEIGHT).encode(x=x, tooltip=tooltip)
    scale = alt.Scale(domain=[0, 1])
    spread = base.mark_rule(strokeWidth=3, color=QUIET).encode(y=alt.Y("low:Q", title=figure, scale=scale), y2="high:Q")
    line = base.mark_line(strokeWidth=2, color=INK).encode(y="value:Q")
    return spread + line + base.mark_point(size=70, filled=True, opacity=1, color=INK).encode(y="value:Q")
