"""Importing an export or a labelled file: read as a stream, staged unseen, published at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, Engine

from core.clock import utc_now
from core.domain import Actor, Label, Run, RunKind, SourceKind, SourceTrust
from core.errors import BadInput, Cancelled
from core.labelled import read_file
from core.labels import parse_order
from core.markup import BETWEEN_EXCERPTS, read_markup
from core.overlaps import SplitOverlaps
from core.permissions import Permission, require
from core.services import families
from core.splits import side_of
from core.text import join_excerpts, model_text, normalised, text_hash
from core.tsv import ExportRow, RejectedRow
from db import audit, policies, posts, runs, sources, staging, texts
from db.engine import read, write, write_unseen

logger = logging.getLogger(__name__)

ROWS_PER_TRANSACTION = 4_000
TEXTS_PER_SWEEP = 5_000
KEPT_FOR = timedelta(days=1)  # an upload that nobody imported

Report = Callable[[str, int, int | None, str], None]  # stage, done, total, message; raises Cancelled


@dataclass(slots=True)
class ImportCounts:
    """rows = posts_added + hits_added + repeats + rejected; a row that makes a post counts as that post.

    split_overlaps: texts that the file has both in training and in evaluation; split_overlap_lines: some of them.
    """

    rows: int = 0
    posts_added: int = 0
    hits_added: int = 0
    repeats: int = 0
    rejected: int = 0
    posts_changed: int = 0
    decisions_added: int = 0
    split_overlaps: int = 0
    split_overlap_lines: list[tuple[int, int]] = field(default_factory=list)

    def result(self) -> dict[str, object]:
        """As it is stored with the run; examples only where there are any."""
        counted = asdict(self)
        lines = counted.pop("split_overlap_lines")
        return counted | ({"split_overlap_lines": lines} if lines else {})


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import and how; stored with the run. columns: role (`pid`, `text`, …) to the header's name.

    trust: what the source's word is worth, None for what it has, or human; label_order: what integers mean, from 0.
    """

    path: str
    name: str
    encoding: str = "auto"
    columns: dict[str, str] = field(default_factory=dict)
    source: str | None = None  # of a labelled file's decisions; its name when None
    delete_after: bool = False  # an upload of ours, not the user's own file
    trust: SourceTrust | None = None
    label_order: list[str] = field(default_factory=list)

    @property
    def source_name(self) -> str:
        return self.source or self.name


def queue_import(engine: Engine, actor: Actor, request: ImportRequest, *, now: datetime) -> Run:
    """Put an import in line for the worker."""
    require(actor, Permission.manage_imports)
    if not Path(request.path).is_file():
        raise BadInput(f"{request.path!r} is not a file; check the path.")
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
    build = _Build(engine, run.id, request, report)
    try:
        _build_posts(build)
        families.place_new_texts(engine, report=report)
        report("publishing", 0, None, "")
        _publish(build)
    finally:
        _sweep(engine, run.id, texts_after=build.newest_text)
        if request.delete_after:
            Path(request.path).unlink(missing_ok=True)
    return build.counts.result()


def sweep_uploads(engine: Engine, uploads_dir: Path, *, now: datetime) -> int:
    """Delete uploads of yesterday and before that no open import waits for; returns how many.

    They hold authors and addresses: what was never imported, or whose import was killed, must not lie about.
    """
    with read(engine) as conn:
        wanted = {str(run.config["path"]) for run in runs.open_runs(conn, kind=RunKind.importing)}
    old = [path for path in uploads_dir.glob("*") if path.stat().st_mtime < (now - KEPT_FOR).timestamp()]
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


def _sweep(engine: Engine, run_id: int, *, texts_after: int) -> None:
    """texts_after: the newest text from before the run."""
    with write(engine) as conn:
        staging.sweep_staged(conn, run_id)
    gone = 1
    while gone:
        with write(engine) as conn:
            gone = staging.sweep_unpublished(conn, run_id)
    sweep_unused_texts(engine, after=texts_after)


def sweep_unused_texts(engine: Engine, *, after: int = 0) -> None:
    """Remove texts that no post and no decision refers to any more, some at a time.

    Twice: a representative goes when the other texts of its family are gone.
    """
    for _ in range(2):
        last: int | None = after
        while last is not None:
            with write(engine) as conn:
                last = texts.sweep_unused(conn, after=last, limit=TEXTS_PER_SWEEP)


