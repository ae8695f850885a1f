"""Distributions: how sure a model version is, and of what."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from core.domain import Label
from core.metrics import Metrics
from core.services import looking, models
from core.wording import _
from ui.page import Page, errors_as_sentences, open_page
from ui.words import LABEL_COLOURS, label_in_full, label_in_words, posts_in_words

PAGE_SIZE = 20
TITLES = {
    "confidence": _("Probability of the most likely label"),
    **{label.name: _("Probability of {label}").format(label=label_in_words(label)) for label in Label},
}


def chart(bars: list[looking.Bar], of: str) -> alt.LayerChart:
    """Posts by bin, stacked by predicted label; a bar can be clicked anywhere in its column."""
    table = pd.DataFrame(
        [
            {
                "bin": b.bin,
                "low": b.low,
                "high": b.high,
                "predicted": label_in_words(b.label),
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
            y=alt.Y("posts:Q", title=_("posts"), stack="zero"),
            order="order:Q",
            color=alt.Color(
                "predicted:N",
                scale=alt.Scale(
                    domain=[label_in_words(label) for label in LABEL_COLOURS], range=list(LABEL_COLOURS.values())
                ),
                legend=alt.Legend(orient="top", title=_("predicted")),
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
            tooltip=[
                alt.Tooltip("between", title=_("between")),
                alt.Tooltip("posts", title=_("posts in this bar"), format=","),
            ],
        )
        .add_params(clicked)
    )
    return (stacked + columns).properties(height=320)


def show_counts(bars: list[looking.Bar]) -> None:
    """How many posts the version takes for what."""
    total = sum(bar.posts for bar in bars)
    for place, label in zip(st.columns(len(Label)), Label, strict=True):
        posts = sum(bar.posts for bar in bars if bar.label is label)
        place.metric(
            _("Predicted {label}").format(label=label_in_full(label)),
            f"{posts:,} · {posts / total:.1%}",
        )


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
    title.subheader(
        _("{posts} between {low} and {high}").format(posts=posts_in_words(total), low=f"{low:.2f}", high=f"{high:.2f}"),
        anchor=False,
    )
    clear.button(_("Clear"), on_click=clear_choice, width="stretch")
    pages = max(1, -(-total // PAGE_SIZE))
    number = st.pagination(pages, key=f"bin-{version}-{of}-{bin_}") if pages > 1 else 1
    found = looking.posts_in_bin(
        page.engine, page.actor, version=version, of=of, bin_=bin_, page=number, page_size=PAGE_SIZE
    )
    for post in found:
        said = " · ".join(
            f"{label_in_words(label)} {value:.3f}" for label, value in zip(Label, post.probabilities, strict=True)
        )
        name = _("post {pid}").format(pid=post.pid or f"#{post.post_id}")
        st.caption(f"{name} · {said}")
        st.text(post.text)


def show_metrics(metrics: Metrics | None) -> None:
    st.subheader(_("On posts kept aside from training"), anchor=False)
    if metrics is None:
        st.write(_("None of the decided posts was kept aside yet. About a fifth of what is decided will be."))
        return
    st.caption(
        _("{judged} judged texts, which stand for {total} posts · accuracy {accuracy} · macro-F1 {macro_f1}").format(
            judged=f"{metrics.judged:,}",
            total=f"{metrics.total:,}",
            accuracy=f"{metrics.accuracy:.3f}",
            macro_f1=f"{metrics.macro_f1:.3f}",
        )
    )
    left, right = st.columns(2)
    labels = [label_in_words(label) for label in Label]
    with left:
        st.caption(_("Confusion matrix: rows are what people decided, columns what the model says"))
        st.dataframe(pd.DataFrame(metrics.confusion, index=labels, columns=labels))
    with right:
        st.caption(_("By class"))
        st.dataframe(
            pd.DataFrame(
                [
                    {_("precision"): c.precision, _("recall"): c.recall, "F1": c.f1, _("posts"): c.support}
                    for c in metrics.per_class
                ],
                index=labels,
            ).style.format({_("precision"): "{:.3f}", _("recall"): "{:.3f}", "F1": "{:.3f}", _("posts"): "{:,}"})
        )


page = open_page(_("Distributions"), _("How sure a model version is, and of what. Click a bar to read its posts."))
with errors_as_sentences():
    rows = models.list_versions(page.engine, page.actor)
    if not rows:
        st.write(_("There is no model version yet, so nothing has been scored. A lead makes one on the Retrain page."))
        st.stop()
    names = [row.version.name for row in rows]
    active = next((i for i, row in enumerate(rows) if row.is_active), 0)
    left, right = st.columns(2)
    version = left.selectbox(_("Version"), names, index=active, key="look-version")
    of = right.selectbox(_("Distribution of"), looking.QUANTITIES, format_func=TITLES.__getitem__, key="look-of")
    covered = looking.coverage(page.engine, page.actor, version=version)
    st.caption(
        _("{scored} of {posts} posts scored by {version}").format(
            scored=f"{covered.scored:,}", posts=f"{covered.posts:,}", version=version
        )
    )
    bars = looking.histogram(page.engine, page.actor, version=version, of=of)
    if not bars:
        st.write(
            _("This version has scored nothing yet. Promote it, or run `tiebreak score --model {version}`.").format(
                version=version
            )
        )
    else:
        show_counts(bars)
        event = st.altair_chart(chart(bars, of), on_select="rerun", key=chart_key(version, of), width="stretch")
        bin_ = clicked_bin(event)
        if bin_ is not None:
            show_posts(page, version, of, bars, bin_)
    show_metrics(models.measure_version(page.engine, page.actor, version))
