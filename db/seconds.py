"""Second opinions: posts that another person is to judge as well, without either of them knowing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, exists, func, insert, select, update

from core.domain import Label, Reason, SecondOpinion, SourceKind
from db.posts import decides, is_visible, stands
from db.tables import decision, family_place, post, second_opinion, source


def _waits() -> ColumnElement[bool]:
    """Nobody has given the second opinion, and no lead has settled the post meanwhile."""
    settled = select(decision.c.id).where(decision.c.post_id == second_opinion.c.post_id, decision.c.settles, stands())
    return second_opinion.c.given_at.is_(None) & ~settled.exists()


def waiting_posts() -> Select[int]:
    """Posts that one person has judged and another is to."""
    return select(second_opinion.c.post_id).where(_waits())


def is_wanted(post_id: ColumnElement[int]) -> ColumnElement[bool]:
    """One person has judged the post, another is to."""
    return exists().where(second_opinion.c.post_id == post_id, _waits())


def is_judged_by(post_id: ColumnElement[int], user_id: int | ColumnElement[int]) -> ColumnElement[bool]:
    """A decision of the user's own stands on the post."""
    own = select(decision.c.id).join_from(decision, source, source.c.id == decision.c.source_id)
    return own.where(decision.c.post_id == post_id, source.c.user_id == user_id, decides()).exists()


def count_people(conn: Connection, post_id: int) -> int:
    """How many people's decisions stand on the text that the post has now."""
    said = (
        select(func.count(decision.c.source_id.distinct()))
        .join_from(decision, source, source.c.id == decision.c.source_id)
        .join(post, post.c.id == decision.c.post_id)
        .where(post.c.id == post_id, decision.c.text_id == post.c.text_id, decides())
        .where(source.c.kind == SourceKind.person)
    )
    return conn.execute(said).scalar_one()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one person said of a post that two were to judge, standing or not. family: of the post's text.

    label None: it took back what it supersedes. settles: a lead's word in review, which is no opinion beside others.
    """

    id: int
    post_id: int
    family: int
    source: str
    label: Label | None
    supersedes: int | None
    settles: bool
    decided_at: datetime


def judgements(conn: Connection, *, why: SecondOpinion) -> list[Judgement]:
    """All that people ever said of posts judged twice, on the text that they have now; by post, the oldest first."""
    query = (
        select(
            decision.c.id, decision.c.post_id, family_place.c.representative_id, source.c.name, decision.c.label,
            decision.c.supersedes, decision.c.settles, decision.c.decided_at,
        )
        .join_from(second_opinion, post, post.c.id == second_opinion.c.post_id)
        .join(decision, decision.c.post_id == post.c.id)
        .join(source, source.c.id == decision.c.source_id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .where(second_opinion.c.why == why, second_opinion.c.given_at.is_not(None), is_visible())
        .where(decision.c.text_id == post.c.text_id, ~decision.c.is_check)
        .where(source.c.kind == SourceKind.person)
        .order_by(post.c.id, decision.c.id)
    )  # fmt: skip
    return [
        Judgement(
            r.id, r.post_id, r.representative_id, r.name, None if r.label is None else Label(r.label), r.supersedes,
            r.settles, r.decided_at,
        )
        for r in conn.execute(query)
    ]  # fmt: skip


def ask(conn: Connection, post_id: int, *, why: SecondOpinion, reason: Reason, rank: int, now: datetime) -> None:
    """Want another opinion on a post that stood at that place; where one is wanted already, nothing changes."""
    values = {"post_id": post_id, "why": why, "reason": reason, "rank": rank, "asked_at": now}
    conn.execute(insert(second_opinion).prefix_with("OR IGNORE").values(values))


def is_asked_beside(conn: Connection, post_id: int, *, family: int) -> bool:
    """A second opinion was asked for on another post of the family, given or not."""
    asked = (
        select(second_opinion.c.post_id)
        .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
        .join(second_opinion, second_opinion.c.post_id == post.c.id)
        .where(family_place.c.representative_id == family, post.c.id != post_id)
    )
    return conn.execute(asked.limit(1)).first() is not None


def note_given(conn: Connection, post_id: int, *, now: datetime) -> None:
    given = update(second_opinion).where(second_opinion.c.post_id == post_id, second_opinion.c.given_at.is_(None))
    conn.execute(given.values(given_at=now))


def want_again(conn: Connection, post_id: int) -> bool:
    """An opinion was taken back, so that another is wanted as before; returns whether one ever was."""
    again = update(second_opinion).where(second_opinion.c.post_id == post_id).values(given_at=None)
    return conn.execute(again).rowcount > 0


def is_open(conn: Connection, post_id: int) -> bool:
    """A second opinion is wanted on the post."""
    waits = select(second_opinion.c.post_id).where(second_opinion.c.post_id == post_id, _waits())
    return conn.execute(waits).scalar() is not None


def wanted_places(conn: Connection, post_id: int | None = None) -> Iterator[tuple[int, str, int]]:
    """(post, reason, rank) of what waits for another opinion: it keeps its place from round to round.

    post_id: of that one only.
    """
    waits = select(second_opinion.c.post_id, second_opinion.c.reason, second_opinion.c.rank).where(_waits())
    if post_id is not None:
        waits = waits.where(second_opinion.c.post_id == post_id)
    for row in conn.execute(waits):
        yield row.post_id, row.reason, row.rank
