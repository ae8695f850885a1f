"""Retrain: from decisions to a new model version."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import LABEL_NAMES, Label, Run, RunKind
from core.encoders import Encoder, local_encoders
from core.errors import Conflict
from core.services import runs, training
from core.wording import _, ngettext
from ui.adapting import show_adapting
from ui.curves import how_in_words, show_curves
from ui.device import DeviceFound, description, find_device, minutes_estimate
from ui.languages import retell
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.run_view import log_tail, show_run
from ui.words import label_in_words, status_in_words


def start() -> None:
    page = current_page()
    request = training.TrainingRequest(
        quick=st.session_state["retrain-how"] == "quick",
        base=st.session_state["retrain-base"],
        all_gpus=bool(st.session_state.get("retrain-all-gpus", False)),
    )
    with errors_as_sentences():
        training.queue_training(page.engine, page.actor, request, now=utc_now())


def show_labels(counts: training.LabelCounts) -> None:
    table = pd.DataFrame(
        {_("to learn from"): counts.train, _("kept aside"): counts.held_out, _("new"): counts.since_last_run},
        index=pd.Index(LABEL_NAMES, name=_("label")),
    ).rename(index={label.name: label_in_words(label) for label in Label})
    table.loc[_("all")] = table.sum()
    st.dataframe(table.style.format("{:,}"), width="content")
    if counts.left_out:
        st.caption(
            ngettext(
                "{count} decided post is left out: an import changed its text after a version had been trained or "
                "measured on it, and it stands on the other side of the split now.",
                "{count} decided posts are left out: imports changed their texts after a version had been trained or "
                "measured on them, and they stand on the other side of the split now.",
                counts.left_out,
            ).format(count=f"{counts.left_out:,}")
        )


def choose(page: Page, encoders: list[Encoder], counts: training.LabelCounts, device: DeviceFound) -> None:
    st.selectbox(
        _("Base encoder"),
        [encoder.name for encoder in encoders],
        key="retrain-base",
        help=_("Encoders found in models/base/ and in the Hugging Face cache of this machine; the starter is shipped."),
    )
    st.radio(
        _("How"),
        ["quick", "full"],
        key="retrain-how",
        horizontal=True,
        format_func={"quick": _("quick"), "full": _("full")}.__getitem__,
        captions=[_("200 steps or one pass: a first look"), _("several passes, the best one kept: for work")],
    )
    if device.count > 1:
        st.toggle(_("On all {count} GPUs").format(count=device.count), value=True, key="retrain-all-gpus")
    chosen = next(encoder for encoder in encoders if encoder.name == st.session_state["retrain-base"])
    quick = st.session_state["retrain-how"] == "quick"
    labels = sum(counts.train.values())
    problem = training_problem(counts)
    takes = "" if problem else minutes_estimate(device, chosen, labels=labels, quick=quick)
    st.caption(
        _("{device}. Training on {labels} labels takes {time}.").format(
            device=description(device), labels=f"{labels:,}", time=takes
        )
        if takes
        else f"{description(device)}."
    )
    st.button(_("Retrain"), type="primary", on_click=start, disabled=problem is not None)
    if problem:
        st.info(problem)


def training_problem(counts: training.LabelCounts) -> str | None:
    try:
        training.refuse_too_few(counts.train)
    except Conflict as err:
        return str(err)
    return None


def show_training(page: Page, run: Run) -> None:
    show_run(page, run.id)
    follow(run.id, is_open=run.is_open)
    if not run.is_open and run.result:
        st.page_link(
            "views/models.py",
            label=_("Compare and promote {version}").format(version=run.result["version"]),
            icon=":material/rule:",
        )
        if said := run.result.get("by_itself"):
            st.info(_("Trained by itself, as the policy lets it.") + " " + retell(str(said)))
        for warning in run.result.get("warnings", []):  # type: ignore[attr-defined]
            st.warning(retell(str(warning)))


def follow(run_id: int, *, is_open: bool) -> None:
    """How the training is executed, its curves and its log; renewed while it runs."""

    @st.fragment(run_every=2.0 if is_open else None)
    def draw() -> None:
        looking = current_page()
        run = runs.show_run(looking.engine, looking.actor, run_id)
        if how := how_in_words(run):
            st.caption(how)
        show_curves(run, runs.points_of(looking.engine, looking.actor, run_id))
        log = log_tail(looking, run_id)
        if log:
            with st.expander(_("Log")):
                st.code(log, language=None, wrap_lines=True)

    draw()


page = open_page(
    _("Retrain"), _("Make a new model version from what has been decided. It becomes active only when you promote it.")
)
with errors_as_sentences():
    newest = runs.list_runs(page.engine, page.actor, kind=RunKind.training, limit=10)
    places = page.settings
    found = local_encoders(models_dir=places.models_dir, starter_dir=places.starter_dir, hub_cache=places.hub_cache)
    if newest and newest[0].is_open:
        show_training(page, newest[0])
    else:
        counts = training.count_labels(page.engine, page.actor)
        show_labels(counts)
        if found:
            choose(page, found, counts, find_device())
        else:
            st.error(_("No base encoder is here. Put one into models/base/<name>/ (see the README)."))
        if newest:
            st.subheader(_("Last run"), anchor=False)
            show_training(page, newest[0])
    if len(newest) > 1:
        st.subheader(_("Earlier runs"), anchor=False)
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        _("run"): r.id,
                        _("status"): status_in_words(r.status),
                        "started": r.started_at,
                        _("by"): r.created_by,
                        _("version"): r.result.get("version", ""),
                    }
                    for r in newest[1:]
                ]
            ),
            hide_index=True,
            column_config={"started": st.column_config.DatetimeColumn(_("started (UTC)"), format="YYYY-MM-DD HH:mm")},
        )
        for run in newest[1:]:
            if run.error:
                st.text(_("run {run}: {reason}").format(run=run.id, reason=retell(run.error)))
    if found:
        show_adapting(page, found)
