"""What an import has read but not yet published: written in short transactions, swept away when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, Table, delete, exists, func, insert, literal, or_, select, tuple_, update

from core.domain import Label, Side
from db.engine import insert_rows
from db.tables import decision, distinct_text, hit, post, reject, run, sighting, staged_change, staged_decision


def add_rejects(conn: Connection, run_id: int, rejects: Sequence[tuple[int, str, str]]) -> None:
    """rejects: (line, reason, raw line)."""
    insert_rows(conn, reject, ("run_id", "line", "reason", "raw"), [(run_id, *rejected) for rejected in rejects])


def stage_change(conn: Connection, run_id: int, *, post_id: int, text_id: int, original: str) -> None:
    """The last word counts: rows of one post may stand far apart in the file."""
    again = (staged_change.c.run_id == run_id) & (staged_change.c.post_id == post_id)
    conn.execute(delete(staged_change).where(again))
    conn.execute(insert(staged_change).values(run_id=run_id, post_id=post_id, text_id=text_id, original=original))


def stage_decisions(conn: Connection, run_id: int, decisions: Sequence[tuple[int, int, Label]]) -> None:
    """decisions: (post_id, text_id, label); they replace what the run staged for the same posts before."""
    if decisions:
        again = staged_decision.c.post_id.in_([post_id for post_id, _, _ in decisions])
        conn.execute(delete(staged_decision).where(staged_decision.c.run_id == run_id, again))
        conn.execute(
            insert(staged_decision),
            [{"run_id": run_id, "post_id": p, "text_id": t, "label": int(label)} for p, t, label in decisions],
        )


def publish_changes(conn: Connection, run_id: int) -> int:
    """Give known posts the text that the new hits made; returns how many changed."""
    change = select(staged_change.c.text_id, staged_change.c.original).where(
        staged_change.c.run_id == run_id, staged_change.c.post_id == post.c.id
    )
    changed = select(staged_change.c.post_id).where(staged_change.c.run_id == run_id)
    result = conn.execute(
        update(post)
        .where(post.c.id.in_(changed))
        .values(
            text_id=change.with_only_columns(staged_change.c.text_id).scalar_subquery(),
            original=change.with_only_columns(staged_change.c.original).scalar_subquery(),
        )
    )
    return result.rowcount


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


def has_decisions(conn: Connection, run_id: int) -> bool:
    return conn.execute(select(exists().where(staged_decision.c.run_id == run_id))).scalar_one()


def publish_decisions(conn: Connection, run_id: int, *, source_id: int, now: datetime) -> int:
    """Turn staged labels into decisions of a source, except where the last it said of the post is the same."""
    other = decision.alias()
    last = (
        select(func.max(other.c.id))
        .where(other.c.post_id == staged_decision.c.post_id, other.c.source_id == source_id)
        .correlate(staged_decision)
        .scalar_subquery()
    )
    said = (
        select(decision.c.id)
        .where(
            decision.c.id == last,
            decision.c.text_id == staged_decision.c.text_id,
            decision.c.label == staged_decision.c.label,
        )
        .correlate(staged_decision)
        .exists()
    )
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
        literal(False),
        literal(now, decision.c.decided_at.type),
    ).where(staged_decision.c.run_id == run_id, ~said)
    columns = ["post_id", "text_id", "source_id", "label", "import_id", "supersedes", "saw_model", "decided_at"]
    return conn.execute(insert(decision).from_select(columns, new)).rowcount


def sweep_staged(conn: Connection, run_id: int) -> None:
    """Remove the changes and decisions that the run staged."""
    for table in (staged_change, staged_decision):
        conn.execute(delete(table).where(table.c.run_id == run_id))


def sweep_unpublished(conn: Connection, run_id: int, *, limit: int = 5_000) -> int:
    """Remove some of the sightings, hits and posts that an unpublished import brought; returns how many went."""
    unpublished = select(run.c.id).where(run.c.id == run_id, run.c.published_at.is_(None))
    gone = 0
    for table in (sighting, hit, post):
        gone = gone or _delete_some(conn, table, unpublished, limit)
    return gone


def _delete_some(conn: Connection, table: Table, run_ids: Select[int], limit: int, *, of: str = "import_id") -> int:
    key = list(table.primary_key.columns)
    some = select(*key).where(table.c[of].in_(run_ids)).limit(limit)
    return conn.execute(delete(table).where(tuple_(*key).in_(some))).rowcount


def unswept_imports(conn: Connection) -> list[int]:
    """Ended imports that left something behind: killed before they could clean up."""
    ended = select(run.c.id).where(run.c.kind == "import", run.c.status.not_in(("queued", "running")))
    staged = [select(t.c.run_id).where(t.c.run_id == run.c.id).exists() for t in (staged_change, staged_decision)]
    brought = [
        run.c.published_at.is_(None) & select(t.c.import_id).where(t.c.import_id == run.c.id).exists()
        for t in (post, hit, sighting)
    ]
    return list(conn.execute(ended.where(or_(*staged, *brought))).scalars())


def rejects_of(conn: Connection, run_id: int) -> Iterator[tuple[int, str, str]]:
    """(line, reason, raw line) in order of lines."""
    for row in conn.execute(select(reject).where(reject.c.run_id == run_id).order_by(reject.c.line)):
        yield row.line, row.reason, row.raw


def sweep_rejects(conn: Connection, *, before: datetime, limit: int = 5_000) -> int:
    """Remove some of the rejected lines of imports that ended before then; returns how many went."""
    ended = select(run.c.id).where(run.c.finished_at < before)
    return _delete_some(conn, reject, ended, limit, of="run_id")
