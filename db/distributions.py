"""A version's probabilities over visible posts, as the database works them out."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, case, func, literal, select

from db.posts import is_visible
from db.tables import post, prediction, top_of_prediction

_p = prediction.c


def top_probability() -> ColumnElement[float]:
    return top_of_prediction


def predicted_label() -> ColumnElement[int]:
    """The most likely label; between equals the less severe, as Prediction.label has it."""
    return case(
        ((_p.p_normal >= _p.p_suspicious) & (_p.p_normal >= _p.p_violation), literal(0)),
        (_p.p_suspicious >= _p.p_violation, literal(1)),
        else_=literal(2),
    )


def count_posts_scored(conn: Connection, *, version_id: int) -> int:
    query = select(func.count()).join_from(prediction, post, post.c.text_id == _p.text_id)
    return conn.execute(query.where(_p.version_id == version_id, is_visible())).scalar_one()
