"""Importing an export or a labelled file: read as a stream, staged unseen, published at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, Engine

from core.clock import utc_now
from core.domain import Actor, Label, Run, RunKind, SourceKind, SourceTrust
from core.errors import BadInput, Cancelled
from core.labelled import read_file
from core.labels import parse_order
from core.overlaps import SplitOverlaps
from core.permissions import Permission, require
from core.splits import side_of
from core.text import BETWEEN_EXCERPTS, join_excerpts, model_text, normalised, read_markup, text_hash
from core.tsv import ExportRow, RejectedRow
from db import audit, posts, runs, sources, staging, texts
from db.engine import read, write

logger = logging.getLogger(__name__)

ROWS_PER_TRANSACTION = 2_000
POSTS_PER_TRANSACTION = 400
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
    try:
        counts = _stage_file(engine, run.id, request, report)
        _build_posts(engine, run.id, counts, report)
        report("publishing", 0, None, "")
        _publish(engine, run.id, request, counts)
    finally:
        _sweep(engine, run.id)
        if request.delete_after:
            Path(request.path).unlink(missing_ok=True)
    return counts.result()


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
        _sweep(engine, run_id)


def _sweep(engine: Engine, run_id: int) -> None:
    for sweep in (staging.sweep_staged, staging.sweep_unpublished):
        gone = 1
        while gone:
            with write(engine) as conn:
                gone = sweep(conn, run_id)


# --- stage ----------------------------------------------------------------------------------------------------------


def _stage_file(engine: Engine, run_id: int, request: ImportRequest, report: Report) -> ImportCounts:
    """Read the file once into staged rows and rejects."""
    counts = ImportCounts()
    path = Path(request.path)
    size = path.stat().st_size
    taken: list[staging.StagedRow] = []
    rejects: list[tuple[int, str, str]] = []
    overlaps = SplitOverlaps()
    with path.open("rb") as stream:
        for row in rows_of(stream, request):
            counts.rows += 1
            _watch_splits(overlaps, row)
            if isinstance(row, RejectedRow):
                rejects.append((row.line, row.reason, row.raw))
            else:
                taken.append(_staged(row))
            if len(taken) + len(rejects) >= ROWS_PER_TRANSACTION:
                counts.rejected += _store(engine, run_id, taken, rejects)
                report("reading", stream.tell(), size, f"{counts.rows:,} rows, {counts.rejected:,} rejected")
    counts.rejected += _store(engine, run_id, taken, rejects)
    counts.split_overlaps, counts.split_overlap_lines = overlaps.found()
    return counts


def rows_of(stream: BinaryIO, request: ImportRequest) -> Iterator[ExportRow | RejectedRow]:
    return read_file(
        stream,
        name=request.name,
        encoding=request.encoding,
        columns=request.columns,
        label_order=request.label_order,
    )


def _watch_splits(overlaps: SplitOverlaps, row: ExportRow | RejectedRow) -> None:
    if isinstance(row, ExportRow) and row.label is not None and (split := overlaps.split_of(row)):
        overlaps.add(split, row.line, text_hash(normalised(_text_for_model(row.text))))


def _staged(row: ExportRow) -> staging.StagedRow:
    label = None if row.label is None else Label[row.label]
    key = f"pid:{row.pid}" if row.pid else f"text:{text_hash(normalised(_text_for_model(row.text)))}"
    return staging.StagedRow(
        row.line, key, row.pid, row.hit_word or "", row.text, _fingerprint(row.text), row.author, row.author_id,
        row.ip, label, row.extra,
    )  # fmt: skip


def _fingerprint(excerpt: str) -> int:
    """64 bits tell the excerpts of one post apart."""
    return int.from_bytes(hashlib.sha256(excerpt.encode()).digest()[:8], "big", signed=True)


def _store(engine: Engine, run_id: int, taken: list[staging.StagedRow], rejects: list[tuple[int, str, str]]) -> int:
    """Write and empty both lists; returns how many were rejected."""
    with write(engine) as conn:
        staging.add_rows(conn, run_id, taken)
        staging.add_rejects(conn, run_id, rejects)
    count = len(rejects)
    taken.clear()
    rejects.clear()
    return count


# --- build ----------------------------------------------------------------------------------------------------------


def _build_posts(engine: Engine, run_id: int, counts: ImportCounts, report: Report) -> None:
    """Turn staged rows into invisible posts, hits and staged changes, a few hundred posts a transaction."""
    with read(engine) as conn:
        total = staging.count_keys(conn, run_id)
    last, done = "", 0
    while True:
        with read(engine) as conn:
            keys = staging.keys_after(conn, run_id, last, limit=POSTS_PER_TRANSACTION)
        if not keys:
            return
        # Texts without a pid come after all posts with one: they join those of their own file too.
        kind = keys[0][:4]
        keys = [key for key in keys if key[:4] == kind]
        with write(engine) as conn:
            _build_some(conn, run_id, keys, counts)
        last = keys[-1]
        done += len(keys)
        report("grouping", done, total, f"{counts.posts_added:,} new posts")


@dataclass(slots=True)
class _Draft:
    """One post of the file while it is built."""

    rows: list[staging.StagedRow]
    known: posts.KnownPost | None
    new_rows: list[staging.StagedRow] = field(default_factory=list)
    original: str = ""
    text: texts.NewText | None = None


def _build_some(conn: Connection, run_id: int, keys: list[str], counts: ImportCounts) -> None:
    drafts = _drafts(conn, run_id, keys)
    for draft in drafts:
        _fill(draft)
        _count(draft, counts)
    ids = texts.ensure_texts(conn, [draft.text for draft in drafts if draft.text])
    changed = [draft for draft in drafts if draft.known is not None]
    _add_new_posts(conn, run_id, [draft for draft in drafts if draft.known is None], ids)
    for draft in changed:
        if draft.known is not None and draft.text is not None:
            _change_known_post(conn, run_id, draft.known, draft, ids[draft.text.hash])
    _stage_labels(conn, run_id, drafts)


def _drafts(conn: Connection, run_id: int, keys: list[str]) -> list[_Draft]:
    rows = staging.rows_of_keys(conn, run_id, keys[0], keys[-1])
    grouped = {key: list(group) for key, group in groupby(rows, key=lambda row: row.key)}
    by_pid = posts.known_by_pid(conn, [key[4:] for key in keys if key.startswith("pid:")])
    by_text = posts.known_by_text(conn, [key[5:] for key in keys if key.startswith("text:")])
    return [
        _Draft(group, by_pid.get(key[4:]) if key.startswith("pid:") else by_text.get(key[5:]))
        for key, group in grouped.items()
    ]


def _fill(draft: _Draft) -> None:
    """Find out which rows are new, and what text they make together with what is known."""
    known = {(word, fingerprint) for word, fingerprint, _ in draft.known.hits} if draft.known else set()
    for row in draft.rows:
        is_known = draft.known is not None or (row.pid is None and bool(draft.new_rows))
        if (row.word, row.fingerprint) in known or (is_known and row.label is not None):
            continue  # a label for a known post judges it, it does not bring another excerpt
        known.add((row.word, row.fingerprint))
        draft.new_rows.append(row)
    if not draft.new_rows:
        return
    excerpts = [excerpt for _, _, excerpt in draft.known.hits] if draft.known else []
    draft.original = BETWEEN_EXCERPTS.join(join_excerpts([*excerpts, *(row.excerpt for row in draft.new_rows)]))
    draft.text = _new_text(draft.original)


def _new_text(original: str) -> texts.NewText:
    body = _text_for_model(original)
    normal = normalised(body)
    return texts.NewText(text_hash(body), text_hash(normal), body, side_of(normal))


def _text_for_model(original: str) -> str:
    return model_text(read_markup(original))


def _count(draft: _Draft, counts: ImportCounts) -> None:
    makes_post = draft.known is None
    counts.posts_added += makes_post
    counts.hits_added += len(draft.new_rows) - makes_post
    counts.repeats += len(draft.rows) - len(draft.new_rows)


def _add_new_posts(conn: Connection, run_id: int, drafts: list[_Draft], text_ids: dict[str, int]) -> None:
    new = [_new_post(draft, text_ids) for draft in drafts]
    post_ids = posts.add_posts(conn, run_id, new)
    for draft, post, post_id in zip(drafts, new, post_ids, strict=True):
        draft.known = posts.KnownPost(post_id, post.text_id, post.original, ())
    hits = [hit for draft, post_id in zip(drafts, post_ids, strict=True) for hit in _hits(draft, post_id)]
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
    return [posts.NewHit(post_id, row.word, row.excerpt, row.fingerprint) for row in draft.new_rows]


def _change_known_post(conn: Connection, run_id: int, known: posts.KnownPost, draft: _Draft, text_id: int) -> None:
    posts.add_hits(conn, run_id, _hits(draft, known.id))
    if (text_id, draft.original) != (known.text_id, known.original):
        staging.stage_change(conn, run_id, post_id=known.id, text_id=text_id, original=draft.original)


def _stage_labels(conn: Connection, run_id: int, drafts: list[_Draft]) -> None:
    """A label judges the text that stands beside it in the file; the last line of a post counts.

    Without a pid the post is the one with a copy of that text, and the label judges the copy.
    """
    judged = [(draft, row) for draft in drafts for row in draft.rows if row.label is not None]
    own = [_new_text(row.excerpt) for _, row in judged]
    text_ids = texts.ensure_texts(conn, own)
    decisions: dict[int, tuple[int, int, Label]] = {}
    for (draft, row), text in zip(judged, own, strict=True):
        if draft.known is not None and row.label is not None:
            text_id = text_ids[text.hash] if row.pid else draft.known.text_id
            decisions[draft.known.id] = (draft.known.id, text_id, row.label)
    staging.stage_decisions(conn, run_id, list(decisions.values()))


# --- publish --------------------------------------------------------------------------------------------------------


def _publish(engine: Engine, run_id: int, request: ImportRequest, counts: ImportCounts) -> None:
    """Make everything visible in one transaction; cancelled until the very last moment means nothing happened."""
    now = utc_now()
    with write(engine) as conn:
        if runs.beat(conn, run_id, now=now):
            raise Cancelled("The import was cancelled; nothing of it is visible.")
        counts.posts_changed = staging.publish_changes(conn, run_id)
        if staging.has_decisions(conn, run_id):
            source_id = sources.ensure_source(conn, kind=SourceKind.file, name=request.source_name, trust=request.trust)
            counts.decisions_added = staging.publish_decisions(conn, run_id, source_id=source_id, now=now)
        runs.mark_published(conn, run_id, result=counts.result(), now=now)
