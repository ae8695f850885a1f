"""Import: bring exports and labelled files in, see what became of each row, and take an import back."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from core.clock import utc_now
from core.domain import RunKind, RunStatus
from core.errors import TiebreakError
from core.services import forgetting, importing, previewing, runs, takeback
from core.services.inbox import InboxFile, inbox_path, list_inbox
from core.wording import _, ngettext
from ui.components import component
from ui.import_history import show_history
from ui.import_preview import (
    AS_NAMED,
    ROLES,
    chosen_order,
    chosen_trust,
    correct,
    for_people,
    how_it_looks,
    say_earlier,
)
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.run_view import show_run
from ui.server.uploads import upload_hash, upload_path
from ui.words import megabytes, plain

RUNS_SHOWN = 50  # and as many more at each click

# --- choosing a file --------------------------------------------------------------------------------------------------


def keep_upload() -> None:
    """Remember the file just uploaded by its name on the server."""
    uploaded = st.session_state["upload"].uploaded
    if uploaded:
        st.session_state["import-file"] = ("upload", str(uploaded["upload"]), str(uploaded["name"]))


def upload_words() -> dict[str, str]:
    """What the upload's script says."""
    return {
        "drop": _("Drop a file here, or choose one"),
        "formats": _("TSV export, or labelled JSONL, CSV or TSV, of any size"),
        "choose": _("Choose a file"),
        "stop": _("Stop"),
        "begins": _("Uploading {name} …"),
        "goes_on": _("Uploading {name}: {done} of {size} MB · about {time} left"),
        "stores": _("Uploading {name}: {done} of {size} MB · storing …"),
        "minutes": _("{count} min"),
        "seconds": _("{count} s"),
        "here": _("{name} is here."),
        "signed_out": _("You are signed out; nothing was stored. Sign in in another tab, then choose the file again."),
        "refused": _("The server refused the file ({status}); nothing was stored."),
        "offline": _("No connection to Tiebreak; nothing was stored. Choose the file again when it is back."),
        "broken": _("The connection broke off, or the file changed on the way; nothing was stored. Choose it again."),
        "stopped": _("Stopped; nothing was stored."),
    }


def chosen_request(page: Page) -> importing.ImportRequest | None:
    """The chosen file with what was corrected on the page; None while there is none."""
    if "import-file" not in st.session_state:
        return None
    place, stored, name = st.session_state["import-file"]
    is_upload = place == "upload"
    if is_upload:
        path = upload_path(page.settings, stored)
    else:
        path = inbox_path(page.actor, page.settings.inbox_dir, stored, now=utc_now())
    columns = {role: st.session_state.get(f"column-{role}", AS_NAMED) for role in ROLES}
    return importing.ImportRequest(
        str(path),
        name,
        encoding=st.session_state.get("import-encoding", "auto"),
        columns={role: column for role, column in columns.items() if column != AS_NAMED},
        source=st.session_state.get("import-source") or None,
        delete_after=is_upload,
        trust=chosen_trust(),
        label_order=chosen_order(),
        sha256=upload_hash(stored) if is_upload else None,
    )


def start_import() -> None:
    page = current_page()
    with errors_as_sentences():
        request = chosen_request(page)
        if request is not None:
            importing.queue_import(page.engine, page.actor, request, now=utc_now())
            forget_file()


def drop_file() -> None:
    """Delete an upload that is not wanted; a file in the inbox is the operator's own."""
    page = current_page()
    with errors_as_sentences():
        request = chosen_request(page)
        if request is not None and request.delete_after:
            upload_path(page.settings, st.session_state["import-file"][1]).unlink(missing_ok=True)
    forget_file()


def forget_file() -> None:
    choices = ("encoding", "source", "trust", "order")
    for key in ("import-file", *(f"import-{name}" for name in choices), *(f"column-{role}" for role in ROLES)):
        st.session_state.pop(key, None)


