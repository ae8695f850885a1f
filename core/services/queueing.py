"""The queue: building a new round from the latest scores, and looking at its head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import numpy as np
from sqlalchemy import Connection, Engine

from core.domain import Actor, Post, QueueEntry, RunKind
from core.permissions import Permission, may, require
from core.selection import Pick, order_pool
from db import decisions, models, policies, posts, queue, runs
from db.engine import read, write

ENTRIES_PER_TRANSACTION = 5_000  # some 20 ms of writing: deciding never waits longer for a new round


@dataclass(frozen=True, slots=True)
class QueuedPost:
    entry: QueueEntry
    post: Post


@dataclass(frozen=True, slots=True)
class _Pool:
    """Parallel arrays over the undecided posts; probabilities are 0 where is_scored is False."""

    post_ids: list[int]
    probabilities: np.ndarray[tuple[int, int], np.dtype[np.float32]]  # (n_posts, 3)
    is_scored: np.ndarray[tuple[int], np.dtype[np.bool_]]
    is_audit: np.ndarray[tuple[int], np.dtype[np.bool_]]
    words: list[tuple[str, ...]]


def renew_queue(engine: Engine, *, now: datetime, seed: int | None = None) -> int:
    """Build a round over the whole pool, publish it, and drop the entries of older ones; returns its id.

    Built aside in short transactions: moderators are served from the old round until the new one is complete,
    and cards already in their hands stay there.
    """
    with write(engine) as conn:
        round_id = queue.open_round(conn, now=now)
    with read(engine) as conn:
        last_decision = decisions.newest_id(conn)
        version = models.active_version(conn)
        version_id = None if version is None else version.id
        pool = _load_pool(conn, version_id=version_id)
        shares = policies.current_policy(conn).shares
    picks = order_pool(
        proba=pool.probabilities,
        is_scored=pool.is_scored,
        is_audit=pool.is_audit,
        words=pool.words,
        shares=shares,
        rng=np.random.default_rng(seed),
    )
    strategy = "recommended mix" if pool.is_scored.any() else "cold start"
    entries = _entries(picks, pool.post_ids, round_id, strategy)
    while chunk := list(islice(entries, ENTRIES_PER_TRANSACTION)):
        with write(engine) as conn:
            queue.add_entries(conn, chunk)
    with write(engine) as conn:
        queue.publish_round(
            conn, round_id, version_id=version_id, strategy=strategy, last_decision=last_decision, now=now
        )
    while _drop_some_old_entries(engine, round_id):
        pass
    return round_id


def catch_up(engine: Engine, *, now: datetime) -> bool:
    """Renew the queue if an import died right after publishing; returns whether that was needed."""
    with read(engine) as conn:
        is_idle = not runs.open_runs(conn, kind=RunKind.importing)
        if not (is_idle and queue.is_older_than_newest_import(conn)):
            return False
    renew_queue(engine, now=now)
    return True


def _load_pool(conn: Connection, *, version_id: int | None) -> _Pool:
    rows = list(posts.pool(conn, version_id=version_id))
    post_ids = [row.id for row in rows]
    scored = [row.p_normal is not None for row in rows]
    probabilities = [(row.p_normal or 0.0, row.p_suspicious or 0.0, row.p_violation or 0.0) for row in rows]
    needs_words = not any(scored)
    words = posts.words_of_pool(conn) if needs_words else {}
    return _Pool(
        post_ids,
        np.array(probabilities, dtype=np.float32).reshape(-1, 3),
        np.array(scored, dtype=bool),
        np.array([row.side == "audit" for row in rows], dtype=bool),
        [words.get(post_id, ()) for post_id in post_ids],
    )


def _entries(picks: Iterable[Pick], post_ids: list[int], round_id: int, strategy: str) -> Iterator[QueueEntry]:
    for rank, pick in enumerate(picks):
        yield QueueEntry(
            post_ids[pick.position], rank, pick.reason, pick.score, strategy, round_id, pick.selection_probability
        )


def _drop_some_old_entries(engine: Engine, round_id: int) -> bool:
    with write(engine) as conn:
        return queue.drop_entries_before(conn, round_id, limit=ENTRIES_PER_TRANSACTION) > 0


def head_of_queue(engine: Engine, actor: Actor, *, limit: int) -> list[QueuedPost]:
    """The next posts to be shown, in order, whoever holds them."""
    require(actor, Permission.label)
    with read(engine) as conn:
        entries = queue.head_of_queue(conn, limit=limit)
        found = posts.posts_by_id(conn, [entry.post_id for entry in entries])
        if not (may(actor, Permission.see_author) or policies.current_policy(conn).show_author):
            found = {post_id: replace(post, author=None) for post_id, post in found.items()}
    return [QueuedPost(entry, found[entry.post_id]) for entry in entries if entry.post_id in found]
