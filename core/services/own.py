"""A moderator's own work: how much, how fast, how often others agree, and what can still be corrected."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from statistics import median

from sqlalchemy import Engine

from core.domain import Actor, SourceKind
from core.permissions import Permission, require
from db import decisions, figures, sources
from db.decisions import RecentDecision
from db.engine import read
from db.figures import Agreement

__all__ = ["RecentDecision"]

DAYS = 14


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """by_day: decisions on each of the last days, the last is today. seconds: the median a decision took, if known."""

    by_day: tuple[tuple[date, int], ...]
    in_all: int
    seconds: float | None
    agreement: Agreement

    @property
    def today(self) -> int:
        return self.by_day[-1][1]


def own_figures(engine: Engine, actor: Actor, *, now: datetime, zone: tzinfo) -> OwnFigures:
    """zone: where the person is, for days begin there."""
    require(actor, Permission.label)
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    since = datetime.combine(days[0], datetime.min.time(), tzinfo=zone)
    with read(engine) as conn:
        source_id = sources.find_source(conn, kind=SourceKind.person, name=actor.name) or 0
        made = Counter(
            at.astimezone(zone).date() for at in figures.times_of_decisions(conn, source_id=source_id, since=since)
        )
        seconds = figures.seconds_per_decision(conn, source_id=source_id)
        return OwnFigures(
            by_day=tuple((day, made[day]) for day in days),
            in_all=figures.count_decisions(conn, source_id=source_id),
            seconds=median(seconds) if seconds else None,
            agreement=figures.agreement_with_others(conn, source_id=source_id),
        )


def last_decisions(engine: Engine, actor: Actor, *, limit: int = 200) -> list[RecentDecision]:
    """One's own standing decisions, newest first."""
    require(actor, Permission.label)
    with read(engine) as conn:
        source_id = sources.find_source(conn, kind=SourceKind.person, name=actor.name) or 0
        return decisions.recent_of(conn, source_id=source_id, limit=limit)
