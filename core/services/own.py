"""A moderator's own work: how much, how fast, how often others agree, and what can still be corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
FAST_S = 1.0  # from the card's first frame to the key: less is hardly enough to read a post
MANY_FAST = 0.1  # of the latest decisions, from which on it is worth a word
ENOUGH_TIMED = 10  # decisions: fewer say nothing


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known of the latest decisions made on a card: the median time, and how many took less than FAST_S.

    The browser measures each, from the first frame in which the card was on the screen to the key. Corrections, bulk
    decisions and near-copies that were decided along have no such time, and are not among them.
    """

    timed: int
    median_s: float | None
    fast: int

    @property
    def is_hasty(self) -> bool:
        return self.timed >= ENOUGH_TIMED and self.fast / self.timed >= MANY_FAST


def pace_of(seconds: Sequence[float]) -> Pace:
    return Pace(len(seconds), median(seconds) if seconds else None, sum(each < FAST_S for each in seconds))


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """by_day: decisions on each of the last days, the last is today. pace: of the latest ones made on a card.

    agreement, checks: with others, and with the labels of check posts, as it stood when today began. Nobody is to learn
    by looking here which post was one of these, which one another person judged too, or what that one said.
    """

    by_day: tuple[tuple[date, int], ...]
    in_all: int
    pace: Pace
    agreement: Agreement
    checks: Agreement

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
        midnight = datetime.combine(today, datetime.min.time(), tzinfo=zone)
        others = figures.agreements_with_others(conn, source_id=source_id, until=midnight)
        return OwnFigures(
            by_day=tuple((day, made[day]) for day in days),
            in_all=figures.count_decisions(conn, source_id=source_id),
            pace=pace_of(figures.seconds_per_decision(conn, source_id=source_id)),
            agreement=others.get(source_id, Agreement(0, 0)),
            checks=figures.agreement_with_checks(conn, source_id=source_id, until=midnight),
        )


def last_decisions(engine: Engine, actor: Actor, *, limit: int = 200) -> list[RecentDecision]:
    """One's own standing decisions, newest first."""
    require(actor, Permission.label)
    with read(engine) as conn:
        source_id = sources.find_source(conn, kind=SourceKind.person, name=actor.name) or 0
        return decisions.recent_of(conn, source_id=source_id, limit=limit)
