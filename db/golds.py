"""Standing decisions, grouped to what training and evaluation need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, select

from core.domain import Label, Side, SourceKind
from core.gold import Vote, gold_label
from db.posts import is_visible, stands
from db.tables import decision, distinct_text, post, source


@dataclass(frozen=True, slots=True)
class GoldPost:
    """A decided post: its label is agreed, and was given for the text that the post has now."""

    post_id: int
    text_id: int
    normal_hash: str
    side: Side
    text: str
    label: Label
    decision_ids: tuple[int, ...]


def gold_posts(conn: Connection) -> Iterator[GoldPost]:
    """Posts with a gold label, in order of id; left out while sources disagree or the text changed since."""
    query = (
        select(
            post.c.id.label("post_id"),
            post.c.text_id,
            distinct_text.c.normal_hash,
            distinct_text.c.side,
            distinct_text.c.body,
            decision.c.id.label("decision_id"),
            decision.c.label,
            source.c.kind,
        )
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(distinct_text, post.c.text_id == distinct_text.c.id)
        .join(source, decision.c.source_id == source.c.id)
        .where(stands(), decision.c.text_id == post.c.text_id, is_visible())
        .order_by(post.c.id, decision.c.id)
    )
    for post_id, group in groupby(conn.execute(query), key=lambda row: row.post_id):
        rows = list(group)
        label = gold_label(Vote(SourceKind(row.kind), Label(row.label)) for row in rows)
        if label is not None:
            first = rows[0]
            ids = tuple(row.decision_id for row in rows)
            yield GoldPost(post_id, first.text_id, first.normal_hash, Side(first.side), first.body, label, ids)


def decisions_on_old_texts(conn: Connection, *, limit: int, after: int = 0) -> list[tuple[int, int, int, str, str]]:
    """(post_id, decision_id, label, old text, new text) of standing decisions whose post has another text now."""
    old, new = distinct_text.alias("old"), distinct_text.alias("new")
    query = (
        select(post.c.id, decision.c.id.label("decision_id"), decision.c.label, old.c.body.label("was"), new.c.body)
        .join_from(decision, post, decision.c.post_id == post.c.id)
        .join(old, decision.c.text_id == old.c.id)
        .join(new, post.c.text_id == new.c.id)
        .where(stands(), decision.c.text_id != post.c.text_id, is_visible(), decision.c.id > after)
        .order_by(decision.c.id)
        .limit(limit)
    )
    return [(row.id, row.decision_id, row.label, row.was, row.body) for row in conn.execute(query)]
