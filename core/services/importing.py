"""Importing an export or a labelled file: read as a stream, staged unseen, published at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Actor, Run, RunKind, SourceKind
from core.errors import BadInput, Cancelled
from core.labels import parse_order
from core.permissions import Permission, require
from core.services import families, takeback
from core.services.building import Build, ImportRequest, Report, build_posts
from core.services.sweeping import sweep_unused_texts
from core.wording import N_, _
from db import audit, policies, posts, runs, sources, staging
from db.engine import in_turns, read, write

__all__ = ["ImportRequest"]

logger = logging.getLogger(__name__)

POSTS_PER_TRANSACTION = 1_000  # that are known, and change
KEPT_FOR = timedelta(days=1)  # an upload that nobody imported
BROKEN_OFF_AFTER = timedelta(hours=1)  # without another byte


def queue_import(engine: Engine, actor: Actor, request: ImportRequest, *, now: datetime) -> Run:
    """Put an import in line for the worker."""
    require(actor, Permission.manage_imports)
    if not Path(request.path).is_file():
        raise BadInput(_("{path!r} is not a file; check the path.").format(path=request.path))
    parse_order(request.label_order)
    with write(engine) as conn:
        sources.refuse_other_trust(conn, kind=SourceKind.file, name=request.source_name, trust=request.trust)
        added = runs.add_run(conn, kind=RunKind.importing, config=asdict(request), created_by=actor.name, now=now)
        audit.record_action(conn, actor, "import", details={"run": added.id, "file": request.name}, now=now)
        return added


def list_rejects(engine: Engine, actor: Actor, run_id: int) -> Iterator[tuple[int, str, str]]:
    """(line, reason, raw line) of what an import rejected, as a stream."""
    require(actor, Permission.manage_imports)
    with read(engine) as conn:
        runs.require_run(conn, run_id)
    return _stream_rejects(engine, run_id)


def _stream_rejects(engine: Engine, run_id: int) -> Iterator[tuple[int, str, str]]:
    with read(engine) as conn:
        yield from staging.rejects_of(conn, run_id)


def run_import(engine: Engine, run: Run, *, report: Report) -> dict[str, object]:
    """Execute an import run; returns its counts. Whatever ends it early leaves nothing visible behind."""
    request = ImportRequest(**run.config)  # type: ignore[arg-type]
    sweep_leftovers(engine)
    build = Build(engine, run.id, request, report)
    try:
        _note_file(build)
        build_posts(build)
        families.place_new_texts(engine, after=build.newest_text, report=build.report_stage)
        build.report_stage(N_("publishing"), 0, None, "")
        _publish(build)
    finally:
        _sweep(engine, run.id, texts_after=build.newest_text)
        if request.delete_after:
            Path(request.path).unlink(missing_ok=True)
    return build.counts.result()


def drop_partial_uploads(uploads_dir: Path) -> None:
    """Delete what a killed server had stored in part. For a server's start: only a running one writes there."""
    for path in uploads_dir.glob("*.partial"):
        path.unlink(missing_ok=True)


def sweep_uploads(engine: Engine, uploads_dir: Path, *, now: datetime) -> int:
    """Delete uploads of yesterday and before that no open import waits for, and broken-off ones; returns how many.

    They hold authors and addresses: what was never imported, or whose import was killed, must not lie about.
    """
    with read(engine) as conn:
        wanted = {str(run.config.get("path")) for run in runs.open_runs(conn, kind=RunKind.importing)}
    old = [path for path in uploads_dir.glob("*") if str(path) not in wanted and _is_left(path, now)]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _is_left(upload: Path, now: datetime) -> bool:
    kept_for = BROKEN_OFF_AFTER if upload.suffix == ".partial" else KEPT_FOR
    return upload.stat().st_mtime < (now - kept_for).timestamp()


