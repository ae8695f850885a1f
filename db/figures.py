"""Figures of one source: how much it decided, how fast, and how often others say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import ColumnElement, Connection, FromClause, case, func, select

from core.domain import CheckStatus, Label, Reason, SkipKind, SourceKind, SourceTrust
from db.posts import decides, is_visible, stands
from db.tables import check_post, decision, family_place, flag, lease, post, skip, source

PACED = 500  # of the latest decisions that pace is measured by


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often others, of all who judged the same text of the same post, said the same."""

    same: int
    compared: int

    @property
    def share(self) -> float | None:
        return self.same / self.compared if self.compared else None


def seconds_per_decision(conn: Connection, *, source_id: int) -> list[float]:
    """From the card to the press, of the latest decisions that were made on a card."""
    made = select(decision.c.seconds).where(decision.c.source_id == source_id, decision.c.seconds.is_not(None))
    return list(conn.execute(made.order_by(decision.c.decided_at.desc()).limit(PACED)).scalars())


def times_of_decisions(conn: Connection, *, source_id: int, since: datetime) -> list[datetime]:
    """When the standing decisions were made, oldest first; near-copies that were decided along do not count."""
    made = select(decision.c.decided_at).where(decision.c.source_id == source_id, stands())
    made = made.where(decision.c.via_id.is_(None), decision.c.decided_at >= since)
    return list(conn.execute(made.order_by(decision.c.decided_at)).scalars())


def count_decisions(conn: Connection, *, source_id: int) -> int:
    """Standing ones, near-copies left out."""
    made = select(func.count()).select_from(decision).where(decision.c.source_id == source_id, stands())
    return conn.execute(made.where(decision.c.via_id.is_(None))).scalar_one()


def agreement_with_checks(conn: Connection, *, source_id: int, until: datetime | None = None) -> Agreement:
    """With the labels of check posts, but for those that were not clear after all; until: as it stood at that time."""
    query = (
        select(func.count(), func.coalesce(func.sum(case((decision.c.label == check_post.c.label, 1), else_=0)), 0))
        .join_from(decision, check_post, check_post.c.post_id == decision.c.post_id)
        .where(decision.c.source_id == source_id, decision.c.is_check, _stood(decision, until))
        .where(decision.c.text_id == check_post.c.text_id, check_post.c.status != CheckStatus.void)
    )
    compared, same = conn.execute(query).one()
    return Agreement(same, compared)


def agreements_with_others(
    conn: Connection, *, source_id: int | None = None, until: datetime | None = None
) -> dict[int, Agreement]:
    """With what other people and files said, of every source that has said something of a post of which another has.

    source_id: of that one only. until: as it stood at that time. Suggestions are nobody's word, near-copies that were
    decided along were not looked at, and answers to checks are no word on the post.
    """
    said, made, other = decision.alias("said"), decision.alias("made"), decision.alias("other")
    # Most posts are judged by one source: only of the others has anything to be looked up.
    shared = select(said.c.post_id).group_by(said.c.post_id)
    shared = shared.having(func.min(said.c.source_id) < func.max(said.c.source_id))
    if source_id is not None:
        own = select(decision.c.post_id).where(decision.c.source_id == source_id)
        shared = shared.where(said.c.post_id.in_(own))
    suggests = select(source.c.id).where(source.c.trust == SourceTrust.suggestion)
    query = (
        select(made.c.source_id, func.count(), func.sum(case((other.c.label == made.c.label, 1), else_=0)))
        .select_from(made)
        .join(other, (other.c.post_id == made.c.post_id) & (other.c.text_id == made.c.text_id))
        .where(made.c.post_id.in_(shared), other.c.source_id != made.c.source_id)
        .group_by(made.c.source_id)
    )
    for each in (made, other):
        query = query.where(_stood(each, until), each.c.via_id.is_(None), ~each.c.is_check)
        query = query.where(each.c.source_id.not_in(suggests))
    if source_id is not None:
        query = query.where(made.c.source_id == source_id)
    return {source_id: Agreement(same, compared) for source_id, compared, same in conn.execute(query)}


def _stood(made: FromClause, until: datetime | None) -> ColumnElement[bool]:
    """The decision gives a label that nothing superseded; until: nothing before that time, of those made before it."""
    later = decision.alias()
    gone = select(later.c.id).where(later.c.supersedes == made.c.id)
    if until is None:
        return made.c.label.is_not(None) & ~gone.exists()
    gone = gone.where(later.c.decided_at < until)
    return made.c.label.is_not(None) & (made.c.decided_at < until) & ~gone.exists()


