"""Importing an export or a labelled file: read as a stream, staged unseen, published at once."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, Engine

from core.clock import utc_now
from core.domain import Actor, Label, Run, RunKind, SourceKind
from core.errors import BadInput, Cancelled
from core.labelled import read_file
from core.permissions import Permission, require
from core.services import takeback
from core.services.wording import original_of, sweep_unused_texts, text_of
from core.tsv import ExportRow, RejectedRow
from db import audit, policies, posts, runs, sources, staging, texts
from db.engine import read, write

logger = logging.getLogger(__name__)

ROWS_PER_TRANSACTION = 2_000
KEPT_FOR = timedelta(days=1)  # an upload that nobody imported

Report = Callable[[str, int, int | None, str], None]  # stage, done, total, message; raises Cancelled


@dataclass(slots=True)
class ImportCounts:
    """rows = posts_added + hits_added + repeats + rejected; a row that makes a post counts as that post."""

    rows: int = 0
    posts_added: int = 0
    hits_added: int = 0
    repeats: int = 0
    rejected: int = 0
    posts_changed: int = 0
    decisions_added: int = 0


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import and how; stored with the run. columns: role (`pid`, `text`, …) to the header's name."""

    path: str
    name: str
    encoding: str = "auto"
    columns: dict[str, str] = field(default_factory=dict)
    source: str | None = None  # of a labelled file's decisions; its name when None
    delete_after: bool = False  # an upload of ours, not the user's own file
    # What the file was, found out when the import began: how it is known again after it is gone.
    sha256: str | None = None
    size: int | None = None
    modified_ns: int | None = None


def queue_import(engine: Engine, actor: Actor, request: ImportRequest, *, now: datetime) -> Run:
    """Put an import in line for the worker."""
    require(actor, Permission.manage_imports)
    if not Path(request.path).is_file():
        raise BadInput(f"{request.path!r} is not a file; check the path.")
    with write(engine) as conn:
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
    build = _Build(engine, run.id, request, report)
    try:
        _note_file(build)
        _build_posts(build)
        report("publishing", 0, None, "")
        _publish(build)
    finally:
        _sweep(engine, run.id, texts_after=build.newest_text)
        if request.delete_after:
            Path(request.path).unlink(missing_ok=True)
    return asdict(build.counts)


def sweep_uploads(engine: Engine, uploads_dir: Path, *, now: datetime) -> int:
    """Delete uploads of yesterday and before that no open import waits for; returns how many. For a server's start.

    They hold authors and addresses: what was never imported, or whose import was killed, must not lie about. What a
    killed server had stored in part goes whatever its age, because only a running server writes there.
    """
    with read(engine) as conn:
        wanted = {str(run.config.get("path")) for run in runs.open_runs(conn, kind=RunKind.importing)}
    oldest = (now - KEPT_FOR).timestamp()
    old = [path for path in uploads_dir.glob("*") if path.suffix == ".partial" or path.stat().st_mtime < oldest]
    for path in old:
        if str(path) not in wanted:
            path.unlink(missing_ok=True)
    return len(old)


def sweep_leftovers(engine: Engine) -> None:
    """Remove what imports left that were killed before they could clean up."""
    with read(engine) as conn:
        left = staging.unswept_imports(conn)
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
        with write(engine) as conn:
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
        with write(engine) as conn:
            gone = staging.sweep_rejects(conn, before=before)


def _note_file(build: _Build) -> None:
    """Store with the run what file it reads: the hash, and size and date, by which an unchanged one is recognised."""
    path = Path(build.request.path)
    if not path.is_file():
        raise BadInput(f"{build.request.name!r} is not here any more; choose the file again.")
    stat = path.stat()
    sha256 = build.request.sha256
    if sha256 is None:
        build.report("recognising the file", 0, None, "")
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    noted = replace(build.request, sha256=sha256, size=stat.st_size, modified_ns=stat.st_mtime_ns)
    with write(build.engine) as conn:
        runs.set_config(conn, build.run_id, asdict(noted))


# --- read and build -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Build:
    """An import at work: what it was asked, and what it has found so far."""

    engine: Engine
    run_id: int
    request: ImportRequest
    report: Report
    counts: ImportCounts = field(default_factory=ImportCounts)
    begun: float = field(default_factory=time.monotonic)
    newest_text: int = 0  # from before the run
    quotes: bool = False  # by policy: whether the model reads quotations too

    def __post_init__(self) -> None:
        with read(self.engine) as conn:
            self.newest_text = texts.newest_id(conn)
            self.quotes = policies.current_policy(conn).model_reads_quotes

    def text_of(self, original: str) -> texts.NewText:
        return text_of(original, quotes=self.quotes)


@dataclass(slots=True)
class _Batch:
    """Rows on their way from the file into the database, by the post that they belong to."""

    rows: dict[str, list[ExportRow]] = field(default_factory=dict)
    rejects: list[tuple[int, str, str]] = field(default_factory=list)
    size: int = 0

    def add(self, key: str, row: ExportRow) -> None:
        self.rows.setdefault(key, []).append(row)
        self.size += 1


