"""Standing decisions, grouped to what training and evaluation need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from core.domain import Label, Side, SourceKind, SourceTrust
from core.gold import Vote, gold_label
from db.engine import each_of, plain_rows
from db.posts import decides, is_visible
from db.tables import decision, distinct_text, family_place, post, snapshot_decision, source


@dataclass(frozen=True, slots=True)
class GoldPost:
    """A decided post: its label is agreed, and was given for the text that the post has now."""

    post_id: int
    text_id: int
    family: int
    side: Side
    text: str
    label: Label
    decision_ids: tuple[int, ...]


def gold_posts(
    conn: Connection, *, side: Side | None = None, among: Collection[int] | None = None
) -> Iterator[GoldPost]:
    """Posts with a gold label, in order of id; left out while sources disagree or the text changed since.

    side: of the split, that they stand on; of any where it is not given. among: ids of posts that alone are looked at;
    all where it is not given.

    Left out for good where an import gave the post a text of the other side after a version had been trained or
    measured on it: what one version is measured on no other has learned from.
    """
    query = (
        select(
            post.c.id.label("post_id"),
            post.c.text_id,
            family_place.c.representative_id,
            distinct_text.c.side,
            distinct_text.c.body,
            decision.c.id.label("decision_id"),
            decision.c.label,
            decision.c.settles,
            source.c.kind,
            source.c.trust,
        )
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(distinct_text, post.c.text_id == distinct_text.c.id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .join(source, decision.c.source_id == source.c.id)
        .where(decides(), decision.c.text_id == post.c.text_id, is_visible(), ~_was_used_on_other_side())
        .order_by(post.c.id, decision.c.id)
    )
    if side is not None:
        query = query.where(distinct_text.c.side == side)
    if among is not None:
        query = query.where(post.c.id.in_(each_of(among)))
    for _post_id, group in groupby(plain_rows(conn, query), key=itemgetter(0)):
        said = list(group)
        post_id, text_id, family, side, body = said[0][:5]
        label = _agreed([vote[6:] for vote in said])
        if label is not None:
            yield GoldPost(post_id, text_id, family, Side(side), body, label, tuple(vote[5] for vote in said))


def _agreed(said: Sequence[tuple[int, int, str, str]]) -> Label | None:
    """Of (label, settles, kind, trust) as they are stored; most posts have one decision, which is quickly told."""
    if len(said) == 1:
        return Label(said[0][0])
    votes = (
        Vote(SourceKind(kind), Label(label), SourceTrust(trust), bool(settles)) for label, settles, kind, trust in said
    )
    return gold_label(votes)


def votes_on(conn: Connection, post_ids: Sequence[int]) -> dict[int, list[Vote]]:
    """What stands on the text that each of the visible posts has now, in the order in which it was said."""
    query = (
        select(post.c.id, decision.c.label, decision.c.settles, source.c.kind, source.c.trust)
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(source, source.c.id == decision.c.source_id)
        .where(post.c.id.in_(post_ids), decides(), decision.c.text_id == post.c.text_id, is_visible())
        .order_by(decision.c.id)
    )
    votes: dict[int, list[Vote]] = {}
    for r in conn.execute(query):
        vote = Vote(SourceKind(r.kind), Label(r.label), SourceTrust(r.trust), r.settles)
        votes.setdefault(r.id, []).append(vote)
    return votes


def labels_of(conn: Connection, post_ids: Sequence[int]) -> dict[int, Label]:
    """The gold label of each of the posts that has one: not while nothing or no majority stands on its text."""
    found = {post_id: gold_label(votes) for post_id, votes in votes_on(conn, post_ids).items()}
    return {post_id: label for post_id, label in found.items() if label is not None}


def gold_of(conn: Connection, post_id: int) -> Label | None:
    return labels_of(conn, [post_id]).get(post_id)


def _was_used_on_other_side() -> ColumnElement[bool]:
    """Some version has learned from the post and its text is held out now, or the other way round."""
    made = decision.alias()

    def used(side: ColumnElement[bool]) -> ColumnElement[bool]:
        found = select(made.c.post_id).join_from(snapshot_decision, made, made.c.id == snapshot_decision.c.decision_id)
        return post.c.id.in_(found.where(side))

    return or_(
        and_(distinct_text.c.side == Side.train, used(snapshot_decision.c.side != Side.train)),
        and_(distinct_text.c.side != Side.train, used(snapshot_decision.c.side == Side.train)),
    )


def count_left_out(conn: Connection) -> int:
    """Decided posts that `gold_posts` leaves out for good."""
    query = (
        select(func.count(post.c.id.distinct()))
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(distinct_text, post.c.text_id == distinct_text.c.id)
        .where(decides(), decision.c.text_id == post.c.text_id, is_visible(), _was_used_on_other_side())
    )
    return conn.execute(query).scalar_one()


def gold_families(found: Iterable[GoldPost]) -> list[GoldPost]:
    """One post for each family, the first, with the label of most of them; between equals, the more severe."""
    by_family: dict[int, list[GoldPost]] = {}
    for gold in found:
        by_family.setdefault(gold.family, []).append(gold)
    chosen = []
    for posts in by_family.values():
        counted = Counter(gold.label for gold in posts) if len(posts) > 1 else {posts[0].label: 1}
        label = max(counted, key=lambda label: (counted[label], label))
        chosen.append(posts[0] if label is posts[0].label else replace(posts[0], label=label))
    return chosen


def _on_old_text() -> ColumnElement[bool]:
    return decides() & (decision.c.text_id != post.c.text_id) & is_visible()


def _is_settled_anew() -> ColumnElement[bool]:
    """A lead has settled the text that the post has now."""
    made, later = decision.alias("settling"), decision.alias("later_settling")
    settled = select(made.c.id).where(made.c.post_id == post.c.id, made.c.text_id == post.c.text_id, made.c.settles)
    return settled.where(~select(later.c.id).where(later.c.supersedes == made.c.id).exists()).exists()


def posts_on_old_texts(conn: Connection) -> list[int]:
    """Posts decided on another text than they have now, which no lead has settled since; those decided first first."""
    said, its = decision.alias("said"), post.alias("its")
    maybe = (
        select(said.c.post_id).join_from(said, its, its.c.id == said.c.post_id).where(said.c.text_id != its.c.text_id)
    )
    query = select(post.c.id).join_from(decision, post, decision.c.post_id == post.c.id)
    query = query.where(decision.c.post_id.in_(maybe), _on_old_text(), ~_is_settled_anew())
    return list(conn.execute(query.group_by(post.c.id).order_by(func.min(decision.c.id))).scalars())
