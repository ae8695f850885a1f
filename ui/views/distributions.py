"""Distributions: how sure a model version is, and of what; from each part of a chart to its posts."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.distributions import ACROSS, BINS, UP, BinPart, CellPart, Part, Quantity, part_said
from core.domain import Label
from core.permissions import Permission, may
from core.post_filter import Portion, PostFilter
from core.services import looking
from core.services.columns import Columns
from core.services.looking import Look, Order, middle_of_cell
from core.wording import N_, _
from ui.look_charts import FEWEST, SHAPES, label_scale, portion_scale, show_chart, show_table
from ui.look_lists import ORDERS, PAGE_SIZE, ask_page, order_in_words, show_posts
from ui.page import Page, errors_as_sentences, open_page
from ui.pool_columns import open_columns
from ui.post_filter import AddressParts, ask_filter, export_address, portion_in_words
from ui.quantities import quantity_in_words
from ui.versions import versions_to_look_at
from ui.words import label_in_full, label_in_words, posts_in_words

BY_LABEL, BY_PORTION = "label", "portion"
STACKS = {BY_LABEL: N_("predicted label"), BY_PORTION: N_("what became of them")}
OWN = AddressParts(("version", "of", "by", "scale"))
CLEARED = "look-cleared"
LOWEST = 0.8  # of a logarithmic scale of posts: a bar of one can be seen


def exported(page: Page, name: str, narrowed: PostFilter, **own: str) -> str | None:
    """Where the table of the view can be had, for whoever may have it."""
    address = export_address(f"/api/look/{name}.csv", narrowed, **own)
    return address if may(page.actor, Permission.export) else None


# --- bars -------------------------------------------------------------------------------------------------------------


def bars_of(found: Look, by: str) -> pd.DataFrame:
    """A row for each bin and label (or portion) that has posts."""
    counts = found.counts.sum(axis=2 if by == BY_LABEL else 1)
    edges = found.of.edges()
    names = (
        [label_in_words(label) for label in Label] if by == BY_LABEL else [portion_in_words(each) for each in Portion]
    )
    rows = [
        {
            "bin": bin_,
            "low": edges[bin_],
            "high": edges[bin_ + 1],
            "middle": (edges[bin_] + edges[bin_ + 1]) / 2,
            "part": names[place],
            "order": place,
            "posts": int(count),
        }
        for (bin_, place), count in np.ndenumerate(counts)
        if count
    ]
    return pd.DataFrame(rows)


def log_axis(totals: pd.DataFrame) -> alt.Axis:
    """Powers of ten alone."""
    powers = range(len(str(int(totals["posts"].max()))))
    return alt.Axis(values=[10**power for power in powers], format=",")


def bars_chart(table: pd.DataFrame, of: Quantity, by: str, *, is_log: bool) -> alt.LayerChart:
    """Posts by bin; a bar can be clicked anywhere in its column.

    On a logarithmic scale each class has its own line: heights of stacked bars would not add up there.
    """
    totals = table.pivot_table(
        index=["bin", "low", "high"], columns="part", values="posts", aggfunc="sum", fill_value=0
    )
    parts = list(totals.columns)
    totals["posts"] = totals.sum(axis=1)
    totals = totals.reset_index()
    totals["between"] = [f"{low:.3f} – {high:.3f}" for low, high in zip(totals["low"], totals["high"], strict=True)]
    totals["top"] = totals["posts"].max()
    scale = label_scale() if by == BY_LABEL else portion_scale()
    colour = alt.Color("part:N", scale=scale, legend=alt.Legend(orient="top", title=_(STACKS[by])))
    x = alt.X("low:Q", title=quantity_in_words(of), scale=alt.Scale(domain=[0, of.most], nice=False), bin="binned")
    if is_log:
        y = alt.Y(
            "posts:Q",
            title=_("posts (logarithmic)"),
            scale=alt.Scale(type="log", domainMin=LOWEST),
            axis=log_axis(totals),
        )
        shape = alt.Shape(
            "part:N",
            scale=alt.Scale(domain=scale.domain, range=list(SHAPES.values())),
            legend=None,
        )
        line = alt.Chart(table).encode(x=alt.X("middle:Q", title=quantity_in_words(of)), y=y, color=colour)
        drawn = line.mark_line(opacity=0.6) + line.mark_point(filled=True, size=36).encode(shape=shape)
    else:
        drawn = (
            alt.Chart(table)
            .mark_bar()
            .encode(x=x, x2="high:Q", y=alt.Y("posts:Q", title=_("posts"), stack="zero"), order="order:Q", color=colour)
        )
    clicked = alt.selection_point(name="bar", fields=["bin"], toggle=False)
    # Low bars are hard to hit: a transparent column over the whole height takes the click, and marks what was chosen.
    columns = (
        alt.Chart(totals)
        .mark_bar(color="#888888")
        .encode(
            x=x,
            x2="high:Q",
            y=alt.Y("top:Q"),
            y2=alt.datum(LOWEST if is_log else 0),
            opacity=alt.condition(clicked, alt.value(0.3), alt.value(0.001), empty=False),
            tooltip=[
                alt.Tooltip("between", title=_("between")),
                alt.Tooltip("posts", title=_("posts in this bar"), format=","),
                *(alt.Tooltip(f"{part}:Q", title=part, format=",") for part in parts),
            ],
        )
        .add_params(clicked)
    )
    return (drawn + columns).properties(height=320)


def show_bars(page: Page, columns: Columns, found: Look, narrowed: PostFilter, own: dict[str, str]) -> None:
    by, is_log = own["by"], own["scale"] == "log"
    table = bars_of(found, by)
    name = f"{own['version']}-{found.of}"
    chosen = show_chart(
        bars_chart(table, found.of, by, is_log=is_log),
        name,
        table=exported(page, "distribution", narrowed, version=own["version"], of=own["of"]),
        key=f"bars-{name}-{by}-{is_log}-{cleared()}",
    ).get("bar", [])
    shown = table[["low", "high", "part", "posts"]]
    show_table(shown.rename(columns={"low": _("from"), "high": _("to"), "part": _(STACKS[by]), "posts": _("posts")}))
    if chosen:
        bin_ = int(chosen[0]["bin"])
        edges = found.of.edges()
        said = _("{title} between {low} and {high}").format(
            title=quantity_in_words(found.of), low=f"{edges[bin_]:.3f}", high=f"{edges[bin_ + 1]:.3f}"
        )
        show_behind(page, columns, BinPart(found.of, bin_, bin_), said, narrowed, own)


# --- the triangle -----------------------------------------------------------------------------------------------------


def cells_of(found: Look) -> pd.DataFrame:
    rows = []
    for across, up in np.argwhere(found.cells).tolist():
        normal, suspicious, violation = middle_of_cell(across, up)
        rows.append(
            {
                "across": across,
                "up": up,
                "left": across / ACROSS,
                "right": (across + 1) / ACROSS,
                "bottom": up / UP,
                "top": (up + 1) / UP,
                "x": (across + 0.5) / ACROSS,
                "y": (up + 0.5) / UP,
                Label.normal.name: normal,
                Label.suspicious.name: suspicious,
                Label.violation.name: violation,
                "posts": int(found.cells[across, up]),
            }
        )
    return pd.DataFrame(rows)


def triangle_chart(table: pd.DataFrame) -> alt.LayerChart:
    """Posts by their three probabilities; a cell can be clicked, and a rectangle drawn over several."""
    edge = pd.DataFrame({"x": [0, 1, 0.5, 0], "y": [0, 0, 1, 0], "order": range(4)})
    corners = pd.DataFrame(
        {
            "x": [0, 1, 0.5],
            "y": [0, 0, 1],
            "named": [label_in_full(label) for label in Label],
        }
    )
    across = alt.Scale(domain=[-0.12, 1.12], nice=False, zero=False)
    upward = alt.Scale(domain=[-0.1, 1.1], nice=False, zero=False)
    cell = alt.selection_point(name="cell", fields=["across", "up"], toggle=False)
    brush = alt.selection_interval(name="brush", encodings=["x", "y"])
    cells = (
        alt.Chart(table)
        .mark_rect(stroke="#ffffff", strokeWidth=0.3)
        .encode(
            x=alt.X("left:Q", scale=across, axis=None),
            x2="right:Q",
            y=alt.Y("bottom:Q", scale=upward, axis=None),
            y2="top:Q",
            color=alt.Color(
                "posts:Q",
                scale=alt.Scale(type="log", scheme="viridis", reverse=True),
                legend=alt.Legend(title=_("posts (logarithmic)"), orient="top", gradientLength=220, format="~s"),
            ),
            opacity=alt.condition(cell & brush, alt.value(1), alt.value(0.35), empty=True),
            tooltip=[
                alt.Tooltip("posts:Q", title=_("posts"), format=","),
                *(alt.Tooltip(f"{label.name}:Q", title=label_in_words(label), format=".2f") for label in Label),
            ],
        )
        .add_params(cell, brush)
    )
    outline = alt.Chart(edge).mark_line(color="#8a9299", strokeWidth=1).encode(x="x:Q", y="y:Q", order="order:Q")
    named = alt.Chart(corners).encode(x="x:Q", y="y:Q", text="named:N")
    below = named.transform_filter("datum.y == 0").mark_text(dy=14, color="#6b737a", fontSize=13)
    above = named.transform_filter("datum.y == 1").mark_text(dy=-12, color="#6b737a", fontSize=13)
    return (cells + outline + below + above).properties(height=500)


def show_triangle(page: Page, columns: Columns, found: Look, narrowed: PostFilter, own: dict[str, str]) -> None:
    st.subheader(_("The three probabilities together"), anchor=False)
    st.caption(
        _("Each corner is a post that the model is sure of. Click a cell, or draw over several, to read their posts.")
    )
    table = cells_of(found)
    left, _right = st.columns([3, 2])  # so that it is about as wide as high
    with left:
        selection = show_chart(
            triangle_chart(table),
            f"{own['version']}-triangle",
            table=exported(page, "triangle", narrowed, version=own["version"]),
            key=f"triangle-{own['version']}-{cleared()}",
        )
    named = {label.name: label_in_words(label) for label in Label}
    show_table(table[[*named, "posts"]].rename(columns={**named, "posts": _("posts")}))
    part = chosen_cells(selection)
    if part is not None:
        show_behind(page, columns, part, _("In the part of the triangle that is marked"), narrowed, own)


def chosen_cells(selection: dict) -> CellPart | None:  # type: ignore[type-arg]
    """What is marked: the rectangle, else the cell that was clicked."""
    brush = selection.get("brush") or {}
    sides = [sorted(map(float, brush[name])) for name in ("left", "bottom") if name in brush]
    if len(sides) == 2:
        (left, right), (bottom, top) = sides
        return CellPart(
            max(0, int(left * ACROSS)), min(ACROSS - 1, int(right * ACROSS)),
            max(0, int(bottom * UP)), min(UP - 1, int(top * UP)),
        )  # fmt: skip
    if clicked := selection.get("cell"):
        across, up = int(clicked[0]["across"]), int(clicked[0]["up"])
        return CellPart(across, across, up, up)
    return None


# --- posts ------------------------------------------------------------------------------------------------------------


def cleared() -> int:
    """Part of a chart's key: another one forgets what was clicked."""
    return int(st.session_state.get(CLEARED, 0))