@dataclass(slots=True)
class _Draft:
    """One post of a batch while it is built. is_ours: this import brought it, as a whole, and nobody sees it yet."""

    rows: list[ExportRow]
    known: posts.KnownPost | None
    is_ours: bool
    new_rows: list[tuple[ExportRow, int]] = field(default_factory=list)  # with the fingerprint of the excerpt
    seen_rows: list[tuple[ExportRow, int]] = field(default_factory=list)  # hits that another import brought
    original: str = ""
    text: texts.NewText | None = None

    @property
    def makes_post(self) -> bool:
        """Nobody sees the post yet, or no longer: it is new, or was taken back."""
        return self.known is None or not self.known.hits


def _build_posts(build: _Build) -> None:
    """Read the file into invisible posts, hits and staged changes, some thousand rows a transaction.

    Texts without a pid come after all posts with one: they join those of their own file too.
    """
    if _read_rows(build, with_pid=True):
        _read_rows(build, with_pid=False)


def _read_rows(build: _Build, *, with_pid: bool) -> bool:
    """Read the file once, taking in the rows with a pid or those without; returns whether there are any others.

    Rejects are stored and rows counted in the first reading, that for rows with a pid.
    """
    path = Path(build.request.path)
    size = path.stat().st_size
    batch, last_pid, has_others = _Batch(), None, False
    with path.open("rb") as stream:
        for row in rows_of(stream, build.request):
            build.counts.rows += with_pid
            # The rows of a post mostly stand together: a batch that ends between two posts spares looking one up again.
            if batch.size >= ROWS_PER_TRANSACTION and (isinstance(row, RejectedRow) or row.pid != last_pid):
                _take_in(build, batch)
                batch = _Batch()
                _report_reading(build, stream.tell(), size, with_pid=with_pid)
            if isinstance(row, RejectedRow):
                if with_pid:
                    batch.rejects.append((row.line, row.reason, row.raw))
                    batch.size += 1
            elif (row.pid is not None) is with_pid:
                batch.add(row.pid or build.text_of(row.text).normal_hash, row)
                last_pid = row.pid
            else:
                has_others = True
    _take_in(build, batch)
    return has_others


def rows_of(stream: BinaryIO, request: ImportRequest) -> Iterator[ExportRow | RejectedRow]:
    return read_file(stream, name=request.name, encoding=request.encoding, columns=request.columns)


def _report_reading(build: _Build, position: int, size: int, *, with_pid: bool) -> None:
    stage = "reading" if with_pid else "reading texts without a pid"
    rows, rejected = build.counts.rows, build.counts.rejected
    speed = rows / max(0.001, time.monotonic() - build.begun)
    build.report(stage, position, size, f"{rows:,} rows, {rejected:,} rejected, {speed:,.0f} rows/s")


def _take_in(build: _Build, batch: _Batch) -> None:
    """Build the posts of a batch and store them. Only the storing holds the writer."""
    with read(build.engine) as conn:
        drafts = _drafts(conn, build.run_id, batch)
        for draft in drafts:
            _fill(draft, build)
            _count(draft, build.counts)
        judged = _judged(build, drafts)
        new = {text.hash: text for text in (*(d.text for d in drafts if d.text), *(text for _, _, text in judged))}
        text_ids = texts.ids_of_texts(conn, list(new))
    build.counts.rejected += len(batch.rejects)
    with write(build.engine) as conn:
        staging.add_rejects(conn, build.run_id, batch.rejects)
        text_ids |= texts.add_texts(conn, [text for text in new.values() if text.hash not in text_ids])
        known = [(draft, draft.known) for draft in drafts if draft.known is not None]
        _add_new_posts(conn, build.run_id, [draft for draft in drafts if draft.known is None], text_ids)
        for draft, post in known:
            _change_known_post(conn, build.run_id, draft, post, text_ids)
        posts.add_sightings(conn, build.run_id, _sightings(drafts))
        _stage_labels(conn, build.run_id, judged, text_ids)


def _drafts(conn: Connection, run_id: int, batch: _Batch) -> list[_Draft]:
    with_pid = next((rows[0].pid is not None for rows in batch.rows.values()), True)
    known = (posts.known_by_pid if with_pid else posts.known_by_text)(conn, list(batch.rows))
    drafts = []
    for key, rows in batch.rows.items():
        found = known.get(key)
        drafts.append(_Draft(rows, found, is_ours=found is None or found.import_id == run_id))
    return drafts


def _fill(draft: _Draft, build: _Build) -> None:
    """Find out which rows are new, and what text they make together with what is known."""
    known = {(word, fingerprint): by for word, fingerprint, _, by in draft.known.hits} if draft.known else {}
    for row in draft.rows:
        hit = (row.hit_word or "", _fingerprint(row.text))
        # A label for a known post judges it, it does not bring another excerpt; no more does a copy without a pid.
        is_judgement = row.label is not None and not (draft.is_ours and row.pid)
        if hit in known or (is_judgement and (not draft.makes_post or draft.new_rows)):
            if known.get(hit, build.run_id) != build.run_id:
                draft.seen_rows.append((row, hit[1]))
            continue
        known[hit] = build.run_id
        draft.new_rows.append((row, hit[1]))
    if draft.new_rows:
        excerpts = [excerpt for _, _, excerpt, _ in draft.known.hits] if draft.known else []
        draft.original = original_of([*excerpts, *(row.text for row, _ in draft.new_rows)])
        draft.text = build.text_of(draft.original)