@st.fragment(run_every=5.0)
def show_inbox() -> None:
    """The files that lie in the inbox, looked at every few seconds."""
    page = current_page()
    with errors_as_sentences():
        found = list_inbox(page.engine, page.actor, page.settings.inbox_dir, now=utc_now())
        with st.expander(
            ngettext("Inbox: {count} file", "Inbox: {count} files", len(found)).format(count=f"{len(found):,}"),
            expanded=bool(found),
        ):
            st.caption(
                _(
                    "For files too big for a browser: copy them into this folder on the server. They "
                    "stay there after the import; they are yours to remove."
                )
            )
            st.text(str(page.settings.inbox_dir))
            if not found:
                st.caption(_("No file lies there now."))
            chosen = [file for file in found if inbox_row(file)]
    if chosen:
        st.session_state["import-file"] = ("inbox", chosen[0].name, chosen[0].name)
        st.rerun()


def inbox_row(file: InboxFile) -> bool:
    """One file; returns whether it was chosen."""
    about, button = st.columns([5, 1], vertical_alignment="center")
    lines = about.container(gap=None)
    lines.text(file.name)
    facts = [megabytes(file.size), f"{file.modified_at:%Y-%m-%d %H:%M} UTC"]
    if not file.is_settled:
        facts.append(_("still being written"))
    elif file.imported is not None:
        facts.append(
            _("imported on {day} (run {run})").format(day=f"{file.imported.created_at:%Y-%m-%d}", run=file.imported.id)
        )
    lines.caption(" · ".join(facts))
    return bool(button.button(_("Preview"), key=f"inbox-{file.name}", disabled=not file.is_settled, width="stretch"))


# --- preview ----------------------------------------------------------------------------------------------------------


def show_preview(page: Page, request: importing.ImportRequest) -> None:
    st.subheader(_("Before it starts"), anchor=False)
    st.text(request.name)
    # The header is read without the chosen columns, so that a wrong choice can be corrected.
    seen = previewing.preview(page.actor, replace(request, columns={}))
    found = previewing.preview(page.actor, request)
    correct(seen, found)
    say_earlier(previewing.earlier_imports(page.engine, page.actor, request))
    if found.problem:
        st.error(plain(found.problem), icon=":material/error:")
    else:
        st.markdown(
            _("{kind} · encoding **{encoding}** · {looks}").format(
                kind=found.recognised, encoding=found.encoding, looks=how_it_looks(found)
            )
        )
    left, right = st.columns([1, 3])
    left.button(_("Import"), type="primary", on_click=start_import, disabled=found.problem is not None, width="stretch")
    right.button(_("Do not import"), on_click=drop_file)
    if not found.problem:
        component("preview")(key="preview", data=for_people(found))


def show_older() -> None:
    st.session_state["runs-shown"] = st.session_state.get("runs-shown", RUNS_SHOWN) + RUNS_SHOWN


# --- the page ---------------------------------------------------------------------------------------------------------

page = open_page(_("Import"), _("Bring a forum's export or a labelled file in. Reading a file twice adds nothing."))
with errors_as_sentences():
    try:
        request = chosen_request(page)
    except TiebreakError:
        forget_file()  # whatever is wrong with it, the page works again at the next click
        raise
    if request is None:
        component("upload")(
            key="upload", data={"csrf": page.session.csrf, "words": upload_words()}, on_uploaded_change=keep_upload
        )
        show_inbox()
    else:
        show_preview(page, request)
    shown = st.session_state.get("runs-shown", RUNS_SHOWN)
    past = runs.list_runs(page.engine, page.actor, kind=RunKind.importing, limit=shown + 1)
    has_older, past = len(past) > shown, [run for run in past[:shown] if not forgetting.is_forgetting(run)]
    for run in reversed([run for run in past if run.is_open]):
        show_run(page, run.id)
    takers = {int(str(run.config["take_back"])): run for run in past if takeback.is_take_back(run) and run.published_at}
    failed = [run for run in past if takeback.is_take_back(run) and run.status is RunStatus.failed]
    if failed and failed[0] is past[0]:
        show_run(page, failed[0].id)
    ended = [run for run in past if not run.is_open and not takeback.is_take_back(run)]
    if ended:
        show_history(page, ended, takers)
        if has_older:
            st.button(_("Show older imports"), on_click=show_older)
    elif not any(run.is_open for run in past) and request is None:
        st.caption(
            _("Nothing was imported yet. What you import is listed here: who, when, how many rows, and what was wrong.")
        )
