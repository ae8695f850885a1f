"""Adapting an encoder to the forum, on the Retrain page: start it, watch it, go on with one that was stopped."""

from __future__ import annotations

import streamlit as st

from core.clock import utc_now
from core.domain import Run, RunKind, RunStatus
from core.encoders import Encoder
from core.errors import Conflict
from core.pretrainer import refuse_taken, unfinished
from core.services import pretraining, runs
from core.services.pretraining import LEAST_TEXTS, PretrainingRequest
from core.wording import _, ngettext
from ui.curves import show_curves
from ui.device import adapting_estimate, find_device
from ui.page import Page, current_page, errors_as_sentences
from ui.run_view import show_run


def show_adapting(page: Page, encoders: list[Encoder]) -> None:
    newest = runs.list_runs(page.engine, page.actor, kind=RunKind.pretraining, limit=1)
    st.subheader(_("Adapt an encoder to this forum"), anchor=False)
    st.caption(
        _(
            "An encoder learns what words stand beside one another here, from the posts themselves and without any "
            "label. That takes long; it can be stopped, and goes on later. What comes out is a base encoder to "
            "retrain from."
        )
    )
    if not newest or not newest[0].is_open:
        _choose(page, encoders)
    if newest:
        _show(page, newest[0])


def _show(page: Page, run: Run) -> None:
    show_run(page, run.id)

    @st.fragment(run_every=2.0 if run.is_open else None)
    def draw() -> None:
        looking = current_page()
        found = runs.show_run(looking.engine, looking.actor, run.id)
        show_curves(found, runs.points_of(looking.engine, looking.actor, run.id))

    draw()
    if run.status is RunStatus.succeeded:
        said = _("{encoder} is ready: choose it as base encoder above. Masked words it guesses: {share} right.")
        share = f"{float(str(run.result['held_out_accuracy'])):.1%}"
        st.caption(said.format(encoder=run.result["encoder"], share=share))


def _choose(page: Page, encoders: list[Encoder]) -> None:
    texts = pretraining.count_texts(page.engine, page.actor)
    if texts < LEAST_TEXTS:
        st.info(_("There are too few posts to learn from; import some first."))
        return
    for name, base in unfinished(page.settings).items():
        st.button(_("Go on with {name}").format(name=name), key=f"go-on-{name}", on_click=_go_on, args=(name, base))
    base = st.selectbox(_("Encoder to begin from"), [e.name for e in encoders], key="adapt-base")
    chosen = next(encoder for encoder in encoders if encoder.name == base)
    with st.form("adapt", border=False):
        st.text_input(_("Name of the new encoder"), f"{base.rpartition('/')[2]}-forum", key=f"adapt-name-{base}")
        st.caption(
            ngettext("{count} text; it takes {time}.", "{count} texts; it takes {time}.", texts).format(
                count=f"{texts:,}", time=adapting_estimate(find_device(), chosen, texts=texts)
            )
        )
        st.form_submit_button(_("Adapt"), on_click=_begin)


def _begin() -> None:
    base = str(st.session_state["adapt-base"])
    _queue(str(st.session_state[f"adapt-name-{base}"]).strip(), base, resume=False)


def _go_on(name: str, base: str) -> None:
    _queue(name, base, resume=True)


def _queue(name: str, base: str, *, resume: bool) -> None:
    page = current_page()
    with errors_as_sentences():
        request = PretrainingRequest(name=name, base=base, resume=resume)
        refuse_taken(page.settings, request)
        if not resume and name in unfinished(page.settings):
            raise Conflict(_("{name} is unfinished: go on with it, or choose another name.").format(name=name))
        pretraining.queue_pretraining(page.engine, page.actor, request, now=utc_now())
