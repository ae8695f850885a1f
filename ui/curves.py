"""The curves of a training while it runs, and the figures behind them as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from core.domain import LABEL_NAMES, Label, Run, RunPoint
from core.wording import _
from ui.words import LABEL_COLOURS, label_in_words

HEIGHT, FOR_LEGEND = 220, 40
SHAPES = {Label.normal: "circle", Label.suspicious: "square", Label.violation: "triangle-up"}


def show_curves(run: Run, points: Sequence[RunPoint]) -> None:
    """Loss, macro-F1 and recall by class, each where there is something of it; a sentence where there is not."""
    table = table_of(points)
    if table.empty:
        if run.is_open:
            st.caption(_("The curves begin with the first hundredth of the steps."))
        return
    steps = alt.X(
        "step:Q",
        title=_("step"),
        axis=alt.Axis(format=",d", tickMinStep=1, tickCount=6, grid=False),
        scale=alt.Scale(domain=[0, max(run.total or 0, int(table["step"].max()))]),
    )
    charts = {_("Loss by step"): _line(table, "loss", steps)}
    if table["macro_f1"].notna().any():
        charts[_("Macro-F1 by step, on posts kept aside")] = _line(table, "macro_f1", steps, highest=1.0)
        charts[_("Recall by step, on posts kept aside")] = _recalls(table, steps)
    for place, (title, chart) in zip(st.columns(len(charts)), charts.items(), strict=True):
        place.caption(title)
        place.altair_chart(chart, width="stretch")
    if len(charts) == 1 and run.is_open:
        st.caption(_("Macro-F1 and recall follow after an epoch; a quick training is measured at its end only."))
    with st.expander(_("The figures of these curves")):
        _show_table(table)


def table_of(points: Sequence[RunPoint]) -> pd.DataFrame:
    """A row for each step with step, loss, macro_f1 and a column for each label's recall; gaps are NaN."""
    rows = [(p.step, p.loss, p.macro_f1, *p.recall) for p in points]
    figures = ["loss", "macro_f1", *LABEL_NAMES]
    return pd.DataFrame(rows, columns=["step", *figures]).astype(dict.fromkeys(figures, "float64"))


def _line(table: pd.DataFrame, figure: str, steps: alt.X, *, highest: float | None = None) -> alt.LayerChart:
    """One figure by step, from 0 to the highest, or to what there is."""
    there = table[["step", figure]].dropna()
    scale = alt.Scale(zero=True, nice=True) if highest is None else alt.Scale(domain=[0, highest])
    base = alt.Chart(there, height=HEIGHT).encode(
        x=steps,
        y=alt.Y(f"{figure}:Q", title=None, scale=scale),
        tooltip=[alt.Tooltip("step", title=_("step"), format=","), alt.Tooltip(figure, title=" ", format=".3f")],
    )
    line = base.mark_line(strokeWidth=2)
    return line + base.mark_circle(size=30 if figure == "loss" else 60, opacity=1)


def _recalls(table: pd.DataFrame, steps: alt.X) -> alt.LayerChart:
    """A line for each label, told apart by colour, by shape and by its word."""
    words = {name: label_in_words(label) for label, name in _labels()}
    long = table.melt("step", list(LABEL_NAMES), "label", "recall").dropna()
    long["label"] = long["label"].map(words)
    shown = [label for label in Label if words[label.name] in set(long["label"])]
    names = [words[label.name] for label in shown]
    legend = alt.Legend(orient="top", title=None)
    base = alt.Chart(long, height=HEIGHT + FOR_LEGEND).encode(
        x=steps,
        y=alt.Y("recall:Q", title=None, scale=alt.Scale(domain=[0, 1])),
        color=alt.Color(
            "label:N",
            scale=alt.Scale(domain=names, range=[LABEL_COLOURS[label] for label in shown]),
            legend=legend,
        ),
        tooltip=[
            alt.Tooltip("step", title=_("step"), format=","),
            alt.Tooltip("label", title=_("label")),
            alt.Tooltip("recall", title=_("recall"), format=".3f"),
        ],
    )
    shape = alt.Shape("label:N", scale=alt.Scale(domain=names, range=[SHAPES[label] for label in shown]), legend=legend)
    return base.mark_line(strokeWidth=2) + base.mark_point(size=60, filled=True, opacity=1).encode(shape=shape)


def _show_table(table: pd.DataFrame) -> None:
    names = {name: _("recall: {label}").format(label=label_in_words(label)) for label, name in _labels()}
    shown = table.rename(columns={"step": _("step"), "loss": _("loss"), "macro_f1": "macro-F1", **names})
    shown = shown.dropna(axis="columns", how="all")
    formats: Any = {column: "{:,}" if column == _("step") else "{:.3f}" for column in shown.columns}
    st.dataframe(shown.style.format(formats), hide_index=True, width="content", placeholder="–")


def _labels() -> list[tuple[Label, str]]:
    return list(zip(Label, LABEL_NAMES, strict=True))


def how_in_words(run: Run) -> str:
    """On what a training runs, in which precision, in what batches, and how much each class weighs; "" if unknown."""
    found = run.config.get("found")
    if not isinstance(found, dict) or "precision" not in found:
        return ""
    where = found["device"] if found["devices"] == 1 else f"{found['devices']} × {found['device']}"
    parts = [_("on {device}, precision {precision}").format(device=where, precision=found["precision"])]
    batch, at_once = found["batch_size"], found["at_once"]
    if at_once * found["devices"] < batch:
        said = _("batches of {size}, computed {at_once} at a time because memory is short")
        parts.append(said.format(size=batch, at_once=at_once))
    else:
        parts.append(_("batches of {size}").format(size=batch))
    weights = found["class_weights"]
    each = ", ".join(f"{label_in_words(label)} {weights[name]:.2f}" for label, name in _labels() if name in weights)
    if each:
        parts.append(_("class weights: {weights}").format(weights=each))
    return " · ".join(parts)