def clear_choice() -> None:
    st.session_state[CLEARED] = cleared() + 1


def show_behind(
    page: Page, columns: Columns, part: Part, title: str, narrowed: PostFilter, own: dict[str, str]
) -> None:
    key = f"behind-{type(part).__name__}"
    heading, order_place, clear = st.columns([6, 3, 2], vertical_alignment="bottom")
    order = order_place.selectbox(_("Order"), list(ORDERS), format_func=order_in_words, key=f"{key}-order")
    clear.button(_("Clear"), on_click=clear_choice, width="stretch", key=f"{key}-clear")
    listed = st.container()
    said = part_said(part)
    number = int(st.session_state.get(f"{key}-{said}-page") or 1)
    total, found = looking.posts_behind(
        page.engine, page.actor, columns, part=part, post_filter=narrowed, page=number, page_size=PAGE_SIZE,
        order=order or Order.unsure,
    )  # fmt: skip
    heading.subheader(f"{title}: {posts_in_words(total)}", anchor=False)
    ask_page(total, f"{key}-{said}")
    with listed:
        if found:
            export = export_address("/api/look/posts.csv", narrowed, version=own["version"], part=said)
            show_posts(page, found, key=key, export=export)


def show_counts(found: Look) -> None:
    """How many posts the version takes for what."""
    for place, label in zip(st.columns(len(Label)), Label, strict=True):
        posts = int(found.counts[:, label].sum())
        place.metric(
            _("Predicted {label}").format(label=label_in_full(label)), f"{posts:,} · {posts / found.scored:.1%}"
        )


