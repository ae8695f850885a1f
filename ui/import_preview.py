"""A file before it is imported: encoding and columns found, what looks wrong, and the first posts as cards."""

from __future__ import annotations

from itertools import permutations

import streamlit as st

from core.domain import LABEL_NAMES, Run, SourceTrust
from core.labelled import FileKind
from core.services.previewing import Preview
from ui.words import counted, plain

ENCODINGS = ("auto", "utf-8", "gb18030", "utf-16")
ROLES = {
    "pid": "Post id",
    "text": "Text",
    "hit_word": "Hit word",
    "author": "Author",
    "author_id": "Author id",
    "ip": "IP",
    "label": "Label",
}
AS_NAMED = "(as named)"
AS_KNOWN = "(as the source is known, human if new)"
TRUSTS = {
    SourceTrust.human: "human: people decided",
    SourceTrust.suggestion: "suggestion: a model's opinion",
    SourceTrust.trusted: "trusted: above all others",
}
REFUSED = "(refuse them)"
ORDERS = [",".join(names) for names in (*permutations(LABEL_NAMES), ("normal", "violation"), ("violation", "normal"))]
REJECTS_SHOWN = 5
RAW_SHOWN = 120  # characters


def how_it_looks(found: Preview) -> str:
    rows = f"{found.looked_at:,} rows" if found.is_whole else f"first {found.looked_at:,} rows"
    if not found.rejects:
        return f"all of the {rows} look right"
    return f"**{len(found.rejects):,} of the {rows} look wrong** and would be left out"


def correct(seen: Preview, found: Preview) -> None:
    """Encoding and columns as they were found, with a way to correct them."""
    columns = [f"{title}: {plain(found.columns[role])}" for role, title in ROLES.items() if role in found.columns]
    st.caption(" · ".join(columns))
    with st.expander("Correct encoding and columns", expanded=found.problem is not None):
        st.selectbox(
            "Encoding",
            ENCODINGS,
            key="import-encoding",
            format_func=lambda name: f"auto: {seen.encoding}" if name == "auto" and seen.encoding else name,
        )
        places = [*st.columns(4), *st.columns(4)]  # rows, so that a phone stacks them in their order
        for place, (role, title) in zip(places, ROLES.items(), strict=False):
            named = seen.columns.get(role)
            place.selectbox(
                title,
                [AS_NAMED, *dict.fromkeys(seen.header)],
                key=f"column-{role}",
                format_func=lambda name, named=named: (named or "none found") if name == AS_NAMED else name,
            )
        if found.recognised != FileKind.export.words:
            choose_source()


def choose_source() -> None:
    """Of a labelled file: whose decisions it brings, what they are worth, and how to read them."""
    left, middle, right = st.columns(3)
    left.text_input(
        "Source of the labels", key="import-source", help="Whose decisions the file brings; its name if empty."
    )
    middle.selectbox(
        "What its word is worth",
        [AS_KNOWN, *TRUSTS.values()],
        key="import-trust",
        help="Suggestions are kept, but teach nothing and leave the post in the pool. The Review page changes it.",
    )
    right.selectbox(
        "What integers mean as labels",
        [REFUSED, *ORDERS],
        key="import-order",
        format_func=in_order,
        help="Files number labels differently: an order is never guessed.",
    )


def in_order(names: str) -> str:
    """`normal,violation` → `0 normal · 1 violation`."""
    return names if names == REFUSED else " · ".join(f"{n} {name}" for n, name in enumerate(names.split(",")))


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
    when = f"This very file was imported on {last.created_at:%Y-%m-%d} by {plain(last.created_by)} (run {last.id})"
    if last.taken_back_at is None:
        st.info(f"{when}; reading it again adds nothing.", icon=":material/history:")
    else:
        st.info(f"{when} and taken back on {last.taken_back_at:%Y-%m-%d}.", icon=":material/history:")


def for_people(found: Preview) -> dict[str, object]:
    shown = found.rejects[:REJECTS_SHOWN]
    rows = sum(len(card.lines) for card in found.cards)
    return {
        "rejects_title": "Rows that look wrong"
        + (f": the first {len(shown)} of {len(found.rejects):,}" if len(found.rejects) > len(shown) else ""),
        "rejects": [{"line": r.line, "reason": r.reason, "raw": r.raw[:RAW_SHOWN]} for r in shown],
        "cards_title": f"First {counted(rows, 'row')}: {counted(len(found.cards), 'post')} as moderators will see them",
        "cards": [
            {
                "pid": card.pid,
                "author": card.author,
                "label": card.label,
                "words": list(card.hit_words),
                "segments": [{"kind": s.kind, "text": s.text} for s in card.segments],
                "rows": f"line {card.lines[0]:,}" if len(card.lines) == 1 else f"{len(card.lines)} rows",
            }
            for card in found.cards
        ],
    }
