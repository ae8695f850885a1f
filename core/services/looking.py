"""Looking at how sure a model version is: distributions and the posts behind them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from core.domain import Actor, Label
from core.permissions import Permission, require
from db import distributions, models, posts
from db.engine import read

BINS = distributions.BINS
QUANTITIES = ("confidence", *(label.name for label in Label))


@dataclass(frozen=True, slots=True)
class Bar:
    """posts whose quantity lies in [low, high) (the last bar includes 1), by predicted label."""

    bin: int
    low: float
    high: float
    label: Label
    posts: int


@dataclass(frozen=True, slots=True)
class ScoredPost:
    post_id: int
    pid: str | None
    text: str
    probabilities: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Coverage:
    posts: int
    scored: int


def histogram(engine: Engine, actor: Actor, *, version: str, of: str) -> list[Bar]:
    """Bars of a version's distribution; `of` is one of QUANTITIES."""
    require(actor, Permission.look)
    with read(engine) as conn:
        version_id = models.require_version(conn, version).id
        counted = distributions.histogram(conn, version_id=version_id, of=of)
    return [Bar(b, b / BINS, (b + 1) / BINS, Label(label), count) for b, label, count in counted]


def posts_in_bin(
    engine: Engine, actor: Actor, *, version: str, of: str, bin_: int, page: int, page_size: int = 20
) -> list[ScoredPost]:
    """One page (from 1) of the posts behind a bar."""
    require(actor, Permission.look)
    with read(engine) as conn:
        version_id = models.require_version(conn, version).id
        found = distributions.posts_in_bin(
            conn, version_id=version_id, of=of, bin_=bin_, limit=page_size, offset=(page - 1) * page_size
        )
    return [ScoredPost(r.id, r.pid, r.body, (r.p_normal, r.p_suspicious, r.p_violation)) for r in found]


def coverage(engine: Engine, actor: Actor, *, version: str) -> Coverage:
    """How many of the posts the version has scored."""
    require(actor, Permission.look)
    with read(engine) as conn:
        version_id = models.require_version(conn, version).id
        scored = distributions.count_posts_scored(conn, version_id=version_id)
        return Coverage(posts.count_posts(conn), scored)
