"""What thresholds are tried on: probabilities of the whole pool, and how fast posts come in."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, select

from db.engine import plain_rows
from db.posts import is_visible, living_imports
from db.tables import post, prediction, run

Floats32 = npt.NDArray[np.float32]


def probabilities(conn: Connection, *, version_id: int) -> tuple[Floats32, Floats32]:
    """Of every visible post that the version has scored: that of normal, and that of a violation; (n,) each."""
    query = (
        select(prediction.c.p_normal, prediction.c.p_violation)
        .join_from(prediction, post, post.c.text_id == prediction.c.text_id)
        .where(prediction.c.version_id == version_id, is_visible())
    )
    found = np.fromiter(plain_rows(conn, query), dtype=[("normal", np.float32), ("violation", np.float32)])
    return found["normal"], found["violation"]


def arrivals(conn: Connection) -> list[tuple[datetime, int]]:
    """(when it was published, visible posts that came with it) of each import that brought any, oldest first."""
    query = (
        select(run.c.published_at, func.count())
        .join_from(run, post, post.c.import_id == run.c.id)
        .where(run.c.id.in_(living_imports()))
        .group_by(run.c.id)
        .order_by(run.c.published_at)
    )
    return [(published_at, posts) for published_at, posts in conn.execute(query)]
