"""Runs: one attempt each at importing, training or scoring, with heartbeat, progress and end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from core.domain import LABEL_NAMES, OPEN_STATUSES, Run, RunKind, RunPoint, RunStatus
from core.errors import NotFound
from core.wording import _
from db.tables import post, run, run_point

_RECALLS = tuple(f"recall_{name}" for name in LABEL_NAMES)


def _to_run(row: Row[Any]) -> Run:
    values = {name: row._mapping[name] for name in Run.__dataclass_fields__}
    return Run(**{**values, "kind": RunKind(row.kind), "status": RunStatus(row.status)})


def add_run(conn: Connection, *, kind: RunKind, config: dict[str, object], created_by: str, now: datetime) -> Run:
    values = {
        "kind": kind,
        "status": RunStatus.queued,
        "config": config,
        "result": {},
        "created_by": created_by,
        "created_at": now,
    }
    return _to_run(conn.execute(insert(run).values(values).returning(run)).one())


def get_run(conn: Connection, run_id: int) -> Run | None:
    row = conn.execute(select(run).where(run.c.id == run_id)).one_or_none()
    return None if row is None else _to_run(row)


def require_run(conn: Connection, run_id: int) -> Run:
    found = get_run(conn, run_id)
    if found is None:
        raise NotFound(_("There is no run {run_id}; `tiebreak runs list` shows those there are.").format(run_id=run_id))
    return found


def list_runs(
    conn: Connection, *, kind: RunKind | None = None, statuses: Sequence[RunStatus] = (), limit: int = 50
) -> list[Run]:
    """Newest first."""
    query = select(run).order_by(run.c.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(run.c.kind == kind)
    if statuses:
        query = query.where(run.c.status.in_(statuses))
    return [_to_run(row) for row in conn.execute(query)]


def open_runs(conn: Connection, *, kind: RunKind | None = None) -> list[Run]:
    """Queued and running ones, oldest first."""
    return list_runs(conn, kind=kind, statuses=OPEN_STATUSES, limit=1000)[::-1]


def newest_run(conn: Connection, *, kind: RunKind, of: str, value: str, ended: bool = False) -> Run | None:
    """The latest run of this kind whose config says this, or the latest that has succeeded; None without any."""
    query = select(run).where(run.c.kind == kind, run.c.config[of].as_string() == value)
    if ended:
        query = query.where(run.c.status == RunStatus.succeeded)
    row = conn.execute(query.order_by(run.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _to_run(row)


def newest_with_result(conn: Connection, *, kind: RunKind, of: str, value: str) -> Run | None:
    """The latest run of this kind whose result says this."""
    query = select(run).where(run.c.kind == kind, run.c.result[of].as_string() == value)
    row = conn.execute(query.order_by(run.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _to_run(row)


def claim_run(conn: Connection, run_id: int, *, pid: int, process_started: float, now: datetime) -> Run | None:
    """Mark a queued run as running in this process; None if it is not queued or another of its kind is running."""
    kind = select(run.c.kind).where(run.c.id == run_id).scalar_subquery()
    others = select(func.count()).select_from(run).where(run.c.kind == kind, run.c.status == RunStatus.running)
    if conn.execute(others).scalar_one():
        return None
    values = {
        "status": RunStatus.running,
        "pid": pid,
        "process_started": process_started,
        "started_at": now,
        "heartbeat_at": now,
    }
    claimed = update(run).where(run.c.id == run_id, run.c.status == RunStatus.queued).values(values).returning(run)
    row = conn.execute(claimed).one_or_none()
    return None if row is None else _to_run(row)


def beat(conn: Connection, run_id: int, *, now: datetime) -> bool:
    """Write the heartbeat; returns whether somebody asked the run to stop, or it is no longer running."""
    conn.execute(update(run).where(run.c.id == run_id, run.c.status == RunStatus.running).values(heartbeat_at=now))
    row = conn.execute(select(run.c.cancel_requested_at, run.c.status).where(run.c.id == run_id)).one()
    return row.cancel_requested_at is not None or row.status != RunStatus.running


def report_progress(conn: Connection, run_id: int, *, stage: str, done: int, total: int | None, message: str) -> None:
    values = {"stage": stage, "done": done, "total": total, "message": message}
    conn.execute(update(run).where(run.c.id == run_id, run.c.status == RunStatus.running).values(values))


def add_point(conn: Connection, run_id: int, point: RunPoint) -> None:
    """Add to the run's curves; what is known of the step already stays where the point says nothing of it."""
    values = {"loss": point.loss, "macro_f1": point.macro_f1} | dict(zip(_RECALLS, point.recall, strict=True))
    said = {name: value for name, value in values.items() if value is not None}
    at = (run_point.c.run_id == run_id) & (run_point.c.step == point.step)
    if conn.execute(select(run_point.c.step).where(at)).one_or_none() is None:
        conn.execute(insert(run_point).values(run_id=run_id, step=point.step, **said))
    elif said:
        conn.execute(update(run_point).where(at).values(said))


