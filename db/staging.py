"""What an import has read but not yet published: written in short transactions, swept away when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, insert, literal, select, update

from core.domain import Label
from db.tables import decision, hit, post, reject, run, staged_change, staged_decision, staged_row


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row that was read well. key: 'pid:…' or 'text:…', the same for all rows of one post."""

    line: int
    key: str
    pid: str | None
    word: str
    excerpt: str
    fingerprint: int
    author: str | None
    author_id: str | None
    ip: str | None
    label: Label | None
    extra: dict[str, str]


def add_rows(conn: Connection, run_id: int, rows: Sequence[StagedRow]) -> None:
    if rows:
        fields = StagedRow.__dataclass_fields__
        conn.execute(insert(staged_row), [{"run_id": run_id} | {f: getattr(row, f) for f in fields} for row in rows])


def add_rejects(conn: Connection, run_id: int, rejects: Sequence[tuple[int, str, str]]) -> None:
    """rejects: (line, reason, raw line)."""
    if rejects:
        conn.execute(
            insert(reject),
            [{"run_id": run_id, "line": line, "reason": why, "raw": raw} for line, why, raw in rejects],
        )


def keys_after(conn: Connection, run_id: int, last_key: str, *, limit: int) -> list[str]:
    query = select(staged_row.c.key).distinct().where(staged_row.c.run_id == run_id, staged_row.c.key > last_key)
    return list(conn.execute(query.order_by(staged_row.c.key).limit(limit)).scalars())


def count_keys(conn: Connection, run_id: int) -> int:
    return conn.execute(
        select(func.count(staged_row.c.key.distinct())).where(staged_row.c.run_id == run_id)
    ).scalar_one()


def rows_of_keys(conn: Connection, run_id: int, first: str, last: str) -> Iterator[StagedRow]:
    """Rows whose key lies in [first, last], in order of key and line."""
    columns = [staged_row.c[name] for name in StagedRow.__dataclass_fields__]
    query = select(*columns).where(staged_row.c.run_id == run_id, staged_row.c.key.between(first, last))
    for row in conn.execute(query.order_by(staged_row.c.key, staged_row.c.line)):
        values = dict(row._mapping)
        values["label"] = None if values["label"] is None else Label(values["label"])
        yield StagedRow(**values)


def stage_change(conn: Connection, run_id: int, *, post_id: int, text_id: int, original: str) -> None:
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


def sweep_staged(conn: Connection, run_id: int, *, limit: int = 20_000) -> int:
    """Remove some of what the run staged; returns how many rows went, 0 when nothing is left."""
    last = select(staged_row.c.line).where(staged_row.c.run_id == run_id).order_by(staged_row.c.line).limit(limit)
    gone = conn.execute(delete(staged_row).where(staged_row.c.run_id == run_id, staged_row.c.line.in_(last))).rowcount
    if gone == 0:
        for table in (staged_change, staged_decision):
            gone += conn.execute(delete(table).where(table.c.run_id == run_id)).rowcount
    return gone


def sweep_unpublished(conn: Connection, run_id: int, *, limit: int = 5_000) -> int:
    """Remove some of the hits and posts that an unpublished import brought; returns how many went."""
    unpublished = select(run.c.id).where(run.c.id == run_id, run.c.published_at.is_(None))
    gone = 0
    for table in (hit, post):  # hits first: they refer to posts
        some = select(table.c.id).where(table.c.import_id.in_(unpublished)).limit(limit)
        gone += conn.execute(delete(table).where(table.c.id.in_(some))).rowcount
        if gone:
            return gone
    return gone


def unswept_imports(conn: Connection) -> list[int]:
    """Ended imports that left something behind: killed before they could clean up."""
    ended = select(run.c.id).where(run.c.kind == "import", run.c.status.not_in(("queued", "running")))
    left = [
        select(staged_row.c.run_id).where(staged_row.c.run_id == run.c.id).exists(),
        select(staged_change.c.run_id).where(staged_change.c.run_id == run.c.id).exists(),
        select(staged_decision.c.run_id).where(staged_decision.c.run_id == run.c.id).exists(),
        run.c.published_at.is_(None) & select(post.c.id).where(post.c.import_id == run.c.id).exists(),
        run.c.published_at.is_(None) & select(hit.c.id).where(hit.c.import_id == run.c.id).exists(),
    ]
    condition = left[0]
    for other in left[1:]:
        condition = condition | other
    return list(conn.execute(ended.where(condition)).scalars())


def rejects_of(conn: Connection, run_id: int) -> Iterator[tuple[int, str, str]]:
    """(line, reason, raw line) in order of lines."""
    for row in conn.execute(select(reject).where(reject.c.run_id == run_id).order_by(reject.c.line)):
        yield row.line, row.reason, row.raw