def _fingerprint(excerpt: str) -> int:
    """64 bits tell the excerpts of one post apart."""
    return int.from_bytes(hashlib.sha256(excerpt.encode()).digest()[:8], "big", signed=True)


def _count(draft: _Draft, counts: ImportCounts) -> None:
    makes_post = draft.makes_post
    counts.posts_added += makes_post
    counts.hits_added += len(draft.new_rows) - makes_post
    counts.repeats += len(draft.rows) - len(draft.new_rows)


def _add_new_posts(conn: Connection, run_id: int, drafts: list[_Draft], text_ids: dict[str, int]) -> None:
    new = [_new_post(draft, text_ids) for draft in drafts]
    hits: list[posts.NewHit] = []
    for draft, post, post_id in zip(drafts, new, posts.add_posts(conn, run_id, new), strict=True):
        draft.known = posts.KnownPost(post_id, run_id, post.text_id, post.original, ())
        hits += _hits(draft, post_id)
    posts.add_hits(conn, run_id, hits)


def _new_post(draft: _Draft, text_ids: dict[str, int]) -> posts.NewPost:
    first, text = draft.rows[0], draft.text
    assert text is not None
    identity = None if first.pid else text.normal_hash
    extra: dict[str, str] = {}
    for row in reversed(draft.rows):
        extra |= row.extra
    return posts.NewPost(
        first.pid, identity, text_ids[text.hash], draft.original, _first(row.author for row in draft.rows),
        _first(row.author_id for row in draft.rows), _first(row.ip for row in draft.rows), extra,
    )  # fmt: skip


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _hits(draft: _Draft, post_id: int) -> list[posts.NewHit]:
    return [
        posts.NewHit(post_id, fingerprint, row.hit_word or "", row.line, row.text)
        for row, fingerprint in draft.new_rows
    ]


def _sightings(drafts: list[_Draft]) -> list[tuple[int, int, str, int]]:
    return [
        (draft.known.id, fingerprint, row.hit_word or "", row.line)
        for draft in drafts
        if draft.known is not None
        for row, fingerprint in draft.seen_rows
    ]


def _change_known_post(
    conn: Connection, run_id: int, draft: _Draft, known: posts.KnownPost, text_ids: dict[str, int]
) -> None:
    """Add hits to a post that was there before this batch; the text that they make is seen when it is published."""
    if draft.text is None:
        return
    posts.add_hits(conn, run_id, _hits(draft, known.id))
    text_id = text_ids[draft.text.hash]
    if (text_id, draft.original) == (known.text_id, known.original):
        return
    if draft.is_ours:
        posts.change_text(conn, known.id, text_id=text_id, original=draft.original)
    else:
        staging.stage_change(conn, run_id, post_id=known.id, text_id=text_id, original=draft.original)


def _judged(build: _Build, drafts: list[_Draft]) -> list[tuple[_Draft, ExportRow, texts.NewText]]:
    """Rows with a label, with the text that stands beside it."""
    return [(draft, row, build.text_of(row.text)) for draft in drafts for row in draft.rows if row.label is not None]


def _stage_labels(
    conn: Connection, run_id: int, judged: list[tuple[_Draft, ExportRow, texts.NewText]], text_ids: dict[str, int]
) -> None:
    """A label judges the text that stands beside it in the file; the last line of a post counts.

    Without a pid the post is the one with a copy of that text, and the label judges the copy.
    """
    decisions: dict[int, tuple[int, int, Label]] = {}
    for draft, row, text in judged:
        if draft.known is not None and row.label is not None:
            text_id = text_ids[text.hash] if row.pid else draft.known.text_id
            decisions[draft.known.id] = (draft.known.id, text_id, Label[row.label])
    staging.stage_decisions(conn, run_id, list(decisions.values()))


# --- publish --------------------------------------------------------------------------------------------------------


def _publish(build: _Build) -> None:
    """Make everything visible in one transaction; cancelled until the very last moment means nothing happened."""
    now, run_id, request, counts = utc_now(), build.run_id, build.request, build.counts
    with write(build.engine) as conn:
        if runs.beat(conn, run_id, now=now):
            raise Cancelled("The import was cancelled; nothing of it is visible.")
        counts.posts_changed = staging.publish_changes(conn, run_id)
        posts.adopt_taken_back(conn, run_id)
        if staging.has_decisions(conn, run_id):
            name = request.source or request.name
            source_id = sources.ensure_source(conn, kind=SourceKind.file, name=name)
            counts.decisions_added = staging.publish_decisions(conn, run_id, source_id=source_id, now=now)
        runs.mark_published(conn, run_id, result=asdict(counts), now=now)
