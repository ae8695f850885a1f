"""Where the installation stands, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from core.domain import Run
from db import distributions, models, posts, queue, runs
from db.engine import read


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of visible posts; pool = posts - decided; audit = decided posts of the audit slice.

    newest_model: the version trained last, promoted or not.
    """

    posts: int
    pool: int
    decided: int
    audit: int
    audit_posts: int
    queue_left: int
    decided_by_label: dict[str, int]
    active_model: str | None
    newest_model: str | None
    scored: int
    open_runs: tuple[Run, ...]


def has_posts(engine: Engine) -> bool:
    """Whether any import has brought posts, cheaply at every size of the pool."""
    with read(engine) as conn:
        return posts.are_there_any(conn)


def status_of(engine: Engine) -> Status:
    """Numbers without names: anybody who is signed in may see them."""
    with read(engine) as conn:
        total, decided = posts.count_posts(conn), posts.count_decided(conn)
        active = models.active_version(conn)
        audit_posts, audit_decided = posts.count_audit(conn)
        return Status(
            posts=total,
            pool=total - decided,
            decided=decided,
            audit=audit_decided,
            audit_posts=audit_posts,
            queue_left=queue.count_left(conn),
            decided_by_label=posts.count_by_label(conn),
            active_model=None if active is None else active.name,
            newest_model=next((version.name for version in models.list_versions(conn)), None),
            scored=0 if active is None else distributions.count_posts_scored(conn, version_id=active.id),
            open_runs=tuple(runs.open_runs(conn)),
        )
