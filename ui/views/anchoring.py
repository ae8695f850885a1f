"""Model view: whether seeing what the model says changes what people decide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.anchoring import ENOUGH_FAMILIES, Answer, Difference, Side
from core.domain import Label
from core.services import anchoring
from core.services.anchoring import AnchoringReport, Measured
from core.services.blinding import BLIND_SHARE
from core.services.rules import current_policy
from core.wording import N_, _
from ui.page import Page, errors_as_sentences, open_page

SEED = 20_260_302  # the same decisions give the same intervals each time the page is drawn
ANSWERS = {
    Answer.follow: N_("People say what the model says more often when they see it: it leads them."),
    Answer.oppose: N_("People say what the model says less often when they see it."),
    Answer.cannot_tell: N_("No difference can be seen: it could be chance. More decisions narrow the interval."),
}


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def spread(interval: tuple[float, float] | None, *, form: str = ".0%") -> str:
    if interval is None:
        return "–"
    return _("{low} to {high}").format(low=format(interval[0], form), high=format(interval[1], form))


def points(value: float | None) -> str:
    """A difference of two shares, in points of a hundred."""
    return "–" if value is None else f"{value * 100:+.0f}"


def show_answer(found: AnchoringReport) -> None:
    difference, shown, blind = found.difference, found.shown.side, found.blind.side
    if difference.answer is Answer.too_little:
        st.info(
            _(
                "Too little to tell yet: {shown} different posts were decided with the model's view and {blind} "
                "without; {enough} are needed on each side. One in {one_in} cards is blind."
            ).format(
                shown=f"{shown.families:,}",
                blind=f"{blind.families:,}",
                enough=ENOUGH_FAMILIES,
                one_in=round(1 / BLIND_SHARE),
            )
        )
        return
    st.write(_(ANSWERS[difference.answer]))
    st.metric(
        _("More often the model's label with its view, in points"),
        points(difference.value),
        difference_spread(difference),
        delta_color="off",
        delta_arrow="off",
        help=_("The interval holds the true difference in 95 of 100 samples; near-copies are counted as one draw."),
    )


def difference_spread(difference: Difference) -> str:
    if difference.interval is None:
        return "–"
    low, high = difference.interval
    return _("{low} to {high}").format(low=points(low), high=points(high))


def row_of(name: str, measured: Measured) -> dict[str, object]:
    side = measured.side
    return {
        _("decided"): name,
        _("posts"): side.posts,
        _("same label as the model"): percent(side.share),
        _("interval"): spread(side.share_interval),
        _("alpha"): "–" if side.alpha is None else f"{side.alpha:.2f}",
        _("its interval"): spread(side.alpha_interval, form=".2f"),
        _("median seconds"): "–" if measured.seconds is None else f"{measured.seconds:.1f}",
    }


def show_sides(found: AnchoringReport) -> None:
    rows = [
        row_of(_("with the model's view"), found.shown),
        row_of(_("blind, drawn by chance"), found.blind),
        row_of(_("after asking with M"), found.asked),
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="content", key="sides")
    st.caption(
        _(
            "Whoever asks with M chose to: those decisions stand here to be known, and can be compared with neither of "
            "the others. Alpha is Krippendorff's, between people and the model: 1 is full agreement, 0 chance."
        )
    )


def show_labels(found: AnchoringReport) -> None:
    st.subheader(_("By what the model says"), anchor=False)
    st.dataframe(
        pd.DataFrame([label_row(label, *compared) for label, compared in found.by_label.items()]),
        hide_index=True,
        width="content",
        key="by-label",
    )
    st.caption(
        _("Where one side has fewer than {enough} different posts, the difference says too little.").format(
            enough=ENOUGH_FAMILIES
        )
    )


def label_row(label: Label, shown: Side, blind: Side, difference: Difference) -> dict[str, object]:
    is_told = difference.answer is not Answer.too_little
    return {
        _("the model says"): f"{label.name} {label.chinese}",
        _("posts with its view"): shown.posts,
        _("same label"): percent(shown.share),
        _("blind posts"): blind.posts,
        _("same label, blind"): percent(blind.share),
        _("difference in points"): points(difference.value) if is_told else "–",
        _("interval"): difference_spread(difference) if is_told else "–",
    }


def show_none(page: Page) -> None:
    if current_policy(page.engine).show_model:
        st.write(
            _(
                "No decision has been made with the model's view yet. It is on every card that an active version has "
                "scored, but for the blind share."
            )
        )
    else:
        st.write(
            _(
                "The model's view is hidden until the decision, so there is nothing to compare. The Policy page can "
                "show it before; a share of cards then stays blind, and this page says what the view does to decisions."
            )
        )


page = open_page(_("Model view"), _("Whether seeing what the model says changes what people decide."))
with errors_as_sentences():
    found = anchoring.anchoring_report(page.engine, page.actor, rng=np.random.default_rng(SEED))
    if found.shown.side.posts + found.blind.side.posts + found.asked.side.posts == 0:
        show_none(page)
    else:
        show_answer(found)
        show_sides(found)
        show_labels(found)
