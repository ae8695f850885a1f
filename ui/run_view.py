"""A run on a page: stage, bar, times, log and cancel, renewed each second until the run ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import streamlit as st

from core.clock import utc_now
from core.domain import Run, RunKind, RunStatus
from core.services import runs
from core.services.launching import log_path
from core.services.takeback import is_take_back
from core.wording import N_, _
from ui.languages import retell
from ui.page import Page, current_page, errors_as_sentences
from ui.words import plain, status_in_words

LOG_LINES = 12


def show_run(page: Page, run_id: int) -> None:
    """Show a run; while it is open, look again each second, and once more redraw the page when it ends."""
    if runs.show_run(page.engine, page.actor, run_id).is_open:
        _live(run_id)
    else:
        _draw(page, run_id)


@st.fragment(run_every=1.0)
def _live(run_id: int) -> None:
    page = current_page()
    run = _draw(page, run_id)
    if not run.is_open:
        st.rerun()


def _draw(page: Page, run_id: int) -> Run:
    run = runs.show_run(page.engine, page.actor, run_id)
    st.markdown(
        f"**{_title(run)}** · {status_in_words(run.status)}"
        + (f" · {_(run.stage)}" if run.stage and run.is_open else "")
    )
    if "name" in run.config:
        st.text(str(run.config["name"]))  # a file's name is not markup
    if run.is_open:
        share = min(1.0, run.done / run.total) if run.total else 0.0
        st.progress(share, text=_progress_text(run, utc_now()))
        if run.published_at is None:  # what is published only tidies up
            st.button(_("Cancel"), key=f"cancel-{run.id}", on_click=_cancel, args=(run.id,))
    elif run.status is RunStatus.failed:
        st.error(plain(retell(run.error or N_("The run failed."))), icon=":material/error:")
    elif run.status is RunStatus.cancelled:
        has_learned = run.kind is RunKind.pretraining and run.done
        kept = _("Stopped. What it has learned is kept: it can go on.")
        st.info(kept if has_learned else _("Cancelled. Nothing was changed."))
    return run


def _title(run: Run) -> str:
    if is_take_back(run):
        return _("Taking back import {taken} (run {run})").format(taken=run.config["take_back"], run=run.id)
    titles = {
        RunKind.importing: _("Import run {run}"),
        RunKind.training: _("Training run {run}"),
        RunKind.scoring: _("Scoring run {run}"),
        RunKind.pretraining: _("Pretraining run {run}"),
        RunKind.export: _("Export run {run}"),
    }
    return titles[run.kind].format(run=run.id)


def _cancel(run_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        runs.cancel_run(page.engine, page.actor, run_id, now=utc_now())


def _progress_text(run: Run, now: datetime) -> str:
    if run.status is RunStatus.queued:
        return _("waiting for the worker")
    if run.cancel_requested_at is not None:
        return _("stopping …")
    parts = [retell(run.message)] if run.message else []
    if run.started_at is not None:
        parts.append(_("{time} so far").format(time=_minutes(now - run.started_at)))
    left = _left_in_stage(run, now)
    if left is not None:
        parts.append(_("about {time} left in this stage").format(time=_minutes(left)))
    return " · ".join(parts)


def _left_in_stage(run: Run, now: datetime) -> timedelta | None:
    """From the pace since this page first saw the stage: loading the libraries says nothing about training."""
    key = f"stage-{run.id}"
    stage, since, done = st.session_state.get(key, ("", now, 0))
    if stage != run.stage:
        st.session_state[key] = (run.stage, now, run.done)
        return None
    return time_left(now - since, done=run.done - done, left=(run.total or 0) - run.done)


def time_left(elapsed: timedelta, *, done: int, left: int) -> timedelta | None:
    """How long the rest takes at the pace so far; None until a fiftieth of what there was has been done."""
    if done <= 0 or done * 50 < done + left:
        return None
    return elapsed * (left / done)


def _minutes(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    return _("{minutes} min").format(minutes=f"{seconds // 60}:{seconds % 60:02d}")


def log_tail(page: Page, run_id: int) -> str:
    """The last lines of the run's log."""
    path = Path(log_path(page.settings, run_id))
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8_000))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-LOG_LINES:])
