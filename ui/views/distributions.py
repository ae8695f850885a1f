"""Distributions: how sure a model version is, and of what."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from core.domain import LABEL_NAMES, Label
from core.metrics import Metrics
from core.services import looking, models
from ui.page import Page, errors_as_sentences, open_page

COLOURS = {"normal": "#2e7d4f", "suspicious": "#c98a00", "violation": "#b3261e"}
PAGE_SIZE = 20
TITLES = {
    "confidence": "Probability of the most likely label",
    **{name: f"Probability of {name}" for name in LABEL_NAMES},
}


def chart(bars: list[looking.Bar], of: str) -> alt.LayerChart:
    """Posts by bin, stacked by predicted label; a bar can be clicked anywhere in its column."""
    table = pd.DataFrame(
        [
            {
                "bin": b.bin,
                "low": b.low,
                "high": b.high,
                "predicted": b.label.name,
                "order": int(b.label),
                "posts": b.posts,
            }
            for b in bars
        ]
    )
    totals = table.groupby(["bin", "low", "high"], as_index=False)["posts"].sum()
    totals["top"] = totals["posts"].max()
    for shown in (table, totals):
        shown["between"] = [f"{low:.2f} – {high:.2f}" for low, high in zip(shown["low"], shown["high"], strict=True)]
    x = alt.X("low:Q", title=TITLES[of], scale=alt.Scale(domain=[0, 1]), bin="binned")
    stacked = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=x,
            x2="high:Q",
            y=alt.Y("posts:Q", title="posts", stack="zero"),
            order="order:Q",
            color=alt.Color(
                "predicted:N",
                scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
                legend=alt.Legend(orient="top", title="predicted"),
            ),
        )
    )
    clicked = alt.selection_point(name="bar", fields=["bin"], toggle=False)
    # Low bars are hard to hit: a transparent column over the whole height takes the click, and marks what was chosen.
    columns = (
        alt.Chart(totals)
        .mark_bar(color="#888888")
        .encode(
            x=x,
            x2="high:Q",
            y="top:Q",
            opacity=alt.condition(clicked, alt.value(0.3), alt.value(0.001), empty=False),
            tooltip=[alt.Tooltip("between"), alt.Tooltip("posts", title="posts in this bar", format=",")],
        )
        .add_params(clicked)
    )
    return (stacked + columns).properties(height=320)


def show_counts(bars: list[looking.Bar]) -> None:
    """How many posts the version takes for what."""
    total = sum(bar.posts for bar in bars)
    for place, label in zip(st.columns(len(Label)), Label, strict=True):
        posts = sum(bar.posts for bar in bars if bar.label is label)
        place.metric(f"Predicted {label.name} {label.chinese}", f"{posts:,} · {posts / total:.1%}")


def clicked_bin(event: object) -> int | None:
    selected = event["selection"].get("bar", []) if event else []  # type: ignore[index]
    return int(selected[0]["bin"]) if selected else None


def chart_key(version: str, of: str) -> str:
    """Of the chart, which keeps what was clicked for as long as its key stays the same."""
    return f"chart-{version}-{of}-{st.session_state.get('look-cleared', 0)}"


def clear_choice() -> None:
    st.session_state["look-cleared"] = st.session_state.get("look-cleared", 0) + 1


def show_posts(page: Page, version: str, of: str, bars: list[looking.Bar], bin_: int) -> None:
    total = sum(bar.posts for bar in bars if bar.bin == bin_)
    low, high = bin_ / looking.BINS, (bin_ + 1) / looking.BINS
    title, clear = st.columns([5, 1], vertical_alignment="center")
    title.subheader(f"{total:,} {'post' if total == 1 else 'posts'} between {low:.2f} and {high:.2f}", anchor=False)
    clear.button("Clear", on_click=clear_choice, width="stretch")
    pages = max(1, -(-total // PAGE_SIZE))
    number = st.pagination(pages, key=f"bin-{version}-{of}-{bin_}") if pages > 1 else 1
    found = looking.posts_in_bin(
        page.engine, page.actor, version=version, of=of, bin_=bin_, page=number, page_size=PAGE_SIZE
    )
    for post in found:
        said = " · ".join(f"{name} {value:.3f}" for name, value in zip(LABEL_NAMES, post.probabilities, strict=True))
        st.caption(f"{f'post {post.pid}' if post.pid else f'post #{post.post_id}'} · {said}")
        st.text(post.text)


def show_metrics(metrics: Metrics | None) -> None:
    st.subheader("On posts kept aside from training", anchor=False)
    if metrics is None:
        st.write("None of the decided posts was kept aside yet. About a fifth of what is decided will be.")
        return
    st.caption(
        f"{metrics.judged:,} judged texts, which stand for {metrics.total:,} posts · "
        f"accuracy {metrics.accuracy:.3f} · macro-F1 {metrics.macro_f1:.3f}"
    )
    left, right = st.columns(2)
    with left:
        st.caption("Confusion matrix: rows are what people decided, columns what the model says")
        st.dataframe(pd.DataFrame(metrics.confusion, index=LABEL_NAMES, columns=LABEL_NAMES))
    with right:
        st.caption("By class")
        st.dataframe(
            pd.DataFrame(
                [
                    {"precision": c.precision, "recall": c.recall, "F1": c.f1, "posts": c.support}
                    for c in metrics.per_class
                ],
                index=LABEL_NAMES,
            ).style.format({"precision": "{:.3f}", "recall": "{:.3f}", "F1": "{:.3f}", "posts": "{:,}"})
        )


page = open_page("Distributions", "How sure a model version is, and of what. Click a bar to read its posts.")
with errors_as_sentences():
    rows = models.list_versions(page.engine, page.actor)
    if not rows:
        st.write("There is no model version yet, so nothing has been scored. A lead makes one on the Retrain page.")
        st.stop()
    names = [row.version.name for row in rows]
    active = next((i for i, row in enumerate(rows) if row.is_active), 0)
    left, right = st.columns(2)
    version = left.selectbox("Version", names, index=active, key="look-version")
    of = right.selectbox("Distribution of", looking.QUANTITIES, format_func=TITLES.__getitem__, key="look-of")
    covered = looking.coverage(page.engine, page.actor, version=version)
    st.caption(f"{covered.scored:,} of {covered.posts:,} posts scored by {version}")
    bars = looking.histogram(page.engine, page.actor, version=version, of=of)
    if not bars:
        st.write("This version has scored nothing yet. Promote it, or run `tiebreak score --model " + version + "`.")
    else:
        show_counts(bars)
        event = st.altair_chart(chart(bars, of), on_select="rerun", key=chart_key(version, of), width="stretch")
        bin_ = clicked_bin(event)
        if bin_ is not None:
            show_posts(page, version, of, bars, bin_)
    show_metrics(models.measure_version(page.engine, page.actor, version))
