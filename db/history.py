"""Everything that is known of one post, table by table, for its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, union

from db.engine import each_of
from db.tables import (
    check_post,
    decision,
    distinct_text,
    flag,
    hit,
    lease,
    model_version,
    post,
    prediction,
    run,
    second_opinion,
    sighting,
    skip,
    snapshot_decision,
    source,
    user,
)

HistoryRow = Row[*tuple[Any, ...]]
Rows = Sequence[HistoryRow]


def texts_of(conn: Connection, post_id: int) -> dict[int, str]:
    """The text that the post has, and those that decisions were made on, by id."""
    known = union(
        select(post.c.text_id).where(post.c.id == post_id),
        select(decision.c.text_id).where(decision.c.post_id == post_id),
    )
    query = select(distinct_text.c.id, distinct_text.c.body).where(distinct_text.c.id.in_(known))
    return {row.id: row.body for row in conn.execute(query)}


def imports_of(conn: Connection, post_id: int) -> Rows:
    """(run columns, brought, again): imports that hold the post, with the excerpts each brought or found again."""
    brought = (
        select(hit.c.import_id, func.count().label("excerpts"))
        .where(hit.c.post_id == post_id)
        .group_by(hit.c.import_id)
    ).subquery()
    again = (
        select(sighting.c.import_id, func.count().label("excerpts"))
        .where(sighting.c.post_id == post_id)
        .group_by(sighting.c.import_id)
    ).subquery()
    touched = union(
        select(post.c.import_id).where(post.c.id == post_id),
        select(brought.c.import_id),
        select(again.c.import_id),
        select(decision.c.import_id).where(decision.c.post_id == post_id, decision.c.import_id.is_not(None)),
    )
    query = (
        select(
            run.c.id, run.c.config, run.c.created_by, run.c.published_at, run.c.taken_back_at,
            func.coalesce(brought.c.excerpts, 0).label("brought"), func.coalesce(again.c.excerpts, 0).label("again"),
        )
        .outerjoin(brought, brought.c.import_id == run.c.id)
        .outerjoin(again, again.c.import_id == run.c.id)
        .where(run.c.id.in_(touched), run.c.published_at.is_not(None))
        .order_by(run.c.id)
    )  # fmt: skip
    return conn.execute(query).all()


def decisions_of(conn: Connection, post_id: int) -> Rows:
    """All of them, also those taken back, oldest first, with their source and the card they were made on."""
    query = (
        select(
            decision, source.c.name, source.c.kind, source.c.trust, source.c.user_id, lease.c.claimed_at, lease.c.reason
        )
        .join_from(decision, source, source.c.id == decision.c.source_id)
        .outerjoin(lease, lease.c.id == decision.c.lease_id)
        .where(decision.c.post_id == post_id)
        .order_by(decision.c.id)
    )
    return conn.execute(query).all()


def leases_of(conn: Connection, post_id: int) -> Rows:
    query = select(lease, user.c.name).join_from(lease, user, user.c.id == lease.c.user_id)
    return conn.execute(query.where(lease.c.post_id == post_id).order_by(lease.c.id)).all()


def skips_of(conn: Connection, post_id: int) -> Rows:
    query = select(skip, user.c.name).join_from(skip, user, user.c.id == skip.c.user_id)
    return conn.execute(query.where(skip.c.post_id == post_id)).all()


def flags_of(conn: Connection, post_id: int) -> Rows:
    query = select(flag, user.c.name).join_from(flag, user, user.c.id == flag.c.user_id)
    return conn.execute(query.where(flag.c.post_id == post_id).order_by(flag.c.id)).all()


def second_opinion_of(conn: Connection, post_id: int) -> HistoryRow | None:
    return conn.execute(select(second_opinion).where(second_opinion.c.post_id == post_id)).one_or_none()


def check_of(conn: Connection, post_id: int) -> HistoryRow | None:
    return conn.execute(select(check_post).where(check_post.c.post_id == post_id)).one_or_none()


def predictions_of(conn: Connection, text_ids: Sequence[int]) -> Rows:
    """(version, prediction columns) for the texts, oldest version first."""
    query = (
        select(model_version.c.name, prediction)
        .join_from(prediction, model_version, model_version.c.id == prediction.c.version_id)
        .where(prediction.c.text_id.in_(each_of(text_ids)))
        .order_by(prediction.c.version_id, prediction.c.text_id)
    )
    return conn.execute(query).all()


def trainings_of(conn: Connection, post_id: int) -> Rows:
    """(run, when, its version or None, side): trainings whose snapshot holds a decision on the post."""
    query = (
        select(
            run.c.id, run.c.started_at, run.c.created_at, run.c.status, model_version.c.name, snapshot_decision.c.side
        )
        .join_from(decision, snapshot_decision, snapshot_decision.c.decision_id == decision.c.id)
        .join(run, run.c.id == snapshot_decision.c.run_id)
        .outerjoin(model_version, model_version.c.run_id == run.c.id)
        .where(decision.c.post_id == post_id)
        .distinct()
        .order_by(run.c.id)
    )
    return conn.execute(query).all()