def points_of(conn: Connection, run_id: int) -> list[RunPoint]:
    """In order of steps."""
    query = select(run_point).where(run_point.c.run_id == run_id).order_by(run_point.c.step)
    return [
        RunPoint(row.step, row.loss, row.macro_f1, (row.recall_normal, row.recall_suspicious, row.recall_violation))
        for row in conn.execute(query)
    ]


def finish_run(
    conn: Connection,
    run_id: int,
    *,
    status: RunStatus,
    now: datetime,
    result: dict[str, object] | None = None,
    error: str | None = None,
    traceback: str | None = None,
) -> bool:
    """End an open run once; returns False when it had already ended (a late word from a process thought dead)."""
    values: dict[str, object] = {"status": status, "finished_at": now, "error": error, "traceback": traceback}
    if result is not None:
        values["result"] = result
    ended = update(run).where(run.c.id == run_id, run.c.status.in_(OPEN_STATUSES)).values(values)
    return conn.execute(ended).rowcount == 1


def imports_of_file(conn: Connection, *, sha256: str) -> list[Run]:
    """Published imports of a file with that hash, newest first."""
    same = select(run).where(run.c.published_at.is_not(None), run.c.config["sha256"].as_string() == sha256)
    return [_to_run(row) for row in conn.execute(same.order_by(run.c.id.desc()))]


def import_of_unchanged(conn: Connection, *, path: str, size: int, modified_ns: int) -> Run | None:
    """The last published import of the file at that path, if size and date are what they were then."""
    config = run.c.config
    same = (
        (config["path"].as_string() == path)
        & (config["size"].as_integer() == size)
        & (config["modified_ns"].as_integer() == modified_ns)
    )
    found = select(run).where(run.c.published_at.is_not(None), same).order_by(run.c.id.desc()).limit(1)
    row = conn.execute(found).one_or_none()
    return None if row is None else _to_run(row)


def request_cancel(conn: Connection, run_id: int, *, now: datetime) -> None:
    conn.execute(
        update(run).where(run.c.id == run_id, run.c.cancel_requested_at.is_(None)).values(cancel_requested_at=now)
    )


def set_config(conn: Connection, run_id: int, config: dict[str, object]) -> None:
    """Add what was found out when the run began (device, base found, encoding)."""
    conn.execute(update(run).where(run.c.id == run_id).values(config=config))


def mark_published(conn: Connection, run_id: int, *, result: dict[str, object], now: datetime) -> None:
    """From here on what the import brought is visible, whatever becomes of its process."""
    conn.execute(update(run).where(run.c.id == run_id).values(published_at=now, result=result))


def times_of_imports(conn: Connection) -> dict[int, datetime]:
    """When each import that counts was published."""
    query = select(run.c.id, run.c.published_at).where(run.c.published_at.is_not(None), run.c.taken_back_at.is_(None))
    return {run_id: published_at for run_id, published_at in conn.execute(query)}


def brought_between(conn: Connection, since: datetime, until: datetime) -> tuple[int, int]:
    """(imports that count and were published then, posts that they brought and that are still theirs)."""
    published = (run.c.published_at >= since) & (run.c.published_at < until) & run.c.taken_back_at.is_(None)
    imports = list(conn.execute(select(run.c.id).where(published)).scalars())
    posts = select(func.count()).select_from(post).where(post.c.import_id.in_(imports))
    return len(imports), conn.execute(posts).scalar_one()
