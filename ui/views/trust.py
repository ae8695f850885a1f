"""Trust: whether what a version says can be believed, on judged posts that no version has learned from."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from core.calibration import confidence_error, error_by_class
from core.domain import Label
from core.evaluation import ENOUGH
from core.permissions import Permission, may
from core.post_filter import PostFilter
from core.services import columns as pool_columns
from core.services import trusting
from core.services.trusting import Trust
from core.trust import FEWEST, FEWEST_OF_CLASS, UNITS_A_BIN, bands, confusion, enough_of, precision_and_recall
from core.wording import N_, _, ngettext
from ui.look_charts import show_chart, show_table
from ui.look_lists import PAGE_SIZE, ask_page
from ui.page import Page, errors_as_sentences, open_page
from ui.pool_columns import open_columns
from ui.post_filter import AddressParts, ask_filter, export_address
from ui.post_links import post_cell, post_column
from ui.versions import versions_to_look_at
from ui.words import LABEL_COLOURS, label_in_full, label_in_words

OWN = AddressParts(("version", "of", "threshold"))
CONFIDENCE = "confidence"
LINES = {"precision": N_("precision"), "recall": N_("recall")}
ACCENT, QUIET = "#2b5d8a", "#8a9299"


def texts_in_words(count: int) -> str:
    return ngettext("{count} judged text", "{count} judged texts", count).format(count=f"{count:,}")


def of_in_words(of: str) -> str:
    if of == CONFIDENCE:
        return _("the most likely label")
    return label_in_words(Label[of])


# --- reliability ------------------------------------------------------------------------------------------------------


def show_reliability(found: Trust, of: str, address: str | None, version: str) -> None:
    st.subheader(_("Does it happen as often as it is said?"), anchor=False)
    if of == CONFIDENCE:
        said, happened = found.proba.max(axis=1), found.said == found.truth
    else:
        label = Label[of]
        said, happened = found.proba[:, label], found.truth == label
    table = pd.DataFrame(
        [
            {
                "said": band.bin.said,
                "happened": band.bin.happened,
                "low": band.low,
                "high": band.high,
                "texts": band.bin.units,
                "posts": band.bin.posts,
            }
            for band in bands(said, happened, found.sizes)
        ]
    )
    show_errors_of_calibration(found)
    left, right = st.columns([3, 2])
    with left:
        show_chart(
            reliability_chart(table, of), f"{version}-reliability-{of}", table=address, key=f"reliability-{of}",
            may_be_chosen=False,
        )  # fmt: skip
    with right:
        st.caption(
            _(
                "Each point stands for equally many judged texts, at least {fewest}; its line is the 95 % interval. "
                "Where it crosses the broken line the model may be believed; below it, the model is too sure."
            ).format(fewest=UNITS_A_BIN)
        )
        names = {
            "said": _("said"), "happened": _("happened"), "low": _("at least"), "high": _("at most"),
            "texts": _("texts"), "posts": _("posts"),
        }  # fmt: skip
        numbers = {names[name]: st.column_config.NumberColumn(format="%.3f") for name in list(names)[:4]}
        show_table(table.rename(columns=names), numbers)


def show_errors_of_calibration(found: Trust) -> None:
    """Expected calibration error, of the most likely label and of each label by itself."""
    places = st.columns(1 + len(Label))
    whole = confidence_error(found.proba, found.truth, found.sizes)
    places[0].metric(
        _("Calibration error"), f"{whole:.3f}",
        help=_("How far said and happened lie apart on average, of the most likely label; weighted by posts."),
    )  # fmt: skip
    by_class = error_by_class(found.proba, found.truth, found.sizes)
    for place, label, error in zip(places[1:], Label, by_class, strict=True):
        place.metric(_("of {label}").format(label=label_in_full(label)), f"{error:.3f}")


def reliability_chart(table: pd.DataFrame, of: str) -> alt.LayerChart:
    colour = ACCENT if of == CONFIDENCE else LABEL_COLOURS[Label[of]]
    x = alt.X("said:Q", title=_("said: mean probability of {label}").format(label=of_in_words(of)))
    x = x.scale(domain=[0, 1])
    y_title = _("happened: share of the posts")
    ideal = alt.Chart(pd.DataFrame({"said": [0, 1], "happened": [0, 1]}))
    line = ideal.mark_line(color=QUIET, strokeDash=[5, 4]).encode(
        x=x, y=alt.Y("happened:Q", title=y_title, scale=alt.Scale(domain=[0, 1]))
    )
    drawn = alt.Chart(table)
    reach = drawn.mark_rule(color=colour, strokeWidth=2).encode(x=x, y=alt.Y("low:Q", title=y_title), y2="high:Q")
    points = drawn.mark_point(filled=True, size=80, color=colour, opacity=1).encode(
        x=x,
        y=alt.Y("happened:Q", title=y_title),
        tooltip=[
            alt.Tooltip("said:Q", title=_("said"), format=".3f"),
            alt.Tooltip("happened:Q", title=_("happened"), format=".3f"),
            alt.Tooltip("low:Q", title=_("at least"), format=".3f"),
            alt.Tooltip("high:Q", title=_("at most"), format=".3f"),
            alt.Tooltip("texts:Q", title=_("texts"), format=","),
            alt.Tooltip("posts:Q", title=_("posts"), format=","),
        ],
    )
    return (line + reach + points).properties(height=380)


# --- precision and recall ---------------------------------------------------------------------------------------------


def show_thresholds(found: Trust, label: Label, address: str | None, version: str) -> None:
    st.subheader(_("What a threshold would find"), anchor=False)
    if not enough_of(label, found.truth):
        st.write(
            _(
                "Too few judged texts to draw it: at least {fewest} of {label} and as many of others are needed; there "
                "are {count} of {label}."
            ).format(
                fewest=FEWEST_OF_CLASS, label=label_in_words(label), count=f"{int((found.truth == label).sum()):,}"
            )
        )
        return
    points = precision_and_recall(found.proba[:, label], found.truth == label, found.sizes)
    total = float(found.sizes.sum())
    wide = pd.DataFrame(
        [
            {"threshold": p.threshold, "precision": p.precision, "recall": p.recall, "share": p.posts / total}
            for p in points
        ]
    )
    long = wide.melt(id_vars=["threshold", "share"], value_vars=list(LINES), var_name="line", value_name="value")
    long["line"] = long["line"].map(lambda name: _(LINES[name]))
    names = [_(name) for name in LINES.values()]
    title = _("threshold of the probability of {label}").format(label=label_in_words(label))
    chart = (
        alt.Chart(long)
        .mark_line(interpolate="step-before", strokeWidth=2)
        .encode(
            x=alt.X("threshold:Q", title=title, scale=alt.Scale(domain=[0, 1])),
            y=alt.Y(
                "value:Q", title=_("share of the posts"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")
            ),
            color=alt.Color(
                "line:N",
                scale=alt.Scale(domain=names, range=[ACCENT, QUIET]),
                legend=alt.Legend(orient="top", title=None, symbolType="stroke", symbolSize=300),
            ),
            strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=names, range=[[1, 0], [6, 3]])),
            tooltip=[
                alt.Tooltip("line:N", title=" "),
                alt.Tooltip("value:Q", title=_("share"), format=".1%"),
                alt.Tooltip("threshold:Q", title=_("threshold"), format=".3f"),
                alt.Tooltip("share:Q", title=_("called so, of all posts"), format=".1%"),
            ],
        )
        .properties(height=300)
    )
    show_chart(chart, f"{version}-thresholds-{label.name}", table=address, key=f"pr-{label.name}", may_be_chosen=False)
    names_of = {
        "threshold": _("threshold"), "precision": _("precision"), "recall": _("recall"),
        "share": _("called so, of all posts"),
    }  # fmt: skip
    show_table(
        wide.rename(columns=names_of),
        {name: st.column_config.NumberColumn(format="%.3f") for name in names_of.values()},
    )


# --- confusion and errors ---------------------------------------------------------------------------------------------


def show_confusion(found: Trust, address: str | None, version: str) -> tuple[Label, Label] | None:
    """The matrix; returns the cell that was clicked, truth first."""
    st.subheader(_("What is taken for what"), anchor=False)
    st.caption(_("Click a cell to read its posts. Numbers are posts that the judged texts stand for."))
    texts, posts = confusion(found.truth, found.said, found.sizes)
    rows = [
        {
            "truth": int(truth),
            "said": int(said),
            "decided": label_in_words(truth),
            "predicted": label_in_words(said),
            "posts": float(posts[truth, said]),
            "texts": int(texts[truth, said]),
            "share": float(posts[truth, said] / posts[truth].sum()) if posts[truth].sum() else 0.0,
        }
        for truth in Label
        for said in Label
    ]
    table = pd.DataFrame(rows)
    left, _right = st.columns([3, 2])
    with left:
        chosen = show_chart(
            confusion_chart(table), f"{version}-confusion", table=address, key=f"confusion-{version}"
        ).get("cell", [])
    shown = table[["decided", "predicted", "posts", "texts", "share"]]
    show_table(
        shown.rename(
            columns={
                "decided": _("decided as"), "predicted": _("predicted"), "posts": _("posts"), "texts": _("texts"),
                "share": _("of those decided so"),
            }
        ),
        {_("of those decided so"): st.column_config.NumberColumn(format="percent")},
    )  # fmt: skip
    return (Label(int(chosen[0]["truth"])), Label(int(chosen[0]["said"]))) if chosen else None


def confusion_chart(table: pd.DataFrame) -> alt.LayerChart:
    order = [label_in_words(label) for label in Label]
    x = alt.X("predicted:N", sort=order, title=_("predicted"), axis=alt.Axis(orient="top", labelAngle=0))
    y = alt.Y("decided:N", sort=order, title=_("decided by people as"))
    cell = alt.selection_point(name="cell", fields=["truth", "said"], toggle=False)
    base = alt.Chart(table).encode(x=x, y=y)
    squares = (
        base.mark_rect(cursor="pointer")
        .encode(
            color=alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], scheme="blues"), legend=None),
            stroke=alt.condition(cell, alt.value("#23272b"), alt.value("#ffffff"), empty=False),
            strokeWidth=alt.condition(cell, alt.value(3), alt.value(1), empty=False),
            tooltip=[
                alt.Tooltip("decided:N", title=_("decided as")),
                alt.Tooltip("predicted:N", title=_("predicted")),
                alt.Tooltip("posts:Q", title=_("posts"), format=","),
                alt.Tooltip("texts:Q", title=_("texts"), format=","),
                alt.Tooltip("share:Q", title=_("of those decided so"), format=".1%"),
            ],
        )
        .add_params(cell)
    )
    numbers = base.mark_text(fontSize=15, cursor="pointer").encode(
        text=alt.Text("posts:Q", format=","),
        color=alt.condition("datum.share > 0.55", alt.value("#ffffff"), alt.value("#23272b")),
    )
    return (squares + numbers).properties(height=300)


def show_judged(page: Page, found: Trust, cell: tuple[Label, Label] | None) -> None:
    """Posts of a cell, or all errors; the surest first."""
    truth, said = cell or (None, None)
    key = "errors" if cell is None else f"cell-{cell[0].name}-{cell[1].name}"
    number = int(st.session_state.get(f"{key}-page") or 1)
    total, listed = trusting.judged_posts(
        page.engine, page.actor, found, truth=truth, said=said, page=number, page_size=PAGE_SIZE
    )
    if cell is None:
        title = ngettext("{count} error, the surest first", "{count} errors, the surest first", total)
        st.subheader(title.format(count=f"{total:,}"), anchor=False)
    else:
        title = _("Decided as {truth}, predicted {said}: {texts}")
        st.subheader(
            title.format(truth=label_in_words(cell[0]), said=label_in_words(cell[1]), texts=texts_in_words(total)),
            anchor=False,
        )
    if not listed:
        st.write(_("None."))
        return
    table = pd.DataFrame(
        [
            {
                _("post"): post_cell(each.post_id, each.pid),
                _("text"): each.text,
                _("decided as"): label_in_words(each.truth),
                _("predicted"): label_in_words(each.said),
                _("sure"): each.sureness,
                _("posts like it"): each.posts,
            }
            for each in listed
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={
            _("post"): post_column(_("post")),
            _("text"): st.column_config.TextColumn(_("text"), width="large"),
            _("sure"): st.column_config.NumberColumn(_("sure"), format="%.3f"),
        },
    )
    ask_page(total, key)


# --- the page ---------------------------------------------------------------------------------------------------------


def say_of_what(found: Trust) -> None:
    """Which posts measure, and how much that is worth."""
    if found.is_random:
        said = _("Measured on {texts} of the audit slice, one for each family: chance drew them, so they are honest.")
    else:
        said = _(
            "Measured on {texts} kept aside, one for each family. Most were chosen by the queue because they are hard, "
            "so the figures are worse than over all posts; once {enough} texts of the audit slice are judged, those "
            "alone measure."
        )
    st.caption(said.format(texts=texts_in_words(len(found)), enough=ENOUGH))


def say_too_few(found: Trust, narrowed: PostFilter) -> None:
    st.write(
        _("{texts} are too few to draw anything honest; {fewest} are needed.").format(
            texts=texts_in_words(len(found)), fewest=FEWEST
        )
    )
    if not narrowed.is_empty:
        st.write(_("Fewer conditions in the filter leave more."))
    elif found.judged > len(found):
        st.write(_("More are judged than this version has scored: have it score the pool."))
    else:
        st.write(_("A fifth of what moderators decide is kept aside, and audit posts come with the queue."))


page = open_page(
    _("Trust"),
    _("Whether a version's probabilities can be believed, on judged posts that no version has learned from."),
)
with errors_as_sentences():
    names, active = versions_to_look_at(page)
    ofs = [CONFIDENCE, *(label.name for label in Label)]
    first, second, third = st.columns(3)
    version = first.selectbox(_("Version"), names, index=names.index(OWN.choose("version", names, active)))
    of = second.selectbox(
        _("Reliability of"), ofs, index=ofs.index(OWN.choose("of", ofs, CONFIDENCE)), format_func=of_in_words
    )
    labels = [label.name for label in Label]
    label = third.selectbox(
        _("Threshold of"),
        labels,
        index=labels.index(OWN.choose("threshold", labels, Label.violation.name)),
        format_func=of_in_words,
    )
    columns = open_columns(page, version=version)
    narrowed = ask_filter(page, columns, OWN)
    OWN.keep(narrowed, version=version, of=of, threshold=label)
    found = trusting.trust(page.engine, page.actor, columns)
    if not narrowed.is_empty:
        found = trusting.narrow(found, pool_columns.view(page.engine, page.actor, columns, narrowed))
    address = (
        export_address("/api/look/judged.csv", narrowed, version=version)
        if may(page.actor, Permission.export)
        else None
    )
    say_of_what(found)
    if len(found) < FEWEST:
        say_too_few(found, narrowed)
        show_judged(page, found, None)
    else:
        show_reliability(found, of, address, version)
        show_thresholds(found, Label[label], address, version)
        show_judged(page, found, show_confusion(found, address, version))
