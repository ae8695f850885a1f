"""Change: two versions side by side over the same posts, and one version from week to week of import."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from core.comparison import Gap, Verdict
from core.distributions import Quantity
from core.domain import Label
from core.drift import FEWEST, Shift, shift_of
from core.permissions import Permission, may
from core.post_filter import PostFilter
from core.services import changing
from core.services.changing import Change, FlippedPost, Week
from core.services.columns import Columns
from core.wording import N_, _
from ui.look_charts import show_chart, show_table
from ui.look_lists import PAGE_SIZE, ask_page
from ui.page import Page, errors_as_sentences, open_page
from ui.pool_columns import open_columns
from ui.post_filter import AddressParts, ask_filter, export_address
from ui.post_links import post_cell, post_column
from ui.quantities import quantity_in_words
from ui.versions import versions_to_look_at
from ui.words import LABEL_COLOURS, label_in_words, posts_in_words

OWN = AddressParts(("version", "before", "of", "scale"))
ACCENT, QUIET = "#2b5d8a", "#8a9299"
RARE = (Label.suspicious, Label.violation)
SHIFTS = {
    Shift.little: N_("hardly any change"),
    Shift.some: N_("some change: look where it comes from"),
    Shift.much: N_("much change: thresholds that fitted may fit no longer"),
}
VERDICTS = {
    Verdict.better: N_("better"),
    Verdict.worse: N_("worse"),
    Verdict.cannot_tell: N_("cannot tell"),
}
FIGURES = {"precision": N_("precision"), "recall": N_("recall"), "f1": "F1"}


def exported(page: Page, name: str, narrowed: PostFilter, **own: str) -> str | None:
    address = export_address(f"/api/look/{name}.csv", narrowed, **own)
    return address if may(page.actor, Permission.export) else None


# --- two distributions ------------------------------------------------------------------------------------------------


def show_distributions(page: Page, found: Change, narrowed: PostFilter, own: dict[str, str]) -> None:
    if found.psi is None or found.ks is None:
        st.write(
            _("{posts} are too few to compare distributions; {fewest} are needed, scored by both versions.").format(
                posts=posts_in_words(found.posts), fewest=FEWEST
            )
        )
        return
    left, right = st.columns(2)
    left.metric(
        _("Population stability index"), f"{found.psi:.3f}",
        help=_("0 for the same distribution; from 0.1 on some change, from 0.25 on much. In tenths of the first."),
    )  # fmt: skip
    left.caption(_(SHIFTS[shift_of(found.psi)]))
    right.metric(_("Kolmogorov-Smirnov distance"), f"{found.ks:.3f}")
    right.caption(
        _("At the place where they differ most, {share} more of the posts lie below it by one version.").format(
            share=f"{found.ks:.1%}"
        )
    )
    edges = found.of.edges()
    wide = pd.DataFrame(
        {"low": edges[:-1], "high": edges[1:], own["before"]: found.first, own["version"]: found.second}
    )
    show_chart(
        distributions_chart(wide, found.of, own),
        f"{own['before']}-{own['version']}-{found.of}",
        table=exported(page, "change", narrowed, version=own["version"], before=own["before"], of=own["of"]),
        key=f"change-{own['before']}-{own['version']}-{found.of}-{own['scale']}",
        may_be_chosen=False,
    )
    show_table(wide.rename(columns={"low": _("from"), "high": _("to")}))


def distributions_chart(wide: pd.DataFrame, of: Quantity, own: dict[str, str]) -> alt.Chart:
    names = [own["before"], own["version"]]
    long = wide.melt(id_vars=["low", "high"], value_vars=names, var_name="version", value_name="posts")
    long["between"] = [f"{low:.3f} – {high:.3f}" for low, high in zip(long["low"], long["high"], strict=True)]
    is_log = own["scale"] == "log"
    if is_log:
        long = long[long["posts"] > 0]
    title = _("posts (logarithmic)") if is_log else _("posts")
    scale = alt.Scale(type="log", domainMin=0.8) if is_log else alt.Scale()
    return (
        alt.Chart(long)
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("low:Q", title=quantity_in_words(of), scale=alt.Scale(domain=[0, of.most], nice=False)),
            y=alt.Y("posts:Q", title=title, scale=scale, axis=alt.Axis(format="~s")),
            color=alt.Color(
                "version:N",
                scale=alt.Scale(domain=names, range=[QUIET, ACCENT]),
                legend=alt.Legend(orient="top", title=_("Version"), symbolType="stroke", symbolSize=300),
            ),
            strokeDash=alt.StrokeDash("version:N", scale=alt.Scale(domain=names, range=[[6, 3], [1, 0]])),
            tooltip=[
                alt.Tooltip("version:N", title=_("Version")),
                alt.Tooltip("between:N", title=_("between")),
                alt.Tooltip("posts:Q", title=_("posts"), format=","),
            ],
        )
        .properties(height=300)
    )


# --- flips ------------------------------------------------------------------------------------------------------------


def show_flips(
    page: Page, first: Columns, second: Columns, found: Change, narrowed: PostFilter, own: dict[str, str]
) -> None:
    flipped = int(found.flips.sum() - found.flips.trace())
    st.subheader(_("Predicted otherwise: {posts}").format(posts=posts_in_words(flipped)), anchor=False)
    if not flipped:
        st.write(_("Both versions take each of these posts for the same."))
        return
    st.caption(_("Click a cell to read its posts; those that changed most come first."))
    table = pd.DataFrame(
        [
            {
                "was": int(was),
                "now": int(now),
                "before": label_in_words(was),
                "after": label_in_words(now),
                "posts": int(found.flips[was, now]),
                "share": found.flips[was, now] / max(1, found.flips[was].sum()) if was is not now else 0.0,
            }
            for was in Label
            for now in Label
        ]
    )
    left, _right = st.columns([3, 2])
    address = exported(page, "flips", narrowed, version=own["version"], before=own["before"])
    with left:
        chosen = show_chart(
            flips_chart(table, own), f"{own['before']}-{own['version']}-flips", table=address,
            key=f"flips-{own['before']}-{own['version']}",
        ).get("cell", [])  # fmt: skip
    show_table(
        table[["before", "after", "posts"]].rename(
            columns={"before": own["before"], "after": own["version"], "posts": _("posts")}
        )
    )
    if not chosen or chosen[0]["was"] == chosen[0]["now"]:
        return
    was, now = Label(int(chosen[0]["was"])), Label(int(chosen[0]["now"]))
    key = f"flipped-{was.name}-{now.name}"
    number = int(st.session_state.get(f"{key}-page") or 1)
    total, listed = changing.flipped_posts(
        page.engine, page.actor, first, second, was=was, now=now, post_filter=narrowed, page=number,
        page_size=PAGE_SIZE,
    )  # fmt: skip
    title = _("From {was} to {now}: {posts}")
    st.subheader(
        title.format(was=label_in_words(was), now=label_in_words(now), posts=posts_in_words(total)), anchor=False
    )
    show_flipped(listed, was, now)
    ask_page(total, key)


def flips_chart(table: pd.DataFrame, own: dict[str, str]) -> alt.LayerChart:
    order = [label_in_words(label) for label in Label]
    first, second = own["before"], own["version"]
    x = alt.X("after:N", sort=order, title=_("by {version}").format(version=second))
    y = alt.Y("before:N", sort=order, title=_("by {version}").format(version=first))
    cell = alt.selection_point(name="cell", fields=["was", "now"], toggle=False)
    base = alt.Chart(table).encode(x=x.axis(orient="top", labelAngle=0), y=y)
    squares = (
        base.mark_rect(cursor="pointer")
        .encode(
            color=alt.condition(
                "datum.was == datum.now",
                alt.value("#eceeef"),
                alt.Color("share:Q", scale=alt.Scale(scheme="blues", domainMin=0), legend=None),
            ),
            stroke=alt.condition(cell, alt.value("#23272b"), alt.value("#ffffff"), empty=False),
            strokeWidth=alt.condition(cell, alt.value(3), alt.value(1), empty=False),
            tooltip=[
                alt.Tooltip("before:N", title=first),
                alt.Tooltip("after:N", title=second),
                alt.Tooltip("posts:Q", title=_("posts"), format=","),
            ],
        )
        .add_params(cell)
    )
    most = float(table["share"].max())
    numbers = base.mark_text(fontSize=15).encode(
        text=alt.Text("posts:Q", format=","),
        color=alt.condition(f"datum.share > {most * 0.6}", alt.value("#ffffff"), alt.value("#23272b")),
    )
    return (squares + numbers).properties(height=280)


def show_flipped(listed: list[FlippedPost], was: Label, now: Label) -> None:
    def column(label: Label, when: str) -> str:
        return _("P({label}), {when}").format(label=label_in_words(label), when=when)

    before, after = _("before"), _("after")
    numbers = [column(was, before), column(was, after), column(now, before), column(now, after), _("change")]
    table = pd.DataFrame(
        [
            {
                _("post"): post_cell(each.post_id, each.pid),
                _("text"): each.text,
                numbers[0]: each.was[was],
                numbers[1]: each.now[was],
                numbers[2]: each.was[now],
                numbers[3]: each.now[now],
                numbers[4]: each.change,
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
            _("text"): st.column_config.TextColumn(_("text"), width="medium"),
            **{name: st.column_config.NumberColumn(format="%.3f") for name in numbers},
        },
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def show_figures(page: Page, first: Columns, second: Columns, own: dict[str, str]) -> None:
    st.subheader(_("Which is the better one?"), anchor=False)
    found = changing.compare_judged(page.engine, page.actor, first, second)
    if not found.gaps:
        st.write(
            _(
                "{count} judged texts kept aside are scored by both versions; {fewest} are needed to compare them. A "
                "fifth of what moderators decide is kept aside, and audit posts come with the queue."
            ).format(count=f"{found.texts:,}", fewest=FEWEST)
        )
        return
    said = (
        _("On {count} judged texts of the audit slice, which chance drew; {second} beside {first}.")
        if found.is_random
        else _("On {count} judged texts kept aside, most of which were chosen as hard; {second} beside {first}.")
    )
    st.caption(said.format(count=f"{found.texts:,}", first=own["before"], second=own["version"]))
    rows = [figure_row(_("macro-F1"), found.gaps["macro_f1"]), figure_row(_("accuracy"), found.gaps["accuracy"])]
    rows += [
        figure_row(f"{label_in_words(label)}: {_(name)}", found.gaps[f"{label.name} {figure}"])
        for label in Label
        for figure, name in FIGURES.items()
    ]
    signed = st.column_config.NumberColumn(format="%+.3f")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        column_config={_("difference"): signed, _("at least"): signed, _("at most"): signed},
    )


def figure_row(name: str, gap: Gap) -> dict[str, object]:
    low, high = gap.interval or (None, None)
    return {
        _("figure"): name,
        _("difference"): gap.value,
        _("at least"): low,
        _("at most"): high,
        _("verdict"): _(VERDICTS[gap.verdict]),
    }


# --- weeks ------------------------------------------------------------------------------------------------------------


def show_weeks(page: Page, columns: Columns, narrowed: PostFilter, own: dict[str, str]) -> None:
    st.subheader(_("From week to week of import, by {version}").format(version=own["version"]), anchor=False)
    of = Quantity(own["of"])
    found = changing.weeks(page.engine, page.actor, columns, of=of, post_filter=narrowed)
    enough = [week for week in found if week.psi is not None]
    if len(enough) < 2:
        st.write(
            _(
                "Imports of two weeks with {fewest} scored posts each are needed to see a drift; there are {count}."
            ).format(fewest=FEWEST, count=len(enough))
        )
        return
    st.caption(
        _(
            "Shares of posts that are predicted so, and how far the week's distribution lies from that of all weeks: "
            "an index of 0.1 says that something has changed, 0.25 that much has."
        )
    )
    show_chart(
        alt.vconcat(shares_chart(enough), index_chart(enough)).resolve_scale(color="independent"),
        f"{own['version']}-weeks",
        table=exported(page, "weeks", narrowed, version=own["version"], of=own["of"]),
        key=f"weeks-{own['version']}-{of}",
        may_be_chosen=False,
    )
    show_table(
        pd.DataFrame(
            [
                {
                    _("week from"): week.begins,
                    _("posts"): week.posts,
                    **{label_in_words(label): week.shares[label] for label in Label},
                    _("index"): week.psi,
                }
                for week in found
            ]
        ),
        {
            **{label_in_words(label): st.column_config.NumberColumn(format="percent") for label in Label},
            _("index"): st.column_config.NumberColumn(format="%.3f"),
        },
    )


def shares_chart(found: list[Week]) -> alt.Chart:
    """Of the rare labels: what is normal is the rest."""
    table = pd.DataFrame(
        [
            {"week": week.begins, "label": label_in_words(label), "share": week.shares[label], "posts": week.posts}
            for week in found
            for label in RARE
        ]
    )
    table["week"] = pd.to_datetime(table["week"])
    rare = alt.Scale(domain=[label_in_words(label) for label in RARE], range=[LABEL_COLOURS[label] for label in RARE])
    return (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=50))
        .encode(
            x=alt.X("week:T", title=None, axis=alt.Axis(format="%m-%d")),
            y=alt.Y("share:Q", title=_("share of the posts"), axis=alt.Axis(format="%")),
            color=alt.Color("label:N", scale=rare, legend=alt.Legend(orient="top", title=_("predicted"))),
            shape=alt.Shape("label:N", legend=None),
            tooltip=[
                alt.Tooltip("week:T", title=_("week from"), format="%Y-%m-%d"),
                alt.Tooltip("label:N", title=_("predicted")),
                alt.Tooltip("share:Q", title=_("share"), format=".2%"),
                alt.Tooltip("posts:Q", title=_("posts"), format=","),
            ],
        )
        .properties(height=220, width="container")
    )


def index_chart(found: list[Week]) -> alt.Chart:
    table = pd.DataFrame([{"week": week.begins, "psi": week.psi, "posts": week.posts} for week in found])
    table["week"] = pd.to_datetime(table["week"])
    return (
        alt.Chart(table)
        .mark_line(color=ACCENT, point=alt.OverlayMarkDef(filled=True, size=50, color=ACCENT))
        .encode(
            x=alt.X("week:T", title=_("week of import"), axis=alt.Axis(format="%m-%d")),
            y=alt.Y("psi:Q", title=_("stability index")),
            tooltip=[
                alt.Tooltip("week:T", title=_("week from"), format="%Y-%m-%d"),
                alt.Tooltip("psi:Q", title=_("stability index"), format=".3f"),
                alt.Tooltip("posts:Q", title=_("posts"), format=","),
            ],
        )
        .properties(height=140, width="container")
    )


# --- the page ---------------------------------------------------------------------------------------------------------


def ask_own(names: list[str], active: str) -> dict[str, str]:
    """Names newest first; before: the version that came before the one that is looked at."""
    version = OWN.choose("version", names, active)
    older = names[names.index(version) + 1 :] or [name for name in names if name != version]
    first, second, third, fourth = st.columns([2, 2, 3, 2], vertical_alignment="bottom")
    befores = [name for name in names if name != version] or [version]
    before = first.selectbox(
        _("First version"), befores, index=befores.index(OWN.choose("before", befores, (older or befores)[0]))
    )
    second_version = second.selectbox(_("Second version"), names, index=names.index(version))
    ofs = [quantity.value for quantity in Quantity]
    of = third.selectbox(
        _("Distribution of"),
        ofs,
        index=ofs.index(OWN.choose("of", ofs, Quantity.violation.value)),
        format_func=lambda name: quantity_in_words(Quantity(name)),
    )
    is_log = fourth.toggle(_("Logarithmic"), value=OWN.choose("scale", ["linear", "log"], "linear") == "log")
    return {"version": second_version, "before": before, "of": of, "scale": "log" if is_log else "linear"}


page = open_page(
    _("Change"),
    _("What another version judges otherwise, whether it is the better one, and whether the forum itself changes."),
)
with errors_as_sentences():
    own = ask_own(*versions_to_look_at(page))
    columns = open_columns(page, version=own["version"])
    narrowed = ask_filter(page, columns, OWN)
    OWN.keep(narrowed, **own)
    if own["before"] == own["version"]:
        st.write(_("There is one version to look at; the next training makes another to compare it with."))
    else:
        before = open_columns(page, version=own["before"])
        found = changing.change(page.engine, page.actor, before, columns, of=Quantity(own["of"]), post_filter=narrowed)
        st.caption(_("{posts} that both versions have scored").format(posts=posts_in_words(found.posts)))
        show_distributions(page, found, narrowed, own)
        if found.posts:
            show_flips(page, before, columns, found, narrowed, own)
        show_figures(page, before, columns, own)
        if not narrowed.is_empty:
            st.caption(_("The filter does not narrow these figures: they are of all judged texts."))
    show_weeks(page, columns, narrowed, own)
