"""The lead's policy: read by everybody who works by it, changed by a lead, every change kept and logged."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Engine

from core.domain import Actor, Policy
from core.permissions import Permission, require
from db import audit, policies
from db.engine import read, write


def current_policy(engine: Engine) -> Policy:
    with read(engine) as conn:
        return policies.current_policy(conn)


def change_policy(engine: Engine, actor: Actor, chosen: Policy, *, now: datetime) -> None:
    require(actor, Permission.manage_policy)
    with write(engine) as conn:
        policies.save_policy(conn, actor, chosen, now=now)
        audit.record_action(conn, actor, "change policy", details=asdict(chosen), now=now)
