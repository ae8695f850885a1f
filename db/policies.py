"""The lead's policy: one versioned table, the last row counts."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import Connection, insert, select

from core.domain import Actor, Policy, Rule, Strategy
from db.tables import policy


def current_policy(conn: Connection) -> Policy:
    document = conn.execute(select(policy.c.document).order_by(policy.c.id.desc()).limit(1)).scalar()
    known = {f.name for f in fields(Policy)}
    said = {name: value for name, value in (document or {}).items() if name in known}
    if "rules" in said:
        said["rules"] = tuple(Rule(**rule) for rule in said["rules"])
    if "strategy" in said:
        said["strategy"] = Strategy(said["strategy"])
    return Policy(**said)


def save_policy(conn: Connection, actor: Actor, chosen: Policy, *, now: datetime) -> None:
    conn.execute(insert(policy).values(document=asdict(chosen), set_by=actor.name, set_at=now))
