"""The queue: building a new round from the latest scores, and looking at its head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.domain import Actor, Post, QueueEntry, Reason, RunKind
from core.permissions import Permission, may, require
from core.selection import Pick, WordHits, order_pool
from db import decisions, families, models, policies, posts, queue, runs
from db.engine import read, write, write_unseen

ENTRIES_PER_TRANSACTION = 5_000  # some 20 ms of writing: deciding never waits longer for a new round
_POOL_ROW = np.dtype(
    [
        ("id", np.int64),
        ("family", np.int64),
        ("is_audit", np.bool_),
        ("is_scored", np.bool_),
        ("probabilities", np.float32, 3),
    ]
)


@dataclass(frozen=True, slots=True)
class QueuedPost:
    entry: QueueEntry
    post: Post


@dataclass(frozen=True, slots=True)
class _Pool:
    """Parallel arrays over the first undecided post of each family; probabilities are 0 where is_scored is False.

    judged_before: posts of families in which another post is decided, but not these. They come after all others.
    """

    post_ids: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]  # (n_posts, 3)
    is_scored: npt.NDArray[np.bool_]
    is_audit: npt.NDArray[np.bool_]
    hits: WordHits  # only where nothing is scored
    judged_before: list[int]


def renew_queue(engine: Engine, *, now: datetime, seed: int | None = None) -> int:
    """Build a round over the whole pool, a post a family, publish it, drop the entries of older ones; returns its id.

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
        hits=pool.hits,
        shares=shares,
        rng=np.random.default_rng(seed),
    )
    strategy = "recommended mix" if pool.is_scored.any() else "cold start"
    entries = _entries(picks, pool, round_id, strategy)
    while chunk := list(islice(entries, ENTRIES_PER_TRANSACTION)):
        with write_unseen(engine) as conn:
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
    found = np.fromiter(
        (
            (row.id, row.family, row.side == "audit", row.p_normal is not None,
             (row.p_normal or 0.0, row.p_suspicious or 0.0, row.p_violation or 0.0))
            for row in posts.pool(conn, version_id=version_id)
        ),
        dtype=_POOL_ROW,
    )  # fmt: skip
    families_found, first = np.unique(found["family"], return_index=True)
    is_judged = np.isin(families_found, np.fromiter(families.decided_families(conn), dtype=np.int64))
    judged_before = np.sort(found["id"][first[is_judged]]).tolist()
    rows = found[np.sort(first[~is_judged])]
    hits = _no_hits() if rows["is_scored"].any() else _word_hits(conn, rows["id"])
    return _Pool(rows["id"], rows["probabilities"], rows["is_scored"], rows["is_audit"], hits, judged_before)


def _no_hits() -> WordHits:
    return WordHits(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int32))


def _word_hits(conn: Connection, post_ids: npt.NDArray[np.int64]) -> WordHits:
    """Hit words of these posts, which are in order of id."""
    numbers: dict[str, int] = {}
    pairs = ((row.post_id, numbers.setdefault(row.word, len(numbers))) for row in posts.words_of_pool(conn))
    found = np.fromiter(pairs, dtype=np.dtype([("post", np.int64), ("word", np.int32)]))
    places = np.searchsorted(post_ids, found["post"])
    places[places == len(post_ids)] = 0
    is_shown = post_ids[places] == found["post"] if len(post_ids) else np.zeros(len(found), dtype=np.bool_)
    return WordHits(places[is_shown], found["word"][is_shown])


def _entries(picks: Iterable[Pick], pool: _Pool, round_id: int, strategy: str) -> Iterator[QueueEntry]:
    for rank, pick in enumerate(picks):
        post_id = int(pool.post_ids[pick.position])
        yield QueueEntry(post_id, rank, pick.reason, pick.score, strategy, round_id, pick.selection_probability)
    for rank, post_id in enumerate(pool.judged_before, start=len(pool.post_ids)):
        yield QueueEntry(post_id, rank, Reason.random, None, strategy, round_id, None)


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
