"""Building an import: what a file says becomes posts and hits that nobody sees yet, and changes that are staged."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, Engine

from core.blocks import blocks_of
from core.domain import Label, SourceTrust
from core.drafters import Drafted, draft_aside, draft_here
from core.drafts import Draft, DraftHit, DraftText, draft_posts, marks_by_hash, original_of, text_of
from core.families import family_form, keys_of
from core.forum import thread_of
from core.labelled import is_in_blocks, read_file
from core.overlaps import EXAMPLES, SplitOverlaps
from core.tsv import ExportRow, RejectedRow
from core.wording import N_, _
from db import policies, posts, staging, texts
from db.engine import read, write_unseen

ROWS_PER_TRANSACTION = 4_000
SMALL_FILE = 8_000_000  # bytes; up to that, starting further processes takes longer than reading it here

Report = Callable[[str, int, int | None, str], None]  # stage, done, total, message; raises Cancelled


@dataclass(slots=True)
class ImportCounts:
    """rows = posts_added + hits_added + repeats + rejected; a row that makes a post counts as that post.

    split_overlaps: texts that the file has both in training and in evaluation; split_overlap_lines: some of them.
    contradictions: labels that are not what an earlier line said of the same post; contradiction_lines: some of them.
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
    contradictions: int = 0
    contradiction_lines: list[int] = field(default_factory=list)

    def result(self) -> dict[str, object]:
        """As it is stored with the run; examples only where there are any."""
        return {name: value for name, value in asdict(self).items() if value != []}


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


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Build:
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

    def report_stage(self, stage: str, done: int, total: int | None, message: str) -> None:
        """Report a stage after the reading: what was read stays on the screen."""
        self.report(stage, done, total, message or self._so_far())

    def _so_far(self) -> str:
        rows, rejected = f"{self.counts.rows:,}", f"{self.counts.rejected:,}"
        return _("{rows} rows, {rejected} rejected").format(rows=rows, rejected=rejected)


def build_posts(build: Build) -> None:
    """Read the file into invisible posts, hits and staged changes, some thousand rows a transaction."""
    path = Path(build.request.path)
    size = path.stat().st_size
    with path.open("rb") as stream:
        for drafted in _drafted(build, stream, size=size):
            _take_in(build, drafted)
            _report_reading(build, drafted.end, size)


def _report_reading(build: Build, position: int, size: int) -> None:
    rows, rejected = build.counts.rows, build.counts.rejected
    speed = rows / max(0.001, time.monotonic() - build.begun)
    build.report(
        N_("reading"),
        position,
        size,
        _("{rows} rows, {rejected} rejected, {speed} rows/s").format(
            rows=f"{rows:,}", rejected=f"{rejected:,}", speed=f"{speed:,.0f}"
        ),
    )


def _drafted(build: Build, stream: BinaryIO, *, size: int) -> Iterator[Drafted]:
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


def _draft_rows(build: Build, stream: BinaryIO, *, with_pid: bool) -> Generator[Drafted, None, int]:
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


def _watch_splits(overlaps: SplitOverlaps, build: Build, row: ExportRow | RejectedRow) -> None:
    if isinstance(row, ExportRow) and row.label is not None and (split := overlaps.split_of(row)):
        form = family_form(text_of(row.text, quotes=build.quotes).body)
        overlaps.add(split, row.line, int(keys_of([form])[0]))


# --- storing --------------------------------------------------------------------------------------------------------


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


def _take_in(build: Build, drafted: Drafted) -> None:
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
        _store_changes(conn, build.run_id, changes, text_ids)
        post_ids |= {key: post.id for key, post in known.items()}
        contradicting = _stage_labels(conn, build.run_id, drafted.drafts, post_ids, text_ids)
    counts.contradictions += len(contradicting)
    counts.contradiction_lines += contradicting[: EXAMPLES - len(counts.contradiction_lines)]