def ask_own(names: list[str], active: str) -> dict[str, str]:
    """The page's own choices, as the address says them at first."""
    first, second, third, fourth = st.columns([2, 3, 2, 2], vertical_alignment="bottom")
    of_names = [quantity.value for quantity in Quantity]
    version = first.selectbox(
        _("Version"), names, index=names.index(OWN.choose("version", names, active)), key="look-version"
    )
    of = second.selectbox(
        _("Distribution of"),
        of_names,
        index=of_names.index(OWN.choose("of", of_names, Quantity.confidence.value)),
        format_func=lambda name: quantity_in_words(Quantity(name)),
        key="look-of",
    )
    stacks = list(STACKS)
    by = third.selectbox(
        _("By"),
        stacks,
        index=stacks.index(OWN.choose("by", stacks, BY_LABEL)),
        format_func=lambda name: _(STACKS[name]),
        key="look-by",
    )
    is_log = fourth.toggle(
        _("Logarithmic"),
        value=OWN.choose("scale", ["linear", "log"], "linear") == "log",
        key="look-log",
        help=_("Shows rare classes beside frequent ones."),
    )
    return {"version": version, "of": of, "by": by, "scale": "log" if is_log else "linear"}


page = open_page(
    _("Distributions"),
    _("How sure a model version is, and of what. Click a bar to read its posts; the address holds the whole view."),
)
with errors_as_sentences():
    own = ask_own(*versions_to_look_at(page))
    columns = open_columns(page, version=own["version"])
    narrowed = ask_filter(page, columns, OWN)
    OWN.keep(narrowed, **own)
    found = looking.look(page.engine, page.actor, columns, of=Quantity(own["of"]), post_filter=narrowed)
    st.caption(
        _("{scored} of {posts} posts scored by {version}").format(
            scored=f"{found.scored:,}", posts=f"{found.chosen:,}", version=own["version"]
        )
    )
    if not columns.posts:
        st.write(_("There are no posts yet. A lead imports them on the Import page."))
    elif not found.chosen:
        st.write(_("No post fits the filter. Fewer conditions leave more."))
    elif not found.scored:
        st.write(
            _(
                "This version has scored none of these posts. Promote it, or run `tiebreak score --model {version}`."
            ).format(version=own["version"])
        )
    elif found.scored < FEWEST:
        st.write(
            _("Only {posts}: a distribution of fewer than {fewest} would show chance. Here they are.").format(
                posts=posts_in_words(found.scored), fewest=FEWEST
            )
        )
        show_behind(page, columns, BinPart(Quantity.confidence, 0, BINS - 1), _("All"), narrowed, own)
    else:
        show_counts(found)
        show_bars(page, columns, found, narrowed, own)
        show_triangle(page, columns, found, narrowed, own)
