"""What leaves the program as tables, a range of ids at a time: no transaction stays open while a file is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, Row, func, select

from core.domain import Label
from db import golds
from db.distributions import predicted_label
from db.engine import plain_rows
from db.posts import is_visible, living_imports, stands
from db.tables import decision, distinct_text, family_place, hit, lease, post, prediction, source

PEOPLE = (post.c.author, post.c.author_id, post.c.ip)  # last in each row that has them

_p = prediction.c


def newest_post(conn: Connection) -> int:
    return conn.execute(select(func.max(post.c.id))).scalar() or 0


def newest_decision(conn: Connection) -> int:
    return conn.execute(select(func.max(decision.c.id))).scalar() or 0


def newest_text(conn: Connection) -> int:
    return conn.execute(select(func.max(distinct_text.c.id))).scalar() or 0


def labels_between(conn: Connection, first: int, last: int) -> dict[int, Label]:
    """The gold labels of the posts with these ids, both ends among them."""
    decided = select(decision.c.post_id).where(decision.c.post_id.between(first, last)).distinct()
    return golds.labels_of(conn, list(conn.execute(decided).scalars()))


def decisions_between(conn: Connection, first: int, last: int) -> list[Row[Any]]:
    """By id, of visible posts, with the text that was judged; answers to check posts are no word on a post."""
    query = (
        select(
            decision.c.id, decision.c.post_id, post.c.pid, family_place.c.representative_id, distinct_text.c.side,
            decision.c.label, stands().label("stands"), decision.c.decided_at, source.c.kind, source.c.name,
            source.c.trust, decision.c.settles, decision.c.via_id, decision.c.rule, decision.c.note,
            decision.c.model_view, lease.c.reason, distinct_text.c.body,
        )
        .join_from(decision, post, post.c.id == decision.c.post_id)
        .join(source, source.c.id == decision.c.source_id)
        .join(distinct_text, distinct_text.c.id == decision.c.text_id)
        .join(family_place, family_place.c.text_id == decision.c.text_id)
        .outerjoin(lease, lease.c.id == decision.c.lease_id)
        .where(decision.c.id.between(first, last), ~decision.c.is_check, is_visible(in_order=True))
        .order_by(decision.c.id)
    )  # fmt: skip
    return list(conn.execute(query))


def texts_of_posts(conn: Connection, post_ids: list[int]) -> Iterator[tuple[Any, ...]]:
    """(id, pid, family, side, text, and PEOPLE) of visible posts, by id."""
    query = (
        select(post.c.id, post.c.pid, family_place.c.representative_id, distinct_text.c.side, distinct_text.c.body)
        .add_columns(*PEOPLE)
        .join_from(post, distinct_text, distinct_text.c.id == post.c.text_id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .where(post.c.id.in_(post_ids), is_visible(in_order=True))
        .order_by(post.c.id)
    )
    return plain_rows(conn, query)


def predictions_between(conn: Connection, first: int, last: int, *, version_id: int) -> Iterator[tuple[Any, ...]]:
    """(id, pid, family, side, predicted, p_normal, p_suspicious, p_violation, text, and PEOPLE) of scored posts."""
    query = (
        select(post.c.id, post.c.pid, family_place.c.representative_id, distinct_text.c.side, predicted_label())
        .add_columns(_p.p_normal, _p.p_suspicious, _p.p_violation, distinct_text.c.body, *PEOPLE)
        .join_from(post, prediction, (_p.text_id == post.c.text_id) & (_p.version_id == version_id))
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .where(_is_between(first, last), is_visible(in_order=True))
        .order_by(post.c.id)
    )
    return plain_rows(conn, query)


def members_between(conn: Connection, first: int, last: int) -> npt.NDArray[np.int64]:
    """(n, 2), family and post of each visible post of the families with these ids, by both."""
    query = (
        select(family_place.c.representative_id, post.c.id)
        .join_from(family_place, post, post.c.text_id == family_place.c.text_id)
        .where(family_place.c.representative_id.between(first, last), is_visible(in_order=True))
    )
    numbers = (number for row in plain_rows(conn, query) for number in row)
    found = np.fromiter(numbers, dtype=np.int64).reshape(-1, 2)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def extra_names(conn: Connection) -> list[str]:
    """The columns without a role that imports have brought, by name."""
    key = func.json_each(post.c.extra).table_valued("key").c.key
    return sorted(name for (name,) in plain_rows(conn, select(key).distinct().where(post.c.extra != "{}")))


def hits_between(conn: Connection, first: int, last: int, *, version_id: int) -> Iterator[tuple[Any, ...]]:
    """(id, pid, hit word, excerpt, extra as JSON, three probabilities, PEOPLE), a row for each hit of visible posts.

    In the order in which they came; a post that has lost its hits with an import has one row, with what it was. Without
    probabilities where the version has not scored it.
    """
    found = (hit.c.post_id == post.c.id) & hit.c.import_id.in_(living_imports())
    query = (
        select(post.c.id, post.c.pid, hit.c.word, func.coalesce(hit.c.excerpt, post.c.original), post.c.extra)
        .add_columns(_p.p_normal, _p.p_suspicious, _p.p_violation, *PEOPLE)
        .outerjoin_from(post, hit, found)
        .outerjoin(prediction, (_p.text_id == post.c.text_id) & (_p.version_id == version_id))
        .where(_is_between(first, last), is_visible(in_order=True))
        .order_by(post.c.id, hit.c.import_id, hit.c.place)
    )
    return plain_rows(conn, query)


def _is_between(first: int, last: int) -> ColumnElement[bool]:
    return post.c.id.between(first, last)
