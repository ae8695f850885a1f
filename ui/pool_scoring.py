"""Scoring the pool, on the Models page: how far it is, how long it takes, and how much of the pool it is to be."""

from __future__ import annotations

import streamlit as st

from core import encoders
from core.clock import utc_now
from core.domain import ModelVersion, RunKind
from core.encoders import STARTER
from core.errors import NotFound
from core.loading import encoder_places
from core.permissions import Permission, may
from core.services import runs, scoring
from core.services.scoring import Outlook
from core.wording import _, ngettext
from ui.page import Page, current_page, errors_as_sentences
from ui.run_view import show_run

LONG_S = 600.0  # from here on the lead is asked how much is to be scored
SHARES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
FEWEST = 2_000  # texts; a smaller part would not be worth a queue


def show_scoring(page: Page, version: ModelVersion) -> None:
    """Of the active version: the run that scores, or what is left to score and a way to have it done."""
    newest = runs.list_runs(page.engine, page.actor, kind=RunKind.scoring, limit=1)
    if newest and newest[0].is_open:
        show_run(page, newest[0].id)
        return
    found = scoring.outlook(page.engine, page.actor, version.name)
    if found.scored >= found.texts:
        return
    said = _("{version} has scored {scored} of the pool's {texts} different texts.")
    st.write(said.format(version=version.name, scored=f"{found.scored:,}", texts=f"{found.texts:,}"))
    if may(page.actor, Permission.manage_runs):
        share = ask_share(page, version, found) or 1.0
        st.button(_("Score the pool"), on_click=_score, args=(version.name, share))


def ask_share(page: Page, version: ModelVersion, found: Outlook) -> float | None:
    """Where the whole pool takes long, how much of it is to be scored; None: as before, else all."""
    whole = found.seconds()
    if whole is None or whole < LONG_S:
        return None
    shares = [share for share in SHARES if share == 1 or FEWEST <= share * found.texts > found.scored]
    chosen: float = st.radio(
        _("How much of the pool to score"),
        shares,
        format_func=lambda share: _in_words(found, share),
        key="pool-share",
        help=_("Posts that are not scored come up at random. New posts are scored in the same measure."),
    )
    _show_starter(page, version, whole)
    return chosen


def _in_words(found: Outlook, share: float) -> str:
    time = duration_words(found.seconds(share) or 0.0)
    if share == 1:
        return _("All {count} texts: about {time}").format(count=f"{found.texts:,}", time=time)
    said = _("{percent} % of them, drawn at random ({count} texts): about {time}")
    return said.format(percent=round(share * 100), count=f"{round(share * found.texts):,}", time=time)


def _show_starter(page: Page, version: ModelVersion, whole_s: float) -> None:
    """What the shipped encoder would take, by how many operations a token costs in each."""
    try:
        mine, starter = (
            encoders.resolve_encoder(name, **encoder_places(page.settings)) for name in (version.base, STARTER)
        )
    except NotFound:
        return
    times = mine.operations / starter.operations
    if times >= 2:
        said = _(
            "A version on the starter encoder would score all of it in about {time}: choose it on the Retrain page."
        )
        st.caption(said.format(time=duration_words(whole_s / times)))


def duration_words(seconds: float) -> str:
    """In minutes, or from two hours on in hours."""
    if seconds >= 7_200:
        hours = round(seconds / 3_600)
        return ngettext("{count} hour", "{count} hours", hours).format(count=f"{hours:,}")
    minutes = max(1, round(seconds / 60))
    return ngettext("{count} minute", "{count} minutes", minutes).format(count=minutes)


def _score(name: str, share: float) -> None:
    page = current_page()
    with errors_as_sentences():
        scoring.queue_scoring(page.engine, page.actor, version=name, share=share, now=utc_now())
