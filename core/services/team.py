"""The team's work for its lead: everybody's figures as they see them on My work, and when the queue will be empty."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from sqlalchemy import Connection, Engine

from core.domain import Actor, Role, SkipKind, SourceKind
from core.permissions import Permission, require
from core.services.own import DAYS, Pace, pace_of
from db import accounts, figures, queue, sources
from db.engine import read
from db.figures import Agreement

FORECAST_DAYS = 7  # a whole week, so that days without work count as they come
FURTHEST_DAYS = 3_650


@dataclass(frozen=True, slots=True)
class PersonFigures:
    """by_day: decisions on each of the last days, the last is today. checks: of all answers, those of today too."""

    name: str
    role: Role
    is_disabled: bool
    by_day: tuple[int, ...]
    in_all: int
    pace: Pace
    checks: Agreement
    agreement: Agreement
    flags: int
    skips: dict[SkipKind, int]
    last_at: datetime | None

    @property
    def today(self) -> int:
        return self.by_day[-1]


@dataclass(frozen=True, slots=True)
class Forecast:
    """left: posts in the queue. judged: posts that people judged in the last `days` whole days, today not among them.

    empty_on: at that pace, if nothing comes in; None where nothing was judged or no whole day is behind.
    """

    left: int
    days: int
    judged: int
    empty_on: date | None


@dataclass(frozen=True, slots=True)
class TeamReport:
    """people: who labels or has labelled, by name."""

    days: tuple[date, ...]
    people: tuple[PersonFigures, ...]
    forecast: Forecast

    @property
    def by_day(self) -> tuple[tuple[date, int], ...]:
        return tuple((day, sum(each.by_day[at] for each in self.people)) for at, day in enumerate(self.days))


def team_report(engine: Engine, actor: Actor, *, now: datetime, zone: tzinfo) -> TeamReport:
    """zone: where the reader is, for days begin there."""
    require(actor, Permission.review)
    today = now.astimezone(zone).date()
    days = tuple(today - timedelta(days=ago) for ago in reversed(range(DAYS)))
    starts = [datetime.combine(day, datetime.min.time(), tzinfo=zone) for day in (*days, today + timedelta(days=1))]
    with read(engine) as conn:
        return TeamReport(days, tuple(_people(conn, starts)), _forecast(conn, today=today, zone=zone))


def walk_team(engine: Engine, actor: Actor, *, now: datetime) -> Iterator[PersonFigures]:
    """Everybody's figures, days beginning at midnight UTC."""
    return iter(team_report(engine, actor, now=now, zone=UTC).people)


def _people(conn: Connection, starts: Sequence[datetime]) -> Iterator[PersonFigures]:
    by_day = figures.decisions_by_day(conn, starts)
    passed = figures.passed_on_by_user(conn)
    flagged = figures.flags_by_user(conn)
    agreements = figures.agreements_with_others(conn)
    for user in accounts.list_users(conn):
        source_id = sources.find_source(conn, kind=SourceKind.person, name=user.name) or 0
        in_all = figures.count_decisions(conn, source_id=source_id)
        if not in_all and (user.disabled_at is not None or user.role is not Role.moderator):
            continue
        yield PersonFigures(
            name=user.name,
            role=user.role,
            is_disabled=user.disabled_at is not None,
            by_day=by_day.get(source_id, (0,) * (len(starts) - 1)),
            in_all=in_all,
            pace=pace_of(figures.seconds_per_decision(conn, source_id=source_id)),
            checks=figures.agreement_with_checks(conn, source_id=source_id),
            agreement=agreements.get(source_id, Agreement(0, 0)),
            flags=flagged.get(user.id, 0),
            skips={kind: passed.get((user.id, kind), 0) for kind in SkipKind},
            last_at=figures.last_decision_at(conn, source_id=source_id),
        )


def _forecast(conn: Connection, *, today: date, zone: tzinfo) -> Forecast:
    """The pace of the last whole days, days without work among them, for those to come will have some too."""
    left = queue.count_left(conn)
    until = datetime.combine(today, datetime.min.time(), tzinfo=zone)
    first = figures.first_decision_at(conn)
    begun = today if first is None else first.astimezone(zone).date()
    days = min(FORECAST_DAYS, (today - begun).days)
    since = datetime.combine(today - timedelta(days=days), datetime.min.time(), tzinfo=zone)
    judged = figures.count_judged(conn, since=since, until=until) if days > 0 else 0
    if not judged or not left:
        return Forecast(left, max(days, 0), judged, None)
    needed = math.ceil(left / (judged / days))
    return Forecast(left, days, judged, today + timedelta(days=needed) if needed <= FURTHEST_DAYS else None)
