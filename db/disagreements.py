"""Posts whose sources say different things about the text they have now, and that no lead has settled."""

from __future__ import annotations

from itertools import groupby

from sqlalchemy import Connection, Integer, Select, cast, func, select

from db.posts import decides, is_visible
from db.tables import decision, family_place, post


def _disagreeing() -> Select[int]:
    """Ids of the posts. Suggestions and decisions on earlier texts are no voices."""
    said = decision.alias("said")
    # What was ever said differently: most posts were not, and need no closer look at what of it stands.
    maybe = select(said.c.post_id).group_by(said.c.post_id).having(func.min(said.c.label) != func.max(said.c.label))
    return (
        select(decision.c.post_id)
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .where(decision.c.post_id.in_(maybe))
        .where(decides(), decision.c.text_id == post.c.text_id, is_visible())
        .group_by(decision.c.post_id)
        .having(func.min(decision.c.label) != func.max(decision.c.label))
        .having(func.max(cast(decision.c.settles, Integer)) == 0)
    )


def count_disagreements(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(_disagreeing().subquery())).scalar_one()


def contradicting_families(conn: Connection) -> list[tuple[int, list[int]]]:
    """(family, its decided posts) where near-copies have different labels, and not a lead has settled each of them.

    In order of family; posts in order of id. What is listed may agree once each post's voices are counted: that is for
    the caller, who reads them.
    """
    is_settled = cast(decision.c.settles, Integer)
    said, place = decision.alias("said"), family_place.alias("place")
    maybe = (  # in which anything was ever said differently of more than one post
        select(place.c.representative_id)
        .join_from(said, place, place.c.text_id == said.c.text_id)
        .group_by(place.c.representative_id)
        .having(func.min(said.c.label) != func.max(said.c.label), func.count(said.c.post_id.distinct()) > 1)
    )
    decided = (
        select(
            family_place.c.representative_id.label("family"),
            decision.c.post_id,
            func.min(decision.c.label).label("least"),
            func.max(decision.c.label).label("most"),
            func.max(is_settled).label("is_settled"),
        )
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .where(family_place.c.representative_id.in_(maybe))
        .where(decides(), decision.c.text_id == post.c.text_id, is_visible(in_order=True))
        .group_by(family_place.c.representative_id, decision.c.post_id)
        .cte("decided")
    )
    torn = (
        select(decided.c.family)
        .group_by(decided.c.family)
        .having(func.count() > 1)
        .having(func.min(decided.c.least) != func.max(decided.c.most))
        .having(func.min(decided.c.is_settled) == 0)
    )
    query = select(decided.c.family, decided.c.post_id).where(decided.c.family.in_(torn))
    found = conn.execute(query.order_by(decided.c.family, decided.c.post_id))
    return [(family, [row.post_id for row in rows]) for family, rows in groupby(found, key=lambda row: row.family)]


def disagreeing_posts(conn: Connection) -> list[int]:
    """In order of id."""
    return list(conn.execute(_disagreeing().order_by(decision.c.post_id)).scalars())
