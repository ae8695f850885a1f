"""The filter of the analyst's room as fields of a page, and in the page's address: whoever opens it sees the same view.

own = AddressParts(("version", "of"))                  # the page's own parameters beside the filter
narrowed = ask_filter(page, columns, own)              # draws the fields; raises BadInput for a wrong address
own.keep(narrowed, version=version, of=of.value)       # writes all of it back into the address
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from core.domain import Label, RunKind, Side
from core.errors import BadInput
from core.post_filter import KEYS, Portion, PostFilter
from core.services import columns, runs
from core.services.columns import Columns
from core.wording import N_, _
from ui.page import Page
from ui.words import label_in_words

PORTIONS = {
    Portion.undecided: N_("not decided"),
    Portion.leased: N_("on a card"),
    Portion.decided: N_("decided"),
}
SIDES = {Side.train: N_("training"), Side.evaluation: N_("evaluation"), Side.audit: N_("audit slice")}
MOST_IMPORTS = 1_000  # that are listed
FIELDS = (
    *("imports", "since", "until", "words", "author", "fewest", "most"),
    *("labels", "predicted", "sides", "portions"),
)


def portion_in_words(portion: Portion) -> str:
    return _(PORTIONS[portion])


def side_in_words(side: Side) -> str:
    return _(SIDES[side])


@dataclass(frozen=True, slots=True)
class AddressParts:
    """Names of a page's own parameters."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if set(self.names) & set(KEYS):
            raise ValueError(f"{self.names} has a name that is a condition of the filter")

    def given(self, name: str) -> str | None:
        return st.query_params.get(name) or None

    def choose(self, name: str, options: Sequence[str], default: str) -> str:
        """What the address says, if that is one of the options. Raises BadInput for another."""
        said = self.given(name) or default
        if said not in options:
            raise BadInput(
                _("{value!r} is not known for {name!r}; there are: {known}.").format(
                    value=said[:40], name=name, known=", ".join(options)
                )
            )
        return said

    def filter(self) -> PostFilter:
        """Raises BadInput for an address that says something else than a view."""
        said = {name: st.query_params.get_all(name) for name in st.query_params}
        return PostFilter.from_query(said, beside=self.names)

    def keep(self, narrowed: PostFilter, **own: str) -> None:
        """Let the address say what is shown."""
        said: dict[str, str | list[str]] = {**own, **narrowed.to_query()}
        if {name: st.query_params.get_all(name) for name in st.query_params} != _as_lists(said):
            st.query_params.from_dict(said)
        st.session_state["filter-said"] = narrowed.to_query()


def _as_lists(said: dict[str, str | list[str]]) -> dict[str, list[str]]:
    return {name: values if isinstance(values, list) else [values] for name, values in said.items()}


def export_address(path: str, narrowed: PostFilter, **own: str) -> str:
    """Where a table of the view can be had."""
    return f"{path}?{urlencode({**own, **narrowed.to_query()}, doseq=True)}"


def ask_filter(page: Page, found: Columns, own: AddressParts) -> PostFilter:
    """The fields, and the filter that they make.

    Raises BadInput where the address names a word or an import that there is not, besides what `filter` refuses.
    """
    asked = own.filter()
    names = _imports(page)
    _refuse_unknown(asked, found.posts.words, names)
    if st.session_state.get("filter-said") != asked.to_query() or _key("words") not in st.session_state:
        _fill_in(asked)
    with st.expander(_("Filter"), expanded=not asked.is_empty, icon=":material/filter_alt:"):
        _draw(page, found, names)
        st.button(_("Remove the filter"), on_click=_fill_in, args=(PostFilter(),), disabled=asked.is_empty)
    return _made()


def _key(field: str) -> str:
    return f"filter-{field}"


def _imports(page: Page) -> dict[int, str]:
    listed = runs.list_runs(page.engine, page.actor, kind=RunKind.importing, limit=MOST_IMPORTS)
    return {run.id: f"#{run.id} · {run.config.get('name', '')}" for run in listed if run.published_at is not None}


def _refuse_unknown(asked: PostFilter, words: Sequence[str], imports: dict[int, str]) -> None:
    known = set(words)
    for word in asked.words:
        if word not in known:
            raise BadInput(_("No post has the hit word {word!r}; take it out of the address.").format(word=word[:40]))
    for run_id in asked.imports:
        if run_id not in imports:
            raise BadInput(
                _("There is no import {run_id} with posts; take it out of the address.").format(run_id=run_id)
            )


def _fill_in(asked: PostFilter) -> None:
    least, most = asked.family_sizes or (None, None)
    values = {
        "imports": list(asked.imports), "since": asked.since, "until": asked.until, "words": list(asked.words),
        "author": asked.author or "", "fewest": least, "most": most, "labels": list(asked.labels),
        "predicted": list(asked.predicted), "sides": list(asked.sides), "portions": list(asked.portions),
    }  # fmt: skip
    for field, value in values.items():
        st.session_state[_key(field)] = value


def _draw(page: Page, found: Columns, imports: dict[int, str]) -> None:
    first, second, third, fourth = st.columns(4)
    first.multiselect(
        _("Imports"), list(imports), format_func=lambda run: imports[run], placeholder=_("any"), key=_key("imports")
    )
    second.date_input(_("Imported from"), key=_key("since"), format="YYYY-MM-DD", value=None)
    third.date_input(_("Imported until"), key=_key("until"), format="YYYY-MM-DD", value=None)
    fourth.multiselect(_("Hit words"), list(found.posts.words), placeholder=_("any"), key=_key("words"))
    first.multiselect(
        _("Predicted"), list(Label), format_func=label_in_words, placeholder=_("any"), key=_key("predicted")
    )
    second.multiselect(
        _("Decided as"), list(Label), format_func=label_in_words, placeholder=_("any"), key=_key("labels")
    )
    third.multiselect(
        _("What became of them"),
        list(Portion),
        format_func=portion_in_words,
        placeholder=_("any"),
        key=_key("portions"),
    )
    fourth.multiselect(
        _("Side of the split"), list(Side), format_func=side_in_words, placeholder=_("any"), key=_key("sides")
    )
    first.number_input(_("Family of at least"), min_value=1, value=None, key=_key("fewest"))
    second.number_input(_("Family of at most"), min_value=1, value=None, key=_key("most"))
    if columns.may_ask_authors(page.engine, page.actor):
        third.text_input(_("Author"), key=_key("author"))


def _made() -> PostFilter:
    value = {field: st.session_state.get(_key(field)) for field in FIELDS}
    fewest, most = value["fewest"], value["most"]
    sizes = None if fewest is None and most is None else (fewest or 1, most)
    if sizes and sizes[1] is not None and sizes[1] < sizes[0]:
        raise BadInput(
            _("A family of at least {fewest} and at most {most} cannot be; exchange the two.").format(
                fewest=sizes[0], most=sizes[1]
            )
        )
    if value["since"] and value["until"] and value["until"] < value["since"]:
        raise BadInput(
            _("The filter ends on {until}, before it begins on {since}; exchange the two days.").format(
                since=value["since"], until=value["until"]
            )
        )
    return PostFilter(
        imports=tuple(value["imports"] or ()),
        since=value["since"],
        until=value["until"],
        words=tuple(value["words"] or ()),
        author=(value["author"] or "").strip() or None,
        family_sizes=sizes,
        labels=tuple(value["labels"] or ()),
        predicted=tuple(value["predicted"] or ()),
        sides=tuple(value["sides"] or ()),
        portions=tuple(value["portions"] or ()),
    )
