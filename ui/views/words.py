"""Words: what each hit word is worth, which could go, and what the list lacks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.errors import BadInput
from core.hit_words import FEWEST, SELDOM, WordFigures, Worth
from core.permissions import Permission, may
from core.post_filter import PostFilter
from core.services import models, wordlist
from core.services.columns import Columns
from core.telling import ENOUGH, LONGEST, SHORTEST
from core.wording import N_, _, ngettext
from ui.page import Page, errors_as_sentences, open_page
from ui.pool_columns import open_columns
from ui.post_filter import AddressParts, ask_filter, export_address

OWN = AddressParts(("version", "show"))
ALL, RETIRE, LACKING = "all", "retire", "lacking"
PARTS = {ALL: N_("All words"), RETIRE: N_("Words to retire"), LACKING: N_("What the list lacks")}
WORTHS = {Worth.keep: N_("keep"), Worth.retire: N_("retire"), Worth.unknown: N_("too few decided")}


def ask_version(page: Page) -> str | None:
    """None where there is none: then nothing is expected of the rest. Raises BadInput for an unknown one."""
    rows = models.list_versions(page.engine, page.actor)
    names = [row.version.name for row in rows]
    if not names:
        return None
    said = OWN.given("version") or next((row.version.name for row in rows if row.is_active), names[0])
    if said not in names:
        raise BadInput(_("There is no model version {name!r}.").format(name=said[:40]))
    chosen: str = st.selectbox(_("Version"), names, index=names.index(said), key="words-version", width=300)
    return chosen


def ask_part() -> str:
    said = OWN.given("show")
    chosen: str = st.segmented_control(
        _("Show"),
        list(PARTS),
        format_func=lambda each: _(PARTS[each]),
        default=said if said in PARTS else ALL,
        required=True,
        key="words-part",
    )
    return chosen


def row_of(each: WordFigures) -> dict[str, object]:
    decided = each.families > 0
    return {
        "word": each.word,
        "posts": each.posts,
        "alone": each.alone,
        "decided": each.decided,
        "families": each.families,
        "share": each.share,
        "low": each.interval[0] if decided else None,
        "high": each.interval[1] if decided else None,
        "expected": each.expected,
        "worth": _(WORTHS[each.worth]),
    }


def show_words(found: list[WordFigures]) -> None:
    st.dataframe(
        pd.DataFrame([row_of(each) for each in found]),
        hide_index=True,
        column_config={
            "word": st.column_config.TextColumn(_("word"), pinned=True),
            "posts": st.column_config.NumberColumn(_("posts"), format="localized"),
            "alone": st.column_config.NumberColumn(
                _("by it alone"), format="localized", help=_("Posts that have no other hit word: without it, unseen.")
            ),
            "decided": st.column_config.NumberColumn(_("decided"), format="localized"),
            "families": st.column_config.NumberColumn(
                _("families decided"), format="localized", help=_("Near-copies of one text are one family.")
            ),
            "share": st.column_config.NumberColumn(_("violations"), format="percent", help=_("Of these families.")),
            "low": st.column_config.NumberColumn(_("at least"), format="percent", help=_("The 95 % interval of it.")),
            "high": st.column_config.NumberColumn(_("at most"), format="percent", help=_("The 95 % interval of it.")),
            "expected": st.column_config.NumberColumn(
                _("expected in the rest"),
                format="percent",
                help=_("Violations that the version expects among the posts that nobody has decided."),
            ),
            "worth": st.column_config.TextColumn(_("verdict")),
        },
        placeholder="–",
        key="words",
    )
    st.caption(
        _(
            "What was decided is what the queue brought, the likely violations first: shares are rather too high than "
            "too low. A word could go where {fewest} families or more are decided, the whole interval lies below "
            "{seldom}, and the version expects no more of the rest."
        ).format(fewest=FEWEST, seldom=f"{SELDOM:.0%}")
    )


def show_lacking(page: Page, columns: Columns, version: str | None, narrowed: PostFilter) -> None:
    with st.spinner(_("Reading texts…")):
        found = wordlist.lacking_pieces(page.engine, page.actor, columns, narrowed)
    if not found.is_enough:
        st.info(
            _(
                "That takes {needed} violations and {needed} normal posts, decided or such that the version is sure; "
                "there are {violations} and {others}, one of each family. Decide more posts, or score more."
            ).format(needed=ENOUGH, violations=found.violations, others=found.others)
        )
        return
    if found.pieces:
        table = pd.DataFrame(
            [{"piece": p.piece, "violations": p.violations, "others": p.others, "z": p.z} for p in found.pieces]
        )
        columns_of = {
            "piece": st.column_config.TextColumn(_("piece"), pinned=True),
            "violations": st.column_config.NumberColumn(_("violations with it"), format="localized"),
            "others": st.column_config.NumberColumn(_("normal posts with it"), format="localized"),
            "z": st.column_config.NumberColumn(
                "z", format="%.1f", help=_("How far its odds are from equal ones, in standard deviations.")
            ),
        }
        st.dataframe(table, hide_index=True, column_config=columns_of, key="pieces", width="content")
        offer(page, "pieces", version, narrowed)
    else:
        st.write(_("Nothing tells violations from normal posts that no hit word holds."))
    st.caption(
        _(
            "Pieces of {shortest} to {longest} characters in {violations} violations and {others} normal posts, one of "
            "each family, {decided} of them decided by people, the others such that the version is sure. Log-odds with "
            "a prior (Monroe, Colaresi and Quinn 2008); pieces with or within a hit word are left out."
        ).format(
            shortest=SHORTEST,
            longest=LONGEST,
            violations=f"{found.violations:,}",
            others=f"{found.others:,}",
            decided=f"{found.decided:,}",
        )
    )


def offer(page: Page, table: str, version: str | None, narrowed: PostFilter) -> None:
    """The way to the table as a file, for whoever may have it."""
    if version is not None and may(page.actor, Permission.export):
        address = export_address(f"/api/look/{table}.csv", narrowed, version=version)
        st.link_button(_("Table as CSV"), address, icon=":material/download:")


page = open_page(
    _("Words"), _("What became of the posts with each hit word, which words could go, and what the list lacks.")
)
with errors_as_sentences():
    version = ask_version(page)
    columns = open_columns(page, version=version)
    if not columns.posts.words:
        st.write(_("No post has a hit word: an export names them in the column hit_word. A lead imports one."))
        st.stop()
    narrowed = ask_filter(page, columns, OWN)
    part = ask_part()
    OWN.keep(narrowed, **({} if version is None else {"version": version}), show=part)
    if part == LACKING:
        show_lacking(page, columns, version, narrowed)
    else:
        found = wordlist.list_words(page.engine, page.actor, columns, narrowed)
        to_go = [each for each in found if each.worth is Worth.retire]
        shown = to_go if part == RETIRE else found
        said = ngettext(
            "{count} hit word, {gone} of which could go", "{count} hit words, {gone} of which could go", len(found)
        )
        st.caption(said.format(count=f"{len(found):,}", gone=f"{len(to_go):,}"))
        if shown:
            show_words(shown)
            offer(page, "words", version, narrowed)
        elif found:
            st.write(
                _("None: of each word, too little is decided, or too many posts with it are or may be violations.")
            )
        else:
            st.write(_("No post fits the filter. Fewer conditions leave more."))
