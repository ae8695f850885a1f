"""Model versions, their promotions and their predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Insert, Integer, Row, bindparam, exists, func, insert, select

from core.domain import ModelVersion, Prediction
from core.errors import NotFound
from core.wording import _
from db.engine import plain_rows
from db.posts import is_visible
from db.tables import distinct_text, model_version, post, prediction, promotion


def _to_version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(**{name: row._mapping[name] for name in ModelVersion.__dataclass_fields__})


def add_version(
    conn: Connection,
    *,
    name: str,
    run_id: int | None,
    base: str,
    folder: str,
    manifest: dict[str, object],
    metrics: dict[str, object],
    now: datetime,
    baseline_of: int | None = None,
) -> ModelVersion:
    values = {
        "name": name,
        "run_id": run_id,
        "base": base,
        "folder": folder,
        "manifest": manifest,
        "metrics": metrics,
        "created_at": now,
        "baseline_of": baseline_of,
    }
    return _to_version(conn.execute(insert(model_version).values(values).returning(model_version)).one())


def next_version_name(conn: Connection) -> str:
    """v1, v2, …; a baseline has the name of its version with an ending. Imported versions have other names."""
    made = conn.execute(select(func.count()).where(model_version.c.baseline_of.is_(None))).scalar_one()
    return f"v{made + 1}"


def next_imported_name(conn: Connection) -> str:
    """import-1, import-2, …: one that no version has."""
    taken = set(conn.execute(select(model_version.c.name)).scalars())
    return next(name for number in count(1) if (name := f"import-{number}") not in taken)


def baseline_of(conn: Connection, version_id: int) -> ModelVersion | None:
    row = conn.execute(select(model_version).where(model_version.c.baseline_of == version_id)).one_or_none()
    return None if row is None else _to_version(row)


def list_versions(conn: Connection) -> list[ModelVersion]:
    """Newest first, each before its baseline."""
    newest = func.coalesce(model_version.c.baseline_of, model_version.c.id).desc()
    return [_to_version(row) for row in conn.execute(select(model_version).order_by(newest, model_version.c.id))]


def require_version(conn: Connection, name: str) -> ModelVersion:
    row = conn.execute(select(model_version).where(model_version.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(
            _("There is no model version {name!r}; `tiebreak models list` shows those there are.").format(name=name)
        )
    return _to_version(row)


def is_version(conn: Connection, version_id: int) -> bool:
    return conn.execute(select(model_version.c.id).where(model_version.c.id == version_id)).scalar() is not None


def active_version(conn: Connection) -> ModelVersion | None:
    """The latest promoted version."""
    latest = select(promotion.c.version_id).order_by(promotion.c.id.desc()).limit(1).scalar_subquery()
    row = conn.execute(select(model_version).where(model_version.c.id == latest)).one_or_none()
    return None if row is None else _to_version(row)


def was_promoted(conn: Connection, version_id: int) -> bool:
    """Whether the version is or was the active one."""
    return (
        conn.execute(select(promotion.c.id).where(promotion.c.version_id == version_id).limit(1)).scalar() is not None
    )


def promote(conn: Connection, version_id: int, *, promoted_by: str, now: datetime) -> None:
    conn.execute(insert(promotion).values(version_id=version_id, promoted_by=promoted_by, promoted_at=now))


def promoted_between(conn: Connection, since: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """(when, version), oldest first."""
    query = (
        select(promotion.c.promoted_at, model_version.c.name)
        .join_from(promotion, model_version, model_version.c.id == promotion.c.version_id)
        .where(promotion.c.promoted_at >= since, promotion.c.promoted_at < until)
        .order_by(promotion.c.id)
    )
    return [(promoted_at, name) for promoted_at, name in conn.execute(query)]


def add_predictions(conn: Connection, predictions: Sequence[Prediction]) -> None:
    if not predictions:
        return
    conn.execute(
        insert(prediction),
        [
            {
                "version_id": p.version_id,
                "text_id": p.text_id,
                "p_normal": p.probabilities[0],
                "p_suspicious": p.probabilities[1],
                "p_violation": p.probabilities[2],
            }
            for p in predictions
        ],
    )


def add_scores(conn: Connection, rows: Sequence[tuple[int, int, str, float, float, float]]) -> None:
    """rows: (version, text, hash of the text, and the probabilities in Label order).

    A text that is not there any more under this hash is left out, and so is one that is scored already.
    """
    columns = ("version_id", "text_id", "hash", "p_normal", "p_suspicious", "p_violation")
    conn.execute(_adding_scores(), [dict(zip(columns, row, strict=True)) for row in rows])


@cache
def _adding_scores() -> Insert:
    given = {name: bindparam(name, type_=Float) for name in ("p_normal", "p_suspicious", "p_violation")}
    there = select(bindparam("version_id", type_=Integer), distinct_text.c.id, *given.values()).where(
        distinct_text.c.id == bindparam("text_id"), distinct_text.c.hash == bindparam("hash")
    )
    return insert(prediction).prefix_with("OR IGNORE").from_select(["version_id", "text_id", *given], there)


def _has_post() -> ColumnElement[bool]:
    return exists().where(post.c.text_id == distinct_text.c.id, is_visible())


def _unscored(version_id: int) -> ColumnElement[bool]:
    """Distinct texts of visible posts that the version has not scored yet."""
    scored = exists().where(prediction.c.text_id == distinct_text.c.id, prediction.c.version_id == version_id)
    return _has_post() & ~scored


def unscored_texts(conn: Connection, *, version_id: int) -> Iterator[int]:
    """Ids of texts still to be scored, ascending."""
    query = select(distinct_text.c.id).where(_unscored(version_id)).order_by(distinct_text.c.id)
    return (text_id for (text_id,) in plain_rows(conn, query))


def count_unscored(conn: Connection, *, version_id: int) -> int:
    counted = select(func.count()).select_from(distinct_text).where(_unscored(version_id))
    return conn.execute(counted).scalar_one()


def count_texts(conn: Connection) -> int:
    """Distinct texts of visible posts."""
    return conn.execute(select(func.count()).select_from(distinct_text).where(_has_post())).scalar_one()


def texts_by_hash(conn: Connection, *, after: str, limit: int) -> list[tuple[str, str]]:
    """(hash, text) of distinct texts of visible posts behind a hash; their order is as good as drawn by chance."""
    t = distinct_text.c
    query = select(t.hash, t.body).where(t.hash > after, _has_post()).order_by(t.hash).limit(limit)
    return [(text_hash, body) for text_hash, body in plain_rows(conn, query)]


def predictions_for(conn: Connection, *, version_id: int, text_ids: Sequence[int]) -> Iterator[Prediction]:
    for start in range(0, len(text_ids), 500):
        query = select(prediction).where(
            prediction.c.version_id == version_id, prediction.c.text_id.in_(text_ids[start : start + 500])
        )
        for row in conn.execute(query):
            yield Prediction(version_id, row.text_id, (row.p_normal, row.p_suspicious, row.p_violation))
