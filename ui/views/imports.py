"""Import: bring exports and labelled files in, and see what became of each row."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import LABEL_NAMES, Run, RunKind, RunStatus, SourceTrust
from core.services import importing, previewing, runs
from ui.components import component
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.run_view import show_run
from ui.server.uploads import upload_path

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
COUNTS = {
    "rows": "rows",
    "posts_added": "posts added",
    "hits_added": "hits added",
    "repeats": "repeats",
    "rejected": "rejected",
    "decisions_added": "decisions",
}
REFUSED = "(refuse them)"
ORDERS = [",".join(names) for names in (*permutations(LABEL_NAMES), ("normal", "violation"), ("violation", "normal"))]


def keep_upload() -> None:
    """Remember the file just uploaded by its name on the server."""
    uploaded = st.session_state["upload"].uploaded
    if uploaded:
        st.session_state["import-file"] = (str(uploaded["upload"]), str(uploaded["name"]))


def chosen_request(page: Page) -> importing.ImportRequest | None:
    """The uploaded file with what was corrected on the page; None before an upload."""
    if "import-file" not in st.session_state:
        return None
    upload, name = st.session_state["import-file"]
    path = upload_path(page.settings, upload)
    columns = {role: st.session_state.get(f"column-{role}", AS_NAMED) for role in ROLES}
    return importing.ImportRequest(
        str(path),
        name,
        encoding=st.session_state.get("import-encoding", "auto"),
        columns={role: column for role, column in columns.items() if column != AS_NAMED},
        source=st.session_state.get("import-source") or None,
        delete_after=True,
        trust=next((trust for trust, words in TRUSTS.items() if words == st.session_state.get("import-trust")), None),
        label_order=order.split(",") if (order := st.session_state.get("import-order", REFUSED)) != REFUSED else [],
    )


def start_import() -> None:
    page = current_page()
    with errors_as_sentences():
        request = chosen_request(page)
        if request is not None:
            importing.queue_import(page.engine, page.actor, request, now=utc_now())
            forget_file()


def import_again(run_id: int) -> None:
    """Put the request of a failed run in line once more."""
    page = current_page()
    with errors_as_sentences():
        failed = runs.show_run(page.engine, page.actor, run_id)
        request = importing.ImportRequest(**failed.config)  # type: ignore[arg-type]
        importing.queue_import(page.engine, page.actor, request, now=utc_now())


def offer_again(failed: Run) -> None:
    """An import that was killed leaves its upload; one that could not read its file has deleted it."""
    if Path(str(failed.config["path"])).is_file():
        st.button("Import again", on_click=import_again, args=(failed.id,), help=str(failed.config["name"]))
    else:
        st.caption(f"{failed.config['name']} is not kept here any more; upload it again.")


def drop_file() -> None:
    page = current_page()
    with errors_as_sentences():
        request = chosen_request(page)
        if request is not None:
            upload_path(page.settings, st.session_state["import-file"][0]).unlink(missing_ok=True)
    forget_file()


def forget_file() -> None:
    choices = ("encoding", "source", "trust", "order")
    for key in ("import-file", *(f"import-{name}" for name in choices), *(f"column-{role}" for role in ROLES)):
        st.session_state.pop(key, None)


def show_preview(page: Page, request: importing.ImportRequest) -> None:
    st.subheader(request.name, anchor=False)
    # The header is read without the chosen columns, so that a wrong choice can be corrected.
    seen = previewing.preview(page.actor, replace(request, columns={}))
    correct(seen)
    found = previewing.preview(page.actor, request)
    if found.problem:
        st.error(found.problem, icon=":material/error:")
    else:
        wrong = f"{len(found.rejects):,} of the first {found.looked_at:,} rows look wrong"
        verdict = wrong if found.rejects else "all rows seen so far look right"
        st.caption(f"{found.recognised} · encoding {found.encoding} · {verdict}")
        st.dataframe(preview_table(found), hide_index=True, width="stretch")
        for reject in found.rejects[:5]:
            st.text(f"line {reject.line}: {reject.reason}")
    left, right = st.columns([1, 5])
    left.button("Import", type="primary", on_click=start_import, disabled=found.problem is not None)
    right.button("Do not import", on_click=drop_file)


def correct(seen: previewing.Preview) -> None:
    """Encoding and columns, with a way to correct them."""
    with st.expander("Encoding and columns", expanded=seen.problem is not None):
        st.selectbox("Encoding", ENCODINGS, key="import-encoding", help=f"Recognised: {seen.encoding}")
        roles = list(ROLES.items())
        for start in range(0, len(roles), 4):  # each row in columns of its own: on a phone they stack in this order
            for place, (role, title) in zip(st.columns(4), roles[start : start + 4], strict=False):
                place.selectbox(title, [AS_NAMED, *seen.header], key=f"column-{role}")
        left, middle, right = st.columns(3)
        left.text_input(
            "Source of the labels",
            key="import-source",
            help="Whose decisions a labelled file brings; its name if empty.",
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


def preview_table(found: previewing.Preview) -> pd.DataFrame:
    columns = ["pid", "hit_word", "text", "author", "label"]
    table = pd.DataFrame([{name: getattr(row, name) or "" for name in columns} for row in found.rows], columns=columns)
    return table.loc[:, [name for name in columns if name in ("pid", "text") or table[name].any()]]


def show_history(page: Page, past: list[Run]) -> None:
    st.subheader("Imports so far", anchor=False)
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "run": run.id,
                    "file": run.config["name"],
                    "status": run.status,
                    "by": run.created_by,
                    "when": run.created_at,
                    **{title: counted(run, key) for key, title in COUNTS.items()},
                    "error": run.error or "",
                }
                for run in past
            ]
        ),
        hide_index=True,
        width="stretch",
        column_config={
            "when": st.column_config.DatetimeColumn("when (UTC)", format="YYYY-MM-DD HH:mm"),
            **{title: st.column_config.TextColumn(alignment="right") for title in COUNTS.values()},
        },
    )
    for run in [run for run in past if run.result.get("split_overlaps")][:5]:
        st.warning(overlap_words(run), icon=":material/content_copy:")
    with_rejects = [run for run in past if run.result.get("rejected")]
    for run in with_rejects[:5]:
        st.link_button(
            f"Rejected rows of {run.config['name']} (run {run.id}): {run.result['rejected']:,}",
            f"/api/imports/{run.id}/rejects",
            icon=":material/download:",
        )


def counted(run: Run, key: str) -> str:
    """A count of the result; nothing, not even a zero, for a run that came to none."""
    count = run.result.get(key)
    return f"{count:,}" if isinstance(count, int) else ""


def overlap_words(run: Run) -> str:
    """What an import found to stand on both sides of the split that its file names."""
    lines, count = run.result.get("split_overlap_lines"), run.result["split_overlaps"]
    pairs = [f"{train} and {evaluation}" for train, evaluation in lines] if isinstance(lines, list) else []
    return (
        f"{run.config['name']} (run {run.id}): {count:,} {'text stands' if count == 1 else 'texts stand'} both in its "
        f"training and its evaluation split, for example on lines {', '.join(pairs)}. Figures measured on that split "
        "are too good. Tiebreak draws its own split, in which copies stay together."
    )


page = open_page("Import", "Bring a forum's export or a labelled file in. Reading a file twice adds nothing.")
with errors_as_sentences():
    request = chosen_request(page)
    if request is None:
        component("upload")(key="upload", data={"csrf": page.session.csrf}, on_uploaded_change=keep_upload)
    else:
        show_preview(page, request)
    past = runs.list_runs(page.engine, page.actor, kind=RunKind.importing)
    for run in reversed([run for run in past if run.is_open]):
        show_run(page, run.id)
    ended = [run for run in past if not run.is_open]
    if ended and ended[0].status is RunStatus.failed:
        show_run(page, ended[0].id)
        offer_again(ended[0])
    if ended:
        show_history(page, ended)