# --- read and build -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Build:
    """An import at work: what it was asked, and what it has found so far."""

    engine: Engine
    run_id: int
    request: ImportRequest
    report: Report
    counts: ImportCounts = field(default_factory=ImportCounts)
    newest_text: int = 0  # from before the run
    quotes: bool = False  # by policy: whether the model reads quotations too

    def __post_init__(self) -> None:
        with read(self.engine) as conn:
            self.newest_text = texts.newest_id(conn)
            self.quotes = policies.current_policy(conn).model_reads_quotes

    def text_of(self, original: str) -> texts.NewText:
        body = model_text(read_markup(original), quotes=self.quotes)
        normal = normalised(body)
        return texts.NewText(text_hash(body), text_hash(normal), body, side_of(normal))


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
    original: str = ""
    text: texts.NewText | None = None


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
    batch, last_pid, has_others, overlaps = _Batch(), None, False, SplitOverlaps()
    with path.open("rb") as stream:
        for row in rows_of(stream, build.request):
            if with_pid:
                build.counts.rows += 1
                _watch_splits(overlaps, build, row)
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
    if with_pid:
        build.counts.split_overlaps, build.counts.split_overlap_lines = overlaps.found()
    return has_others


def rows_of(stream: BinaryIO, request: ImportRequest) -> Iterator[ExportRow | RejectedRow]:
    return read_file(
        stream,
        name=request.name,
        encoding=request.encoding,
        columns=request.columns,
        label_order=request.label_order,
    )


def _watch_splits(overlaps: SplitOverlaps, build: _Build, row: ExportRow | RejectedRow) -> None:
    if isinstance(row, ExportRow) and row.label is not None and (split := overlaps.split_of(row)):
        overlaps.add(split, row.line, build.text_of(row.text).normal_hash)


def _report_reading(build: _Build, position: int, size: int, *, with_pid: bool) -> None:
    stage = "reading" if with_pid else "reading texts without a pid"
    build.report(stage, position, size, f"{build.counts.rows:,} rows, {build.counts.rejected:,} rejected")


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
    with write_unseen(build.engine) as conn:
        staging.add_rejects(conn, build.run_id, batch.rejects)
        text_ids |= texts.add_texts(conn, [text for text in new.values() if text.hash not in text_ids])
        known = [(draft, draft.known) for draft in drafts if draft.known is not None]
        _add_new_posts(conn, build.run_id, [draft for draft in drafts if draft.known is None], text_ids)
        for draft, post in known:
            _change_known_post(conn, build.run_id, draft, post, text_ids)
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
    known = {(word, fingerprint) for word, fingerprint, _ in draft.known.hits} if draft.known else set()
    for row in draft.rows:
        hit = (row.hit_word or "", _fingerprint(row.text))
        # A label for a known post judges it, it does not bring another excerpt; no more does a copy without a pid.
        is_judgement = row.label is not None and not (draft.is_ours and row.pid)
        if hit in known or (is_judgement and (draft.known is not None or draft.new_rows)):
            continue
        known.add(hit)
        draft.new_rows.append((row, hit[1]))
    if draft.new_rows:
        excerpts = [excerpt for _, _, excerpt in draft.known.hits] if draft.known else []
        excerpts += [row.text for row, _ in draft.new_rows]
        draft.original = excerpts[0] if len(excerpts) == 1 else BETWEEN_EXCERPTS.join(join_excerpts(excerpts))
        draft.text = build.text_of(draft.original)


def _fingerprint(excerpt: str) -> int:
    """64 bits tell the excerpts of one post apart."""
    return int.from_bytes(hashlib.sha256(excerpt.encode()).digest()[:8], "big", signed=True)


def _count(draft: _Draft, counts: ImportCounts) -> None:
    makes_post = draft.known is None
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
        if staging.has_decisions(conn, run_id):
            source_id = sources.ensure_source(conn, kind=SourceKind.file, name=request.source_name, trust=request.trust)
            counts.decisions_added = staging.publish_decisions(conn, run_id, source_id=source_id, now=now)
        runs.mark_published(conn, run_id, result=counts.result(), now=now)
