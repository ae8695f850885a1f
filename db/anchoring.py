"""Decisions beside what the model said of the same text, by what their makers could see of it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from core.domain import Label, ModelView, SourceKind
from db.distributions import predicted_label
from db.engine import plain_rows
from db.posts import decides
from db.tables import decision, family_place, prediction, source

COMPARED = (ModelView.shown, ModelView.blind, ModelView.asked)


@dataclass(frozen=True, slots=True)
class SeenDecision:
    """model: what the version said whose view was seen, or would have been. seconds: from the card to the press."""

    view: ModelView
    family: int
    said: Label
    model: Label
    seconds: float | None


def seen_decisions(conn: Connection) -> list[SeenDecision]:
    """People's decisions on their own cards that stand, of texts that the version had scored; settlements left out."""
    query = (
        select(
            decision.c.model_view,
            family_place.c.representative_id,
            decision.c.label,
            predicted_label(),
            decision.c.seconds,
        )
        .join_from(decision, source, source.c.id == decision.c.source_id)
        .join(family_place, family_place.c.text_id == decision.c.text_id)
        .join(
            prediction,
            (prediction.c.version_id == decision.c.view_version_id) & (prediction.c.text_id == decision.c.text_id),
        )
        .where(decision.c.model_view.in_(COMPARED), decision.c.via_id.is_(None), ~decision.c.settles)
        .where(source.c.kind == SourceKind.person, decides())
        .order_by(decision.c.id)
    )
    return [
        SeenDecision(ModelView(view), family, Label(said), Label(model), seconds)
        for view, family, said, model, seconds in plain_rows(conn, query)
    ]
