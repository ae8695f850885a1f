"""Distributions of a version's probabilities over visible posts, binned by the database."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Float, Integer, Row, Select, case, cast, func, literal, select

from core.domain import Label
from db.posts import is_visible
from db.tables import distinct_text, post, prediction, top_of_prediction

BINS = 50

_p = prediction.c
_probability = {Label.normal: _p.p_normal, Label.suspicious: _p.p_suspicious, Label.violation: _p.p_violation}


def top_probability() -> ColumnElement[float]:
    return top_of_prediction


def predicted_label() -> ColumnElement[int]:
    """The most likely label; between equals the less severe, as Prediction.label has it."""
    return case(
        ((_p.p_normal >= _p.p_suspicious) & (_p.p_normal >= _p.p_violation), literal(0)),
        (_p.p_suspicious >= _p.p_violation, literal(1)),
        else_=literal(2),
    )


def quantity(name: str) -> ColumnElement[float]:
    """`confidence` (of the most likely label) or the name of a label (its probability)."""
    return top_probability() if name == "confidence" else _probability[Label[name]]


def _bin_of(value: ColumnElement[float]) -> ColumnElement[int]:
    """0 to BINS - 1; a probability of exactly 1 falls into the last bin."""
    raw = cast(cast(value, Float) * BINS, Integer)
    return case((raw >= BINS, literal(BINS - 1)), else_=raw)


def histogram(conn: Connection, *, version_id: int, of: str) -> list[tuple[int, int, int]]:
    """(bin, predicted label, number of posts) where there are any; bin k covers [k / 50, (k + 1) / 50)."""
    bins, labels = _bin_of(quantity(of)).label("bin"), predicted_label().label("label")
    query = (
        select(bins, labels, func.count().label("posts"))
        .join_from(prediction, post, post.c.text_id == _p.text_id)
        .where(_p.version_id == version_id, is_visible())
        .group_by(bins, labels)
        .order_by(bins, labels)
    )
    return [(row.bin, row.label, row.posts) for row in conn.execute(query)]


def posts_in_bin(
    conn: Connection, *, version_id: int, of: str, bin_: int, limit: int, offset: int
) -> list[Row[int, str, str, float, float, float]]:
    """(id, pid, body, p_normal, p_suspicious, p_violation) of posts in one bin, in order of id."""
    query: Select[int, str, str, float, float, float] = (
        select(post.c.id, post.c.pid, distinct_text.c.body, _p.p_normal, _p.p_suspicious, _p.p_violation)
        .join_from(prediction, post, post.c.text_id == _p.text_id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .where(_p.version_id == version_id, is_visible(), _bin_of(quantity(of)) == bin_)
        .order_by(post.c.id)
        .limit(limit)
        .offset(offset)
    )
    return list(conn.execute(query))


def count_posts_scored(conn: Connection, *, version_id: int) -> int:
    query = select(func.count()).join_from(prediction, post, post.c.text_id == _p.text_id)
    return conn.execute(query.where(_p.version_id == version_id, is_visible())).scalar_one()
