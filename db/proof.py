"""What the queue has brought: decisions by the reason that their post was shown for, and draws by chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from core.domain import SourceKind
from db.distributions import predicted_label
from db.engine import each_of, plain_rows
from db.posts import decides, is_visible
from db.tables import decision, family_place, lease, post, prediction, source


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """A decision on a card. family: of the text it is on. is_drawn: by chance, and how likely that was is known.

    seconds: from the card to the press.
    """

    reason: str
    post_id: int
    family: int
    label: int
    seconds: float | None
    is_drawn: bool


def shown_decisions(conn: Connection) -> list[ShownDecision]:
    """Decisions on cards that stand, in the order in which they were made; without check posts."""
    query = (
        select(
            lease.c.reason,
            decision.c.post_id,
            family_place.c.representative_id,
            decision.c.label,
            decision.c.seconds,
            lease.c.selection_probability.is_not(None),
        )
        .join_from(decision, lease, lease.c.id == decision.c.lease_id)
        .join(source, source.c.id == decision.c.source_id)
        .join(post, post.c.id == decision.c.post_id)
        .join(family_place, family_place.c.text_id == decision.c.text_id)
        .where(source.c.kind == SourceKind.person, decision.c.via_id.is_(None), ~lease.c.is_check)
        .where(decides(), is_visible())
        .order_by(decision.c.id)
    )
    return [
        ShownDecision(reason, post_id, family, label, seconds, bool(is_drawn))
        for reason, post_id, family, label, seconds, is_drawn in plain_rows(conn, query)
    ]


def labels_said(
    conn: Connection, version_ids: Sequence[int], text_ids: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """(version, text, likeliest label) of what those versions say of those texts, where they have scored them."""
    query = select(prediction.c.version_id, prediction.c.text_id, predicted_label()).where(
        prediction.c.version_id.in_(version_ids), prediction.c.text_id.in_(each_of(text_ids))
    )
    return plain_rows(conn, query)