def _known_posts(conn: Connection, drafts: list[Draft]) -> dict[str, posts.KnownPost]:
    if not drafts:
        return {}
    find = posts.known_by_text if drafts[0].pid is None else posts.known_by_pid
    return find(conn, [draft.key for draft in drafts])


def _change(build: Build, draft: Draft, post: posts.KnownPost) -> _Change:
    is_ours, makes_post = post.import_id == build.run_id, not post.hits
    known = {(word, fingerprint): by for word, fingerprint, _excerpt, by in post.hits}
    hits = [hit for hit in draft.hits if (hit.word, hit.fingerprint) not in known]
    if draft.judgements and not (is_ours and draft.pid):
        hits = hits[:makes_post]  # a label for a known post judges it, it does not bring another excerpt
    seen = [hit for hit in draft.hits if known.get((hit.word, hit.fingerprint), build.run_id) != build.run_id]
    original = original_of(
        [*(excerpt for _word, _fingerprint, excerpt, _by in post.hits), *(hit.excerpt for hit in hits)]
    )
    is_whole = not hits or original == draft.original
    text = draft.text if is_whole else text_of(original, quotes=build.quotes)
    return _Change(draft, post, is_ours, makes_post, hits, seen, original, text)


def _add_new_posts(conn: Connection, run_id: int, new: list[Draft], text_ids: dict[str, int]) -> dict[str, int]:
    """Returns the ids of the new posts by key."""
    ids = posts.add_posts(conn, run_id, [_new_post(draft, text_ids[draft.text.hash]) for draft in new])
    posts.add_hits(conn, run_id, [(post_id, draft.hits) for post_id, draft in zip(ids, new, strict=True)])
    return dict(zip((draft.key for draft in new), ids, strict=True))


def _new_post(draft: Draft, text_id: int) -> posts.NewPost:
    identity = None if draft.pid else draft.text.normal_hash
    return posts.NewPost(
        draft.pid, identity, text_id, draft.original, draft.author, draft.author_id, draft.ip, draft.extra,
        thread_of(draft.extra),
    )  # fmt: skip


def _store_changes(conn: Connection, run_id: int, changes: list[_Change], text_ids: dict[str, int]) -> None:
    """Add hits to posts that were there before; the texts that they make are seen when they are published."""
    posts.add_hits(conn, run_id, [(change.post.id, change.hits) for change in changes])
    posts.add_sightings(conn, run_id, [(change.post.id, change.seen_hits) for change in changes])
    reworded: dict[bool, list[tuple[int, int, str]]] = {True: [], False: []}  # by whether the post is ours
    for change in changes:
        if not change.hits:
            continue
        now = text_ids[change.text.hash], change.original
        if now != (change.post.text_id, change.post.original):
            reworded[change.is_ours].append((change.post.id, *now))
    posts.change_texts(conn, reworded[True])
    staging.stage_changes(conn, run_id, reworded[False])


def _stage_labels(
    conn: Connection, run_id: int, drafts: list[Draft], post_ids: dict[str, int], text_ids: dict[str, int]
) -> list[int]:
    """A label judges the text that stands beside it in the file; the last line of a post counts.

    Without a pid the post is the one with a copy of that text, and the label judges the copy.
    Returns the lines that say something else than the line before them on the same post.
    """
    judged = {post_ids[draft.key]: draft for draft in drafts if draft.judgements}
    if not judged:
        return []
    said = {post_id: label.name for post_id, label in staging.staged_labels(conn, run_id, list(judged)).items()}
    contradicting = []
    for post_id, draft in judged.items():
        for judgement in draft.judgements:
            if said.setdefault(post_id, judgement.label) != judgement.label:
                contradicting.append(judgement.line)
                said[post_id] = judgement.label
    of_posts = posts.text_ids_of(conn, [post_id for post_id, draft in judged.items() if draft.pid is None])
    decisions = [
        (post_id, of_posts.get(post_id) or text_ids[draft.judgements[-1].text.hash], Label[draft.judgements[-1].label])
        for post_id, draft in judged.items()
    ]
    staging.stage_decisions(conn, run_id, decisions)
    return contradicting
