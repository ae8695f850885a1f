"""What an import has read but not yet published: written in short transactions, swept away when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
)

from core.domain import OPEN_STATUSES, Label, RunKind, Side
from db.engine import each_of, insert_rows, plain_rows
from db.posts import change_texts
from db.tables import decision, distinct_text, hit, post, reject, run, sighting, staged_change, staged_decision


def add_rejects(conn: Connection, run_id: int, rejects: Sequence[tuple[int, str, str]]) -> None:
    """rejects: (line, reason, raw line)."""
    insert_rows(conn, reject, ("run_id", "line", "reason", "raw"), [(run_id, *rejected) for rejected in rejects])


def stage_changes(conn: Connection, run_id: int, changes: Sequence[tuple[int, int, str]]) -> None:
    """changes: (post_id, text_id, original), a post once. The last word counts: rows of one may stand far apart."""
    if changes:
        again = staged_change.c.post_id.in_(each_of([post_id for post_id, _, _ in changes]))
        conn.execute(delete(staged_change).where(staged_change.c.run_id == run_id, again))
        columns = ("run_id", "post_id", "text_id", "original")
        insert_rows(conn, staged_change, columns, [(run_id, *change) for change in changes])


def stage_decisions(conn: Connection, run_id: int, decisions: Sequence[tuple[int, int, Label]]) -> None:
    """decisions: (post_id, text_id, label); they replace what the run staged for the same posts before."""
    if decisions:
        again = staged_decision.c.post_id.in_(each_of([post_id for post_id, _, _ in decisions]))
        conn.execute(delete(staged_decision).where(staged_decision.c.run_id == run_id, again))
        columns = ("run_id", "post_id", "text_id", "label")
        insert_rows(conn, staged_decision, columns, [(run_id, p, t, int(label)) for p, t, label in decisions])


def staged_labels(conn: Connection, run_id: int, post_ids: Sequence[int]) -> dict[int, Label]:
    """What the run has staged for these posts so far."""
    some = staged_decision.c.post_id.in_(each_of(post_ids))
    query = select(staged_decision.c.post_id, staged_decision.c.label).where(staged_decision.c.run_id == run_id, some)
    return {post_id: Label(label) for post_id, label in plain_rows(conn, query)}


def count_changes(conn: Connection, run_id: int) -> int:
    return conn.execute(select(func.count()).where(staged_change.c.run_id == run_id)).scalar_one()


def publish_changes(conn: Connection, run_id: int, *, limit: int) -> int:
    """Give some known posts the text that the new hits made; returns how many."""
    columns = (staged_change.c.post_id, staged_change.c.text_id, staged_change.c.original)
    of_run = staged_change.c.run_id == run_id
    some = list(plain_rows(conn, select(*columns).where(of_run).order_by(staged_change.c.post_id).limit(limit)))
    if some:
        change_texts(conn, some)
        conn.execute(delete(staged_change).where(of_run, staged_change.c.post_id <= some[-1][0]))
    return len(some)


def held_out_sides(conn: Connection, *, first: int, last: int) -> dict[int, Side]:
    """The side of the text that a known post has had, by the id of the one it will have, where that was held out.

    first, last: ids of new texts.
    """
    query = (
        select(staged_change.c.text_id, func.min(distinct_text.c.side).label("side"))  # audit before evaluation
        .join_from(staged_change, post, post.c.id == staged_change.c.post_id)
        .join(distinct_text, distinct_text.c.id == post.c.text_id)
        .where(staged_change.c.text_id.between(first, last), distinct_text.c.side != Side.train)
        .group_by(staged_change.c.text_id)
    )
    return {row.text_id: Side(row.side) for row in conn.execute(query)}


def count_news(conn: Connection, run_id: int, *, source_id: int) -> int:
    """How many of the staged labels become decisions of the source."""
    return conn.execute(select(func.count()).where(staged_decision.c.run_id == run_id, ~_said(source_id))).scalar_one()


def publish_decisions(conn: Connection, run_id: int, *, source_id: int, now: datetime, limit: int) -> int:
    """Turn some staged labels into decisions, except where the last the source said of the post is the same.

    Returns how many were looked at.
    """
    of_run = staged_decision.c.run_id == run_id
    next_ones = select(staged_decision.c.post_id).where(of_run).order_by(staged_decision.c.post_id).limit(limit)
    some = list(conn.execute(next_ones).scalars())
    if not some:
        return 0
    span = of_run & (staged_decision.c.post_id <= some[-1])
    # A source that changes its mind supersedes what it said last of that post.
    superseding = decision.alias()
    standing = (
        select(func.max(decision.c.id))
        .where(
            decision.c.post_id == staged_decision.c.post_id,
            decision.c.source_id == source_id,
            ~select(superseding.c.id).where(superseding.c.supersedes == decision.c.id).exists(),
        )
        .scalar_subquery()
    )
    new = select(
        staged_decision.c.post_id,
        staged_decision.c.text_id,
        literal(source_id),
        staged_decision.c.label,
        literal(run_id),
        standing,
        literal(now, decision.c.decided_at.type),
    ).where(span, ~_said(source_id))
    columns = ["post_id", "text_id", "source_id", "label", "import_id", "supersedes", "decided_at"]
    conn.execute(insert(decision).from_select(columns, new))
    conn.execute(delete(staged_decision).where(span))
    return len(some)


def _said(source_id: int) -> ColumnElement[bool]:
    """The last that the source said of the post is what is staged."""
    other = decision.alias()
    last = (
        select(func.max(other.c.id))
        .where(other.c.post_id == staged_decision.c.post_id, other.c.source_id == source_id)
        .correlate(staged_decision)
        .scalar_subquery()
    )
    return (
        select(decision.c.id)
        .where(
            decision.c.id == last,
            decision.c.text_id == staged_decision.c.text_id,
            decision.c.label == staged_decision.c.label,
        )
        .correlate(staged_decision)
        .exists()
    )


def sweep_staged(conn: Connection, run_id: int) -> None:
    """Remove the changes and decisions that an unpublished import staged."""
    for table in (staged_change, staged_decision):
        conn.execute(delete(table).where(table.c.run_id.in_(_unpublished(run_id))))


def sweep_unpublished(conn: Connection, run_id: int, *, limit: int = 5_000) -> int:
    """Remove some of the sightings, hits and posts that an unpublished import brought; returns how many went."""
    gone = 0
    for table in (sighting, hit, post):
        gone = gone or _delete_some(conn, table, _unpublished(run_id), limit)
    return gone


def _unpublished(run_id: int) -> Select[int]:
    return select(run.c.id).where(run.c.id == run_id, run.c.published_at.is_(None))


def _delete_some(conn: Connection, table: Table, run_ids: Select[int], limit: int, *, of: str = "import_id") -> int:
    key = list(table.primary_key.columns)
    some = select(*key).where(table.c[of].in_(run_ids)).limit(limit)
    return conn.execute(delete(table).where(tuple_(*key).in_(some))).rowcount


def unswept_imports(conn: Connection) -> list[int]:
    """Imports that left something behind which nobody will ever see: they were killed before they could clean up."""
    brought = [select(t.c.import_id).where(t.c.import_id == run.c.id).exists() for t in (post, hit, sighting)]
    return list(conn.execute(_ended().where(run.c.published_at.is_(None), or_(_has_staged(), *brought))).scalars())


def unfinished_imports(conn: Connection) -> list[int]:
    """Imports that are published, and were killed before all that they changed was."""
    return list(conn.execute(_ended().where(run.c.published_at.is_not(None), _has_staged())).scalars())


def _ended() -> Select[int]:
    """Runs that hold what was forgotten are no imports: their posts stay unseen for good."""
    ended = select(run.c.id).where(run.c.kind == RunKind.importing, run.c.status.not_in(OPEN_STATUSES))
    return ended.where(run.c.config["forget"].as_string().is_(None))


def _has_staged() -> ColumnElement[bool]:
    return or_(*(select(t.c.run_id).where(t.c.run_id == run.c.id).exists() for t in (staged_change, staged_decision)))


def rejects_of(conn: Connection, run_id: int) -> Iterator[tuple[int, str, str]]:
    """(line, reason, raw line) in order of lines."""
    for row in conn.execute(select(reject).where(reject.c.run_id == run_id).order_by(reject.c.line)):
        yield row.line, row.reason, row.raw


def sweep_rejects(conn: Connection, *, before: datetime, limit: int = 5_000) -> int:
    """Remove some of the rejected lines of imports that ended before then; returns how many went."""
    ended = select(run.c.id).where(run.c.finished_at < before)
    return _delete_some(conn, reject, ended, limit, of="run_id")
