"""Thresholds that were saved under a name: append-only, the newest of a name counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from core.domain import Actor, ThresholdPolicy
from db.tables import model_version, threshold_policy


def save(
    conn: Connection,
    actor: Actor,
    *,
    name: str,
    version_id: int,
    passes: float | None,
    removes: float | None,
    now: datetime,
) -> None:
    values = {"name": name, "version_id": version_id, "passes": passes, "removes": removes}
    conn.execute(insert(threshold_policy).values(**values, saved_by=actor.name, saved_at=now))


def _policies() -> Select[Any]:
    saved = select(threshold_policy, model_version.c.name.label("version"))
    saved = saved.join_from(threshold_policy, model_version, model_version.c.id == threshold_policy.c.version_id)
    return saved.order_by(threshold_policy.c.id.desc())


def list_all(conn: Connection) -> list[ThresholdPolicy]:
    """Newest first, those that a later one of the same name replaced among them."""
    return [_to_policy(row) for row in conn.execute(_policies())]


def newest(conn: Connection, name: str) -> ThresholdPolicy | None:
    row = conn.execute(_policies().where(threshold_policy.c.name == name).limit(1)).one_or_none()
    return None if row is None else _to_policy(row)


def _to_policy(row: Row[Any]) -> ThresholdPolicy:
    return ThresholdPolicy(row.id, row.name, row.version, row.passes, row.removes, row.saved_by, row.saved_at)
