"""The pool's columns for a page: there, or made first while the page says how far that is."""

from __future__ import annotations

import logging

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import Conflict
from core.services import columns
from core.services.columns import Columns
from core.wording import _
from ui.page import Page
from ui.server import runtime

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.3
TRIES = 3  # while they are made, what they are made of may change


def open_columns(page: Page, *, version: str | None) -> Columns:
    """Columns of the pool as it is now, with a version's probabilities. Waits for them to be made where they are not.

    Raises NotFound for an unknown version, Conflict where they cannot be made.
    """
    place = st.empty()  # also where nothing is to be shown: what stands below keeps its place, and with it its state
    for _try in range(TRIES):
        found = columns.find(page.engine, page.actor, page.settings, version=version)
        if found is not None:
            return found
        _make(page, version, place)
    raise Conflict(_("The posts change faster than they can be read; look again when imports and scoring have ended."))


def _make(page: Page, version: str | None, place: DeltaGenerator) -> None:
    writing = runtime.require().writings.join(page.settings, version)
    while not writing.wait(LOOK_EVERY_S):
        stage = _(writing.stage) if writing.stage else _("beginning")
        said = _("Making the posts ready to be looked at, as after each import and scoring: {stage}")
        place.progress(writing.share, text=said.format(stage=stage))
    place.empty()
    if writing.process.returncode != 0:
        logger.error("columns could not be written: %s", writing.error)
        raise Conflict(
            _("The posts could not be made ready to be looked at; the server's log tells why (mostly a full disk).")
        )