def sweep_leftovers(engine: Engine) -> None:
    """Remove what imports left that were killed before they could clean up, and finish what they had published."""
    with read(engine) as conn:
        left = staging.unswept_imports(conn)
        unfinished = [runs.require_run(conn, run_id) for run_id in staging.unfinished_imports(conn)]
    for run in unfinished:
        logger.info("finishing import %s", run.id)
        _publish_rest(engine, run, ImportRequest(**run.config).source_name)  # type: ignore[arg-type]
    for run_id in left:
        logger.info("sweeping what import %s left", run_id)
        _sweep(engine, run_id, texts_after=0)
    takeback.finish_takebacks(engine)


def _sweep(engine: Engine, run_id: int, *, texts_after: int) -> None:
    """texts_after: the newest text from before the run."""
    with write(engine) as conn:
        staging.sweep_staged(conn, run_id)
    gone = 1
    while gone:
        with in_turns(engine) as conn:
            gone = staging.sweep_unpublished(conn, run_id)
    sweep_unused_texts(engine, after=texts_after)


def sweep_rejects(engine: Engine, *, now: datetime) -> None:
    """Delete the rejected lines that were kept as long as the policy says; they hold authors and addresses.

    The counts of their imports stay.
    """
    with read(engine) as conn:
        before = now - timedelta(days=policies.current_policy(conn).reject_days)
    gone = 1
    while gone:
        with in_turns(engine) as conn:
            gone = staging.sweep_rejects(conn, before=before)


def _note_file(build: Build) -> None:
    """Store with the run what file it reads: the hash, and size and date, by which an unchanged one is recognised."""
    path = Path(build.request.path)
    if not path.is_file():
        raise BadInput(_("{name!r} is not here any more; choose the file again.").format(name=build.request.name))
    stat = path.stat()
    sha256 = build.request.sha256
    if sha256 is None:
        build.report(N_("recognising the file"), 0, None, "")
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    noted = replace(build.request, sha256=sha256, size=stat.st_size, modified_ns=stat.st_mtime_ns)
    with write(build.engine) as conn:
        runs.set_config(conn, build.run_id, asdict(noted))


# --- publish --------------------------------------------------------------------------------------------------------


def _publish(build: Build) -> None:
    """Make everything visible in one transaction; cancelled until the very last moment means nothing happened."""
    run_id, request, counts = build.run_id, build.request, build.counts
    with read(build.engine) as conn:
        source_id = sources.find_source(conn, kind=SourceKind.file, name=request.source_name)
        counts.posts_changed = staging.count_changes(conn, run_id)
        counts.decisions_added = staging.count_news(conn, run_id, source_id=source_id or 0)
    now = utc_now()
    with write(build.engine) as conn:
        if runs.beat(conn, run_id, now=now):
            raise Cancelled(_("The import was cancelled; nothing of it is visible."))
        if counts.decisions_added:
            sources.ensure_source(conn, kind=SourceKind.file, name=request.source_name, trust=request.trust)
        posts.adopt_taken_back(conn, run_id)
        runs.mark_published(conn, run_id, result=counts.result(), now=now)
        published = runs.require_run(conn, run_id)
    _publish_rest(build.engine, published, request.source_name)


def _publish_rest(engine: Engine, run: Run, source_name: str) -> None:
    """Give known posts their new texts and the file's labels, some at a time.

    A forum's longer export changes a hundred thousand posts: in one transaction, nobody could decide meanwhile.
    """
    if run.published_at is None:
        raise ValueError(f"import {run.id} is not published")
    some = POSTS_PER_TRANSACTION
    while some == POSTS_PER_TRANSACTION:
        with in_turns(engine) as conn:
            some = staging.publish_changes(conn, run.id, limit=POSTS_PER_TRANSACTION)
    with read(engine) as conn:
        source_id = sources.find_source(conn, kind=SourceKind.file, name=source_name)
    some = POSTS_PER_TRANSACTION
    while source_id is not None and some == POSTS_PER_TRANSACTION:
        with in_turns(engine) as conn:
            some = staging.publish_decisions(
                conn, run.id, source_id=source_id, now=run.published_at, limit=POSTS_PER_TRANSACTION
            )
