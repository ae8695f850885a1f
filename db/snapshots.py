"""Snapshots: exactly which decisions, on which side, a training run used."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from core.domain import Side
from db.tables import snapshot_decision


def add_snapshot(conn: Connection, run_id: int, decisions: Sequence[tuple[int, Side]]) -> None:
    """decisions: (decision_id, side)."""
    if decisions:
        rows = [{"run_id": run_id, "decision_id": decision_id, "side": side} for decision_id, side in decisions]
        conn.execute(insert(snapshot_decision), rows)


def decisions_of_snapshot(conn: Connection, run_id: int) -> list[tuple[int, Side]]:
    query = select(snapshot_decision).where(snapshot_decision.c.run_id == run_id)
    return [(row.decision_id, Side(row.side)) for row in conn.execute(query.order_by(snapshot_decision.c.decision_id))]
