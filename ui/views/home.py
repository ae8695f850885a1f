"""Home: where the forum stands, and what to do next."""

from __future__ import annotations

import streamlit as st

from core.clock import utc_now
from core.permissions import Permission, may
from core.services import importing
from core.services.status import Status, status_of
from core.wording import _, ngettext
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.run_view import show_run

SAMPLES = ("forum.tsv", "labelled.jsonl")


def import_samples() -> None:
    """Put both files of the sample forum in line."""
    page = current_page()
    with errors_as_sentences():
        for name in SAMPLES:
            request = importing.ImportRequest(str(page.settings.samples_dir / name), name)
            importing.queue_import(page.engine, page.actor, request, now=utc_now())


def show_numbers(found: Status) -> None:
    columns = st.columns(4)
    columns[0].metric(_("Posts"), f"{found.posts:,}")
    columns[1].metric(_("Decided"), f"{found.decided:,}")
    columns[2].metric(_("Left in queue"), f"{found.queue_left:,}")
    columns[3].metric(_("Active model"), found.active_model or _("none yet"))


def next_step(page: Page, found: Status) -> tuple[str, str | None, str | None]:
    """(sentence, page file, button) for this person now."""
    is_lead = may(page.actor, Permission.manage_runs)
    if found.posts == 0:
        said = _("There are no posts yet.") if is_lead else _("There are no posts yet. A lead imports them.")
        return (said, None, None)
    if may(page.actor, Permission.label) and not (is_lead and found.decided >= 100 and found.active_model is None):
        left = found.queue_left
        said = ngettext("{count} post waits for a decision.", "{count} posts wait for a decision.", left)
        return (said.format(count=f"{left:,}"), "views/label.py", _("Decide posts"))
    if is_lead and found.newest_model:
        return (
            _("{version} is trained, but no version is active.").format(version=found.newest_model),
            "views/models.py",
            _("Compare and promote"),
        )
    if is_lead:
        return (_("There is no model yet, and enough to learn from."), "views/retrain.py", _("Retrain"))
    return (_("See how sure the model is."), "views/distributions.py", _("Open distributions"))


page = open_page(_("Home"), _("Where the forum stands, and what to do next."))
with errors_as_sentences():
    found = status_of(page.engine)
    is_lead = may(page.actor, Permission.manage_imports)
    if found.posts or found.open_runs:
        show_numbers(found)
    sentence, target, caption = next_step(page, found)
    if not found.open_runs:
        st.write(sentence)
    if target and caption:
        st.page_link(target, label=caption, icon=":material/arrow_forward:")
    if found.posts == 0 and is_lead and not found.open_runs:
        st.button(_("Try it with the sample forum"), type="primary", on_click=import_samples)
        st.caption(_("1,200 invented posts and 400 labels: retraining works minutes from now."))
        st.page_link("views/imports.py", label=_("Import your own export"), icon=":material/upload_file:")
    if may(page.actor, Permission.look):
        for run in found.open_runs:
            show_run(page, run.id)