# --- of everybody ---------------------------------------------------------------------------------------------------


def decisions_by_day(conn: Connection, starts: Sequence[datetime]) -> dict[int, tuple[int, ...]]:
    """Standing decisions of each person's source on each day, near-copies left out.

    starts: when each day begins, and when the last one ends. Counted in one pass, for days begin where the reader is.
    """
    at = decision.c.decided_at
    counts = [func.sum(case(((at >= start) & (at < end), 1), else_=0)) for start, end in pairwise(starts)]
    query = (
        select(decision.c.source_id, *counts)
        .join_from(decision, source, source.c.id == decision.c.source_id)
        .where(source.c.kind == SourceKind.person, at >= starts[0], at < starts[-1])
        .where(stands(), decision.c.via_id.is_(None))
        .group_by(decision.c.source_id)
    )
    return {source_id: tuple(counted) for source_id, *counted in conn.execute(query)}


def flags_by_user(conn: Connection) -> dict[int, int]:
    query = select(flag.c.user_id, func.count()).group_by(flag.c.user_id)
    return {user_id: count for user_id, count in conn.execute(query)}


def passed_on_by_user(conn: Connection) -> dict[tuple[int, SkipKind], int]:
    """Posts by who passed them on, and to whom."""
    query = select(skip.c.user_id, skip.c.kind, func.count()).group_by(skip.c.user_id, skip.c.kind)
    return {(user_id, SkipKind(kind)): count for user_id, kind, count in conn.execute(query)}


def last_decision_at(conn: Connection, *, source_id: int) -> datetime | None:
    return conn.execute(select(func.max(decision.c.decided_at)).where(decision.c.source_id == source_id)).scalar()


def first_decision_at(conn: Connection) -> datetime | None:
    """Of any person, on a card or not."""
    firsts = [
        conn.execute(select(func.min(decision.c.decided_at)).where(decision.c.source_id == source_id)).scalar()
        for source_id in conn.execute(select(source.c.id).where(source.c.kind == SourceKind.person)).scalars()
    ]  # one look into the index for each, instead of a walk over all decisions
    return min((first for first in firsts if first is not None), default=None)


def count_judged(conn: Connection, *, since: datetime, until: datetime) -> int:
    """Posts that people judged then, each once; answers to check posts and near-copies decided along left out."""
    query = (
        select(func.count(decision.c.post_id.distinct()))
        .join_from(decision, source, source.c.id == decision.c.source_id)
        .where(source.c.kind == SourceKind.person, decision.c.decided_at >= since, decision.c.decided_at < until)
        .where(decides(), decision.c.via_id.is_(None))
    )
    return conn.execute(query).scalar_one()


def judged_by_label(conn: Connection, starts: Sequence[datetime]) -> list[dict[Label, int]]:
    """Posts that people judged on each day, each once a day, by what stands of it; near-copies decided along left out.

    starts: when each day begins, and when the last one ends.
    """
    found = []
    for start, end in pairwise(starts):
        query = (
            select(decision.c.label, func.count(decision.c.post_id.distinct()))
            .join_from(decision, source, source.c.id == decision.c.source_id)
            .where(source.c.kind == SourceKind.person, decision.c.decided_at >= start, decision.c.decided_at < end)
            .where(decides(), decision.c.via_id.is_(None))
            .group_by(decision.c.label)
        )
        found.append({Label(label): posts for label, posts in conn.execute(query)})
    return found


def judged_by_chance(conn: Connection) -> list[tuple[str, int, Label]]:
    """(who, family, label) of what stands of people's decisions on cards that chance had drawn; visible posts only.

    Corrections, answers to check posts, near-copies decided along and what a lead settled are not among them.
    """
    query = (
        select(source.c.name, family_place.c.representative_id, decision.c.label)
        .join_from(decision, lease, lease.c.id == decision.c.lease_id)
        .join(source, source.c.id == decision.c.source_id)
        .join(post, post.c.id == decision.c.post_id)
        .join(family_place, family_place.c.text_id == decision.c.text_id)
        .where(source.c.kind == SourceKind.person, lease.c.reason.in_((Reason.audit, Reason.random)))
        .where(decides(), decision.c.via_id.is_(None), ~decision.c.settles, is_visible(in_order=True))
        .order_by(source.c.name, decision.c.id)
    )
    return [(name, family, Label(label)) for name, family, label in conn.execute(query)]
