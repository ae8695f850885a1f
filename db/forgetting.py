"""Forgetting: what the database holds of a post or an author, and its removal.

A post that nobody decided goes as a whole. Of a decided one a shell stays, because decisions are never deleted: without
pid, author, words and hits, seen by nobody, its decisions on a text that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from core.domain import LeaseOutcome, Side
from db.engine import each_of
from db.tables import (
    audit_log,
    check_post,
    decision,
    distinct_text,
    family_place,
    flag,
    guidelines_example,
    guidelines_version,
    hit,
    lease,
    post,
    queue_entry,
    reject,
    run,
    second_opinion,
    sighting,
    skip,
    staged_change,
    staged_decision,
)
from db.texts import REFERS_TO_TEXT

NO_TEXT = "forgotten"  # the hash of the one text that stands where words have been forgotten; no text has such a hash
# What hangs on a post and goes with it, decided or not; and what goes only where no decision needs it.
GOES = (staged_change, staged_decision, sighting, hit, queue_entry, skip, flag, check_post, guidelines_example)
GOES_UNDECIDED = (second_opinion, lease)
NOTES = (
    (decision.c.note, decision),
    (flag.c.note, flag),
    (flag.c.answer, flag),
    (guidelines_example.c.note, guidelines_example),
    (guidelines_version.c.note, guidelines_version),
    (guidelines_version.c.body, guidelines_version),
    (run.c.message, run),
    (run.c.error, run),
    (run.c.traceback, run),
)
IN_JSON = ((audit_log.c.details, audit_log, ("reason", "file")), (run.c.config, run, ("name",)))  # what people wrote


# --- what there is ----------------------------------------------------------------------------------------------------


def posts_by(conn: Connection, author: str) -> list[int]:
    """Posts of the author of that name or number."""
    theirs = (post.c.author == author) | (post.c.author_id == author)
    return list(conn.execute(select(post.c.id).where(theirs).order_by(post.c.id)).scalars())


def posts_with(conn: Connection, pid: str) -> list[int]:
    return list(conn.execute(select(post.c.id).where(post.c.pid == pid)).scalars())


def pids_of(conn: Connection, post_ids: Sequence[int]) -> set[str]:
    query = select(post.c.pid).where(post.c.id.in_(each_of(post_ids)), post.c.pid.is_not(None))
    return set(conn.execute(query).scalars())


def texts_of(conn: Connection, post_ids: Sequence[int]) -> dict[int, str]:
    """By id, every text that the posts have, or had when somebody decided them."""
    ids = set()
    for table in REFERS_TO_TEXT:
        of_post = post.c.id if table is post else table.c.post_id
        ids |= set(conn.execute(select(table.c.text_id).where(of_post.in_(each_of(post_ids)))).scalars())
    query = select(distinct_text.c.id, distinct_text.c.body).where(distinct_text.c.id.in_(each_of(ids)))
    return {row.id: row.body for row in conn.execute(query)}


def authors_of(conn: Connection, post_ids: Sequence[int]) -> tuple[set[str], set[str]]:
    """(names, numbers) that the posts carry."""
    query = select(post.c.author, post.c.author_id).distinct().where(post.c.id.in_(each_of(post_ids)))
    found = conn.execute(query).all()
    return {row.author for row in found if row.author}, {row.author_id for row in found if row.author_id}


def count_that_name(conn: Connection, names: Sequence[str], *, beside: Sequence[int]) -> int:
    """Posts of others whose words contain one of the names, quotations above all."""
    named = or_(false(), *(func.instr(post.c.original, name) > 0 for name in names))
    return conn.execute(select(func.count()).where(named, post.c.id.not_in(each_of(beside)))).scalar_one()


# --- what goes --------------------------------------------------------------------------------------------------------


def forget_posts(conn: Connection, post_ids: Sequence[int], *, run_id: int, now: datetime) -> dict[str, int]:
    """Remove the posts with all that hangs on them, or leave shells that belong to the run; returns counts."""
    these = each_of(post_ids)
    decided = list(conn.execute(select(decision.c.post_id).distinct().where(decision.c.post_id.in_(these))).scalars())
    undecided = sorted(set(post_ids) - set(decided))
    counts = {"posts": len(undecided), "decided_posts": len(decided)}
    counts["decisions"] = _count(conn, decision, decision.c.post_id.in_(these))
    counts["hits"] = _count(conn, hit, hit.c.post_id.in_(these))
    for table in GOES:
        conn.execute(delete(table).where(table.c.post_id.in_(these)))
    for table in GOES_UNDECIDED:
        conn.execute(delete(table).where(table.c.post_id.in_(each_of(undecided))))
    conn.execute(delete(post).where(post.c.id.in_(each_of(undecided))))
    _empty(conn, decided, run_id=run_id, now=now)
    return counts


def _count(conn: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return conn.execute(select(func.count()).select_from(table).where(condition)).scalar_one()


def _empty(conn: Connection, post_ids: Sequence[int], *, run_id: int, now: datetime) -> None:
    """Leave of decided posts only that there was a post."""
    if not post_ids:
        return
    these, nothing = each_of(post_ids), _text_that_says_nothing(conn)
    conn.execute(
        update(post)
        .where(post.c.id.in_(these))
        .values(
            pid=None,
            text_identity=literal("forgotten-") + cast(post.c.id, String),
            text_id=nothing,
            import_id=run_id,
            original="",
            author=None,
            author_id=None,
            ip=None,
            extra={},
            thread=None,
        )
    )
    conn.execute(update(decision).where(decision.c.post_id.in_(these)).values(text_id=nothing, note=None))
    conn.execute(delete(second_opinion).where(second_opinion.c.post_id.in_(these), second_opinion.c.given_at.is_(None)))
    held = update(lease).where(lease.c.post_id.in_(these), lease.c.ended_at.is_(None))
    conn.execute(held.values(ended_at=now, outcome=LeaseOutcome.returned))


def _text_that_says_nothing(conn: Connection) -> int:
    found = conn.execute(select(distinct_text.c.id).where(distinct_text.c.hash == NO_TEXT)).scalar()
    if found is not None:
        return found
    values = {"hash": NO_TEXT, "normal_hash": NO_TEXT, "body": "", "side": Side.train}
    return conn.execute(insert(distinct_text).values(values).returning(distinct_text.c.id)).scalar_one()


def unused_texts(conn: Connection, text_ids: Iterable[int]) -> list[int]:
    """Those of these texts that nothing refers to any more."""
    used = [exists().where(table.c.text_id == distinct_text.c.id) for table in REFERS_TO_TEXT]
    query = select(distinct_text.c.id).where(distinct_text.c.id.in_(each_of(list(text_ids))), *(~one for one in used))
    return list(conn.execute(query.order_by(distinct_text.c.id)).scalars())


def families_in_queue(conn: Connection, post_ids: Sequence[int]) -> set[int]:
    """Families of those of these posts that stand in the queue."""
    query = (
        select(family_place.c.representative_id)
        .join_from(queue_entry, post, post.c.id == queue_entry.c.post_id)
        .join(family_place, family_place.c.text_id == post.c.text_id)
        .where(post.c.id.in_(each_of(post_ids)))
    )
    return set(conn.execute(query).scalars())


def families_left(conn: Connection, family_ids: Iterable[int]) -> list[int]:
    """Those of these families that there still are."""
    own = family_place.c.representative_id
    query = select(own).distinct().where(own.in_(each_of(list(family_ids))))
    return list(conn.execute(query.order_by(own)).scalars())


def texts_among_others(conn: Connection, text_ids: Sequence[int]) -> list[int]:
    """Those of these texts that are not alone in their family."""
    other = family_place.alias("other")
    shared = exists().where(
        other.c.representative_id == family_place.c.representative_id, other.c.text_id != family_place.c.text_id
    )
    query = select(family_place.c.text_id).where(family_place.c.text_id.in_(each_of(text_ids)), shared)
    return list(conn.execute(query.order_by(family_place.c.text_id)).scalars())


def family_of(conn: Connection, text_id: int) -> int:
    return conn.execute(select(family_place.c.representative_id).where(family_place.c.text_id == text_id)).scalar_one()


def change_notes(conn: Connection, change: Callable[[str], str]) -> int:
    """Replace what people wrote by what `change` makes of it; returns how many notes became others."""
    changed = 0
    for column, table in NOTES:
        key = next(iter(table.primary_key.columns))
        written = conn.execute(select(key, column).where(column.is_not(None), column != "")).all()
        for row_id, note in written:
            if (new := change(note)) != note:
                conn.execute(update(table).where(key == row_id).values({column.name: new}))
                changed += 1
    return changed + sum(_change_in_json(conn, column, table, keys, change) for column, table, keys in IN_JSON)


def _change_in_json(
    conn: Connection, column: Column[Any], table: Table, keys: Sequence[str], change: Callable[[str], str]
) -> int:
    changed = 0
    has_some = or_(*(column[key].as_string().is_not(None) for key in keys))
    for row_id, values in conn.execute(select(table.c.id, column).where(has_some)).all():
        new = values | {key: change(str(values[key])) for key in keys if values.get(key)}
        if new != values:
            conn.execute(update(table).where(table.c.id == row_id).values({column.name: new}))
            changed += 1
    return changed


def drop_rejects(conn: Connection, is_meant: Callable[[str, str], bool]) -> int:
    """Remove rejected lines of which (line, reason) is meant; returns how many."""
    lines = conn.execute(select(reject.c.run_id, reject.c.line, reject.c.raw, reject.c.reason))
    found = [(row.run_id, row.line) for row in lines if is_meant(row.raw, row.reason)]
    for run_id, line in found:
        conn.execute(delete(reject).where(reject.c.run_id == run_id, reject.c.line == line))
    return len(found)


# --- the record -------------------------------------------------------------------------------------------------------


def is_forgetting() -> ColumnElement[bool]:
    """The run has forgotten something. It holds the shells, as an import that is never published holds its posts."""
    return run.c.config["forget"].as_string().is_not(None)


def uncleaned(conn: Connection) -> list[int]:
    """Runs after which the file still holds what was forgotten, where deleted words had stood."""
    return list(conn.execute(select(run.c.id).where(is_forgetting(), run.c.swept_at.is_(None))).scalars())


def list_forgetting(conn: Connection, *, limit: int) -> list[int]:
    return list(conn.execute(select(run.c.id).where(is_forgetting()).order_by(run.c.id.desc()).limit(limit)).scalars())
