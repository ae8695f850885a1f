"""Importing an export or a labelled file: read as a stream, staged unseen, published at once."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, Engine

from core.blocks import blocks_of
from core.clock import utc_now
from core.domain import Actor, Label, Run, RunKind, SourceKind, SourceTrust
from core.drafters import Drafted, draft_aside, draft_here
from core.drafts import Draft, DraftHit, DraftText, draft_posts, marks_by_hash, original_of, text_of
from core.errors import BadInput, Cancelled
from core.labelled import is_in_blocks, read_file
from core.labels import parse_order
from core.overlaps import SplitOverlaps
from core.permissions import Permission, require
from core.services import families, takeback
from core.services.sweeping import sweep_unused_texts
from core.tsv import ExportRow, RejectedRow
from db import audit, policies, posts, runs, sources, staging, texts
from db.engine import in_turns, read, write, write_unseen

logger = logging.getLogger(__name__)

ROWS_PER_TRANSACTION = 4_000
SMALL_FILE = 8_000_000  # bytes; up to that, starting further processes takes longer than reading it here
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
    # What the file was, found out when the import began: how it is known again after it is gone.
    sha256: str | None = None
    size: int | None = None
    modified_ns: int | None = None

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
        _note_file(build)
        _build_posts(build)
        families.place_new_texts(engine, after=build.newest_text, report=report)
        report("publishing", 0, None, "")
        _publish(build)
    finally:
        _sweep(engine, run.id, texts_after=build.newest_text)
        if request.delete_after:
            Path(request.path).unlink(missing_ok=True)
    return build.counts.result()


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
    newest_text: int = 0  # from before the run
    quotes: bool = False  # by policy: whether the model reads quotations too
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        with read(self.engine) as conn:
            self.newest_text = texts.newest_id(conn)
            self.quotes = policies.current_policy(conn).model_reads_quotes


def _build_posts(build: _Build) -> None:
    """Read the file into invisible posts, hits and staged changes, some thousand rows a transaction."""
    path = Path(build.request.path)
    size = path.stat().st_size
    with path.open("rb") as stream:
        for drafted in _drafted(build, stream, size=size):
            _take_in(build, drafted)
            _report_reading(build, drafted.end, size)


def _report_reading(build: _Build, position: int, size: int) -> None:
    rows, rejected = build.counts.rows, build.counts.rejected
    speed = rows / max(0.001, time.monotonic() - build.begun)
    build.report("reading", position, size, f"{rows:,} rows, {rejected:,} rejected, {speed:,.0f} rows/s")


def _drafted(build: _Build, stream: BinaryIO, *, size: int) -> Iterator[Drafted]:
    """What the file says, part by part. A large export is drafted by several processes."""
    request = build.request
    if is_in_blocks(stream, name=request.name, encoding=request.encoding, columns=request.columns):
        draft = draft_aside if size > SMALL_FILE else draft_here
        blocks = blocks_of(stream, encoding=request.encoding, columns=request.columns)
        with closing(draft(blocks, quotes=build.quotes)) as parts:
            yield from parts
        return
    # Texts without a pid come after all posts with one: they join those of their own file too.
    others = yield from _draft_rows(build, stream, with_pid=True)
    if others:
        stream.seek(0)
        yield from _draft_rows(build, stream, with_pid=False)


def _draft_rows(build: _Build, stream: BinaryIO, *, with_pid: bool) -> Generator[Drafted, None, int]:
    """Read the file once, drafting the rows with a pid or those without; returns how many others there are.

    Rows are counted, and rejects given, in the first reading, that for rows with a pid.
    """
    taken: list[ExportRow] = []
    rejects: list[tuple[int, str, str]] = []
    count, others, overlaps = 0, 0, SplitOverlaps()
    for row in rows_of(stream, build.request):
        count += with_pid
        if isinstance(row, RejectedRow):
            if with_pid:
                rejects.append((row.line, row.reason, row.raw))
        elif (row.pid is not None) is with_pid:
            # A batch that ends between two posts spares looking one up again.
            if len(taken) >= ROWS_PER_TRANSACTION and row.pid != taken[-1].pid:
                yield Drafted(count - 1, rejects, draft_posts(taken, quotes=build.quotes), stream.tell())
                count, rejects, taken = int(with_pid), [], []
            taken.append(row)
        else:
            others += 1
        if with_pid:
            _watch_splits(overlaps, build, row)
        if len(rejects) >= ROWS_PER_TRANSACTION:
            yield Drafted(count, rejects, draft_posts(taken, quotes=build.quotes), stream.tell())
            count, rejects, taken = 0, [], []
    yield Drafted(count, rejects, draft_posts(taken, quotes=build.quotes), stream.tell())
    if with_pid:
        build.counts.split_overlaps, build.counts.split_overlap_lines = overlaps.found()
    return others


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
        overlaps.add(split, row.line, text_of(row.text, quotes=build.quotes).normal_hash)


@dataclass(slots=True)
class _Change:
    """A draft of a post that was there before: the hits that it adds, and the text that they make with the others.

    is_ours: this import brought the post, and nobody sees it yet. makes_post: nobody sees it any longer, for it was
    taken back. seen_hits: those that another import brought.
    """

    draft: Draft
    post: posts.KnownPost
    is_ours: bool
    makes_post: bool
    hits: list[DraftHit]
    seen_hits: list[DraftHit]
    original: str
    text: DraftText


def _take_in(build: _Build, drafted: Drafted) -> None:
    """Store a part of the file. Only the storing holds the writer."""
    counts = build.counts
    with read(build.engine) as conn:
        known = _known_posts(conn, drafted.drafts)
        new = [draft for draft in drafted.drafts if draft.key not in known]
        changes = [_change(build, draft, known[draft.key]) for draft in drafted.drafts if draft.key in known]
        wanted = [*(draft.text for draft in new), *(change.text for change in changes if change.hits)]
        wanted += [judgement.text for draft in drafted.drafts for judgement in draft.judgements]
        by_hash = {text.hash: text for text in wanted}
        text_ids = texts.ids_of_texts(conn, list(by_hash))
    new_texts = [text for text in by_hash.values() if text.hash not in text_ids]
    marks = {**drafted.marks, **marks_by_hash(text for text in new_texts if text.hash not in drafted.marks)}
    counts.rows += drafted.rows
    counts.rejected += len(drafted.rejects)
    counts.posts_added += len(new) + sum(change.makes_post for change in changes)
    counts.hits_added += sum(len(draft.hits) - 1 for draft in new)
    counts.hits_added += sum(len(change.hits) - change.makes_post for change in changes)
    counts.repeats += sum(draft.repeats for draft in drafted.drafts)
    counts.repeats += sum(len(change.draft.hits) - len(change.hits) for change in changes)
    with write_unseen(build.engine) as conn:
        staging.add_rejects(conn, build.run_id, drafted.rejects)
        text_ids |= texts.add_texts(conn, new_texts, marks)
        post_ids = _add_new_posts(conn, build.run_id, new, text_ids)
        for change in changes:
            _store_change(conn, build.run_id, change, text_ids)
        posts.add_sightings(conn, build.run_id, [(change.post.id, change.seen_hits) for change in changes])
        post_ids |= {key: post.id for key, post in known.items()}
        _stage_labels(conn, build.run_id, drafted.drafts, post_ids, text_ids)


def _known_posts(conn: Connection, drafts: list[Draft]) -> dict[str, posts.KnownPost]:
    if not drafts:
        return {}
    find = posts.known_by_text if drafts[0].pid is None else posts.known_by_pid
    return find(conn, [draft.key for draft in drafts])


def _change(build: _Build, draft: Draft, post: posts.KnownPost) -> _Change:
    is_ours, makes_post = post.import_id == build.run_id, not post.hits
    known = {(word, fingerprint): by for word, fingerprint, _, by in post.hits}
    hits = [hit for hit in draft.hits if (hit.word, hit.fingerprint) not in known]
    if draft.judgements and not (is_ours and draft.pid):
        hits = hits[:makes_post]  # a label for a known post judges it, it does not bring another excerpt
    seen = [hit for hit in draft.hits if known.get((hit.word, hit.fingerprint), build.run_id) != build.run_id]
    original = original_of([*(excerpt for _, _, excerpt, _ in post.hits), *(hit.excerpt for hit in hits)])
    text = text_of(original, quotes=build.quotes) if hits else draft.text
    return _Change(draft, post, is_ours, makes_post, hits, seen, original, text)


def _add_new_posts(conn: Connection, run_id: int, new: list[Draft], text_ids: dict[str, int]) -> dict[str, int]:
    """Returns the ids of the new posts by key."""
    ids = posts.add_posts(conn, run_id, [_new_post(draft, text_ids[draft.text.hash]) for draft in new])
    posts.add_hits(conn, run_id, [(post_id, draft.hits) for post_id, draft in zip(ids, new, strict=True)])
    return dict(zip((draft.key for draft in new), ids, strict=True))


def _new_post(draft: Draft, text_id: int) -> posts.NewPost:
    identity = None if draft.pid else draft.text.normal_hash
    return posts.NewPost(
        draft.pid, identity, text_id, draft.original, draft.author, draft.author_id, draft.ip, draft.extra
    )


def _store_change(conn: Connection, run_id: int, change: _Change, text_ids: dict[str, int]) -> None:
    """Add hits to a post that was there before; the text that they make is seen when it is published."""
    if not change.hits:
        return
    post = change.post
    posts.add_hits(conn, run_id, [(post.id, change.hits)])
    text_id = text_ids[change.text.hash]
    if (text_id, change.original) == (post.text_id, post.original):
        return
    if change.is_ours:
        posts.change_text(conn, post.id, text_id=text_id, original=change.original)
    else:
        staging.stage_change(conn, run_id, post_id=post.id, text_id=text_id, original=change.original)


def _stage_labels(
    conn: Connection, run_id: int, drafts: list[Draft], post_ids: dict[str, int], text_ids: dict[str, int]
) -> None:
    """A label judges the text that stands beside it in the file; the last line of a post counts.

    Without a pid the post is the one with a copy of that text, and the label judges the copy.
    """
    judged = {post_ids[draft.key]: draft for draft in drafts if draft.judgements}
    of_posts = posts.text_ids_of(conn, [post_id for post_id, draft in judged.items() if draft.pid is None])
    decisions = [
        (post_id, of_posts.get(post_id) or text_ids[draft.judgements[-1].text.hash], Label[draft.judgements[-1].label])
        for post_id, draft in judged.items()
    ]
    staging.stage_decisions(conn, run_id, decisions)


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
            source_id = sources.ensure_source(conn, kind=SourceKind.file, name=request.source_name, trust=request.trust)
            counts.decisions_added = staging.publish_decisions(conn, run_id, source_id=source_id, now=now)
        runs.mark_published(conn, run_id, result=counts.result(), now=now)
