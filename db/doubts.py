"""Doubts: gold labels that the search after a training found unlikely, by model version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, cast, func, insert, select

from core.domain import Label
from db.posts import decides, is_visible
from db.tables import decision, doubt, model_version, post


@dataclass(frozen=True, slots=True)
class Doubt:
    """label: what counted when the version was trained. quality: its probability by those who had not seen it."""

    text_id: int
    label: Label
    quality: float
    probabilities: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class DoubtedPost:
    """The first post with the text that is decided."""

    post_id: int
    doubt: Doubt


def add_doubts(conn: Connection, version_id: int, doubts: Sequence[Doubt]) -> None:
    rows = [
        {"version_id": version_id, "text_id": d.text_id, "label": int(d.label), "quality": d.quality}
        | dict(zip(("p_normal", "p_suspicious", "p_violation"), d.probabilities, strict=True))
        for d in doubts
    ]
    if rows:
        conn.execute(insert(doubt), rows)


def newest_version(conn: Connection) -> str | None:
    """Name of the newest version whose training found any."""
    newest = select(func.max(doubt.c.version_id)).scalar_subquery()
    return conn.execute(select(model_version.c.name).where(model_version.c.id == newest)).scalar()


def doubted_posts(conn: Connection) -> list[DoubtedPost]:
    """By the newest search, least likely first; what a lead has settled is left out, and what all say otherwise now."""
    newest = select(func.max(doubt.c.version_id)).scalar_subquery()
    query = (
        select(func.min(post.c.id).label("post_id"), doubt)
        .join_from(doubt, post, post.c.text_id == doubt.c.text_id)
        .join(decision, (decision.c.post_id == post.c.id) & (decision.c.text_id == post.c.text_id))
        .where(doubt.c.version_id == newest, decides(), is_visible())
        .group_by(doubt.c.version_id, doubt.c.text_id)
        .having(func.max(cast(decision.c.settles, Integer)) == 0)
        .having(func.max(cast(decision.c.label == doubt.c.label, Integer)) == 1)
        .order_by(doubt.c.quality, doubt.c.text_id)
    )
    return [
        DoubtedPost(r.post_id, Doubt(r.text_id, Label(r.label), r.quality, (r.p_normal, r.p_suspicious, r.p_violation)))
        for r in conn.execute(query)
    ]
