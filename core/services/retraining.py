"""Retraining by itself, where the lead lets it: when it is due, and what becomes of the version that comes out."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from core.domain import Actor, Policy, Role, Run, RunKind
from core.errors import Conflict
from core.permissions import Permission, require
from core.services import models, training
from core.services.training import TrainingRequest
from core.wording import N_
from db import decisions, policies, runs
from db.engine import read

BY_ITSELF = Actor(None, "tiebreak", Role.lead)  # whom the audit log names
A_NIGHT = timedelta(hours=20)  # between two trainings by the clock: its hour comes once

PROMOTED = N_("Promoted by itself: it is not worse than the active version.")
NOT_ALLOWED = N_("Not promoted: the policy leaves that to a lead.")


def retrain_if_due(engine: Engine, actor: Actor, *, now: datetime) -> Run | None:
    """Put a training in line when the policy says so; None when it does not, or there is too little to learn from.

    What was decided counts since the last training began, whatever became of that: one that fails is not begun again
    before there is something new.
    """
    require(actor, Permission.manage_runs)
    with read(engine) as conn:
        policy = policies.current_policy(conn)
        if not _is_due(conn, policy, now=now):
            return None
    try:
        return training.queue_training(engine, actor, TrainingRequest(by_itself=True), now=now)
    except Conflict:  # another is under way meanwhile, or a class has too few labels
        return None


def _is_due(conn: Connection, policy: Policy, *, now: datetime) -> bool:
    if not policy.retrain_after and policy.retrain_hour is None:
        return False
    last = next(iter(runs.list_runs(conn, kind=RunKind.training, limit=1)), None)
    if last is not None and last.is_open:
        return False
    new = decisions.count_new(conn, since=None if last is None else last.created_at)
    is_enough = bool(policy.retrain_after) and new >= policy.retrain_after
    is_night = policy.retrain_hour == now.hour and (last is None or now - last.created_at >= A_NIGHT)
    return is_enough or (is_night and new > 0)


def finish(engine: Engine, actor: Actor, version: str, *, now: datetime) -> str:
    """Promote what a training by itself has brought, if the policy allows it and the gate lets it through.

    Returns what was done and why, as a sentence.
    """
    require(actor, Permission.promote)
    with read(engine) as conn:
        is_allowed = policies.current_policy(conn).promotes_by_itself
    if not is_allowed:
        return NOT_ALLOWED
    try:
        models.promote(engine, actor, version, now=now)
    except Conflict as err:
        return str(err)
    return PROMOTED
