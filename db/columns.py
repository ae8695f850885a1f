"""The pool by columns: each read in one scan, where it can be through an index that holds all that is asked.

Joined by the database, millions of rows would take several times as long as joined by arrays (core.columns).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, Select, case, exists, func, select

from core.columns import PAIR, SIDES, Floats32, Pairs
from core.domain import RunKind, RunStatus
from db.engine import plain_rows
from db.posts import decides, is_decided_beside_taken_back, living_imports, taken_back_imports
from db.tables import decision, distinct_text, family_place, hit, lease, post, prediction, run

SCORED = np.dtype([("text", np.int64), ("proba", np.float32, 3)])
SCORED_STEP = 12  # bits: of a scoring under way, that it has done 4,096 more is no news


# --- which state they are of ------------------------------------------------------------------------------------------


def posts_state(conn: Connection) -> tuple[object, ...]:
    """Another one whenever posts have come, gone, or got other texts: imports, taking back and forgetting are runs."""
    counted = (func.count(), func.max(run.c.id))
    times = (run.c.published_at, run.c.taken_back_at, run.c.swept_at, run.c.finished_at)
    told = (each for time in times for each in (func.count(time), func.max(time)))
    return tuple(conn.execute(select(*counted, *told).where(run.c.kind == RunKind.importing)).one())


def scores_state(conn: Connection, *, version: str) -> tuple[object, ...]:
    """Another one whenever the version has scored, and, while it does, each time that the scored part has doubled."""
    of_version = (run.c.kind == RunKind.scoring) & (run.c.config["version"].as_string() == version)
    ended = conn.execute(select(func.count(run.c.finished_at), func.max(run.c.finished_at)).where(of_version)).one()
    going_on = select(run.c.id, run.c.done).where(of_version, run.c.status == RunStatus.running)
    under_way = tuple((row.id, (row.done >> SCORED_STEP).bit_length()) for row in conn.execute(going_on))
    return *ended, under_way


# --- posts ------------------------------------------------------------------------------------------------------------


def visible_posts(conn: Connection) -> tuple[Pairs, Pairs]:
    """((post, text), (post, import)) of visible posts, in any order; the latter of others too."""
    imports = _pairs(conn, select(post.c.id, post.c.import_id))
    living = np.array(list(conn.execute(living_imports()).scalars()), dtype=np.int64)
    stay = _ids(
        conn, select(post.c.id).where(post.c.import_id.in_(taken_back_imports()), is_decided_beside_taken_back())
    )
    is_there = np.isin(imports["second"], living) | np.isin(imports["first"], stay)
    is_visible = np.zeros(int(imports["first"].max(initial=0)) + 1, dtype=np.bool_)
    is_visible[imports["first"][is_there]] = True
    texts = _pairs(conn, select(post.c.id, post.c.text_id))
    return texts[is_visible[texts["first"]]], imports


def text_families(conn: Connection) -> Pairs:
    """(text, family)."""
    return _pairs(conn, select(family_place.c.text_id, family_place.c.representative_id))


def text_sides(conn: Connection) -> Pairs:
    """(text, place of its side in core.columns.SIDES)."""
    place = case({side.value: at for at, side in enumerate(SIDES)}, value=distinct_text.c.side)
    return _pairs(conn, select(distinct_text.c.id, place))


def hits(conn: Connection) -> tuple[Pairs, list[str]]:
    """((place of the word, post), words) of hits that count and have a word; each post of a word once."""
    query = select(hit.c.word, hit.c.post_id).where(hit.c.word != "").distinct()
    if conn.execute(select(exists().where(_is_of_others()))).scalar_one():  # seldom: the index does not know imports
        query = query.where(hit.c.import_id.in_(living_imports()))
    numbers: dict[str, int] = {}
    rows = ((numbers.setdefault(word, len(numbers)), post_id) for word, post_id in plain_rows(conn, query))
    return np.fromiter(rows, dtype=PAIR), list(numbers)


def _is_of_others() -> ColumnElement[bool]:
    """The hit's import is not published, or was taken back and is still being removed."""
    others = select(run.c.id).where(run.c.kind == RunKind.importing, run.c.id.not_in(living_imports()))
    return hit.c.import_id.in_(others)


def _pairs(conn: Connection, query: Select[Any]) -> Pairs:
    return np.fromiter(plain_rows(conn, query), dtype=PAIR)


def _ids(conn: Connection, query: Select[Any]) -> npt.NDArray[np.int64]:
    return np.fromiter((number for (number,) in plain_rows(conn, query)), dtype=np.int64)


def scores(conn: Connection, *, version_id: int) -> tuple[npt.NDArray[np.int64], Floats32]:
    """(ids of texts, (n_texts,); probabilities, (n_texts, 3)) that the version has scored."""
    columns = (prediction.c.text_id, prediction.c.p_normal, prediction.c.p_suspicious, prediction.c.p_violation)
    rows = plain_rows(conn, select(*columns).where(prediction.c.version_id == version_id))
    found = np.fromiter(((text_id, tuple(proba)) for text_id, *proba in rows), dtype=SCORED)
    return found["text"], found["proba"]


# --- what is asked live -----------------------------------------------------------------------------------------------


def decided_labels(conn: Connection) -> Pairs:
    """(post, label) of each decision that decides; of several on a post, the last one comes last."""
    return _pairs(conn, select(decision.c.post_id, decision.c.label).where(decides()).order_by(decision.c.id))


def leased_posts(conn: Connection) -> npt.NDArray[np.int64]:
    """Posts on somebody's card."""
    return _ids(conn, select(lease.c.post_id).where(lease.c.ended_at.is_(None)))


def posts_by(conn: Connection, author: str) -> npt.NDArray[np.int64]:
    """Posts by the author of that name."""
    return _ids(conn, select(post.c.id).where(post.c.author == author))


def days_of_imports(conn: Connection) -> dict[int, date]:
    """The day (UTC) on which each import was published; of those whose posts may be visible."""
    rows = conn.execute(select(run.c.id, run.c.published_at).where(run.c.published_at.is_not(None)))
    return {row.id: row.published_at.date() for row in rows}
