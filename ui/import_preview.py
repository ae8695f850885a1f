"""A file before it is imported: encoding and columns found, what looks wrong, and the first posts as cards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import streamlit as st

from core.domain import LABEL_NAMES, Label, Run, SourceTrust
from core.labelled import FileKind
from core.services.previewing import Preview
from core.wording import N_, _, ngettext
from ui.words import label_in_words, plain, posts_in_words

ENCODINGS = ("auto", "utf-8", "gb18030", "utf-16")
ROLES = {
    "pid": N_("Post id"),
    "text": N_("Text"),
    "hit_word": N_("Hit word"),
    "author": N_("Author"),
    "author_id": N_("Author id"),
    "ip": "IP",
    "label": N_("Its label"),
}
AS_NAMED = N_("(as named)")
AS_KNOWN = N_("(as the source is known, human if new)")
TRUSTS = {
    SourceTrust.human: N_("human: people decided"),
    SourceTrust.suggestion: N_("suggestion: a model's opinion"),
    SourceTrust.trusted: N_("trusted: above all others"),
}
REFUSED = N_("(refuse them)")
ORDERS = [",".join(names) for names in (*permutations(LABEL_NAMES), ("normal", "violation"), ("violation", "normal"))]
REJECTS_SHOWN = 5
RAW_SHOWN = 120  # characters


def how_it_looks(found: Preview) -> str:
    wrong, rows = f"{len(found.rejects):,}", f"{found.looked_at:,}"
    if found.is_whole:
        if found.rejects:
            return _("**{wrong} of the {rows} rows look wrong** and would be left out").format(wrong=wrong, rows=rows)
        return _("all of the {rows} rows look right").format(rows=rows)
    if found.rejects:
        said = _("**{wrong} of the first {rows} rows look wrong** and would be left out")
        return said.format(wrong=wrong, rows=rows)
    return _("all of the first {rows} rows look right").format(rows=rows)


def correct(seen: Preview, found: Preview) -> None:
    """Encoding and columns as they were found, with a way to correct them."""
    columns = [f"{_(title)}: {plain(found.columns[role])}" for role, title in ROLES.items() if role in found.columns]
    st.caption(" · ".join(columns))
    with st.expander(_("Correct encoding and columns"), expanded=found.problem is not None):
        st.selectbox(
            _("Encoding"),
            ENCODINGS,
            key="import-encoding",
            format_func=lambda name: f"auto: {seen.encoding}" if name == "auto" and seen.encoding else name,
        )
        places = [*st.columns(4), *st.columns(4)]  # rows, so that a phone stacks them in their order
        for place, (role, title) in zip(places, ROLES.items(), strict=False):
            named = seen.columns.get(role)
            place.selectbox(
                _(title),
                [AS_NAMED, *dict.fromkeys(seen.header)],
                key=f"column-{role}",
                format_func=lambda name, named=named: (named or _("none found")) if name == AS_NAMED else name,
            )
        if found.recognised != FileKind.export.words:
            choose_source()


def choose_source() -> None:
    """Of a labelled file: whose decisions it brings, what they are worth, and how to read them."""
    left, middle, right = st.columns(3)
    left.text_input(
        _("Source of the labels"), key="import-source", help=_("Whose decisions the file brings; its name if empty.")
    )
    middle.selectbox(
        _("What its word is worth"),
        [AS_KNOWN, *TRUSTS.values()],
        key="import-trust",
        format_func=_,
        help=_("Suggestions are kept, but teach nothing and leave the post in the pool. The Review page changes it."),
    )
    right.selectbox(
        _("What integers mean as labels"),
        [REFUSED, *ORDERS],
        key="import-order",
        format_func=in_order,
        help=_("Files number labels differently: an order is never guessed."),
    )


def in_order(names: str) -> str:
    """`normal,violation` → `0 normal · 1 violation`."""
    if names == REFUSED:
        return _(REFUSED)
    return " · ".join(f"{n} {label_in_words(Label[name])}" for n, name in enumerate(names.split(",")))


def chosen_trust() -> SourceTrust | None:
    return next((trust for trust, words in TRUSTS.items() if words == st.session_state.get("import-trust")), None)


def chosen_order() -> list[str]:
    order = st.session_state.get("import-order", REFUSED)
    return [] if order == REFUSED else str(order).split(",")


def say_earlier(earlier: list[Run]) -> None:
    """A file that was read before adds nothing, unless it was taken back since."""
    if not earlier:
        return
    last = earlier[0]
    values = {"day": f"{last.created_at:%Y-%m-%d}", "name": plain(last.created_by), "run": last.id}
    if last.taken_back_at is None:
        said = _("This very file was imported on {day} by {name} (run {run}); reading it again adds nothing.")
        st.info(said.format(**values), icon=":material/history:")
    else:
        said = _("This very file was imported on {day} by {name} (run {run}) and taken back on {back}.")
        st.info(said.format(**values, back=f"{last.taken_back_at:%Y-%m-%d}"), icon=":material/history:")


def for_people(found: Preview) -> dict[str, object]:
    shown = found.rejects[:REJECTS_SHOWN]
    rows = sum(len(card.lines) for card in found.cards)
    return {
        "rejects_title": wrong_rows(len(shown), len(found.rejects)),
        "rejects": [
            {
                "line": _("line {line}").format(line=f"{r.line:,}"),
                "reason": r.reason,
                "raw": r.raw[:RAW_SHOWN],
            }
            for r in shown
        ],
        "cards_title": _("First rows: {rows}. As moderators will see them: {posts}").format(
            rows=f"{rows:,}", posts=posts_in_words(len(found.cards))
        ),
        "cards": [
            {
                "pid": _("post {pid}").format(pid=card.pid) if card.pid else _("post without pid"),
                "author": card.author and _("by {author}").format(author=card.author),
                "label": card.label,
                "label_in_words": card.label and label_in_words(Label[card.label]),
                "words": list(card.hit_words),
                "segments": [{"kind": s.kind, "text": s.text} for s in card.segments],
                "rows": place_of(card.lines),
            }
            for card in found.cards
        ],
        "words": {"invisible": _("invisible character")},
    }


def wrong_rows(shown: int, count: int) -> str:
    if count == shown:
        return _("Rows that look wrong")
    return _("Rows that look wrong: the first {shown} of {count}").format(shown=shown, count=f"{count:,}")


def place_of(lines: Sequence[int]) -> str:
    if len(lines) == 1:
        return _("line {line}").format(line=f"{lines[0]:,}")
    return ngettext("{count} row", "{count} rows", len(lines)).format(count=f"{len(lines):,}")
