"""Queue: renewing a round over the pool, without and with a model's scores, and how long it keeps other writers out."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType

import numpy as np
from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Prediction
from core.services.queueing import renew_queue
from core.services.scoring import store_predictions, texts_to_score
from db import models
from db.engine import open_engine, read, write
from db.queue import count_left
from tests.benchmarks.aside import Call, call_aside
from tests.benchmarks.figures import Figure
from tests.benchmarks.workshop import Workshop

SEED = 13
LEARNED: dict[str, object] = {"examples": {"training": {"normal": 80, "suspicious": 20, "violation": 20}}}
LOOK_EVERY_S = 0.002
IDLE_S = 2.0


def measure(workshop: Workshop) -> list[Figure]:
    settings = workshop.pool("queue")
    engine = open_engine(settings.database_url)
    idle = LockWatch(settings.database_path)
    with idle:
        time.sleep(IDLE_S)
    cold, cold_wait = _renew_watched(settings.database_url, settings.database_path)
    score_pool(engine, seed=SEED)
    scored, scored_wait = _renew_watched(settings.database_url, settings.database_path)
    with read(engine) as conn:
        posts = count_left(conn)
    engine.dispose()
    bare = call_aside(insert_bare, workshop.folder / "bare-queue.db", posts)
    return [
        Figure("pool", posts, "posts"),
        Figure("first round, by hit words", cold.seconds, "s"),
        Figure("next round, by a model's scores", scored.seconds, "s", "with dropping the first one's entries"),
        Figure("as many entries into a bare table", bare.seconds, "s"),
        Figure("peak memory, next round", scored.peak_mib, "MiB", f"{scored.peak_before_mib:.0f} MiB before it began"),
        Figure("longest wait for the write lock, first round", cold_wait * 1_000, "ms"),
        Figure("longest wait for the write lock, next round", scored_wait * 1_000, "ms"),
        Figure("longest wait while nobody writes", idle.longest_s * 1_000, "ms"),
    ]


def _renew_watched(database_url: str, database: Path) -> tuple[Call, float]:
    """Renew in another process, as the worker does; returns the call and the longest wait of a writer here."""
    with LockWatch(database) as watch:
        call = call_aside(renew, database_url)
    return call, watch.longest_s


def renew(database_url: str) -> int:
    engine = open_engine(database_url)
    round_id = renew_queue(engine, now=utc_now(), seed=SEED)
    engine.dispose()
    return round_id


def add_active_version(engine: Engine) -> int:
    """A made-up version that has seen enough labels to be followed; returns its id."""
    with write(engine) as conn:
        version = models.add_version(
            conn, name="v1", run_id=None, base="none", folder="none", manifest=LEARNED, metrics={}, now=utc_now()
        )
        models.promote(conn, version.id, promoted_by="benchmark", now=utc_now())
        return version.id


def score_pool(engine: Engine, *, seed: int) -> None:
    """Give every text of the pool made-up probabilities of a made-up version, and promote it."""
    rng = np.random.default_rng(seed)
    add_active_version(engine)
    with read(engine) as conn:
        version = models.require_version(conn, "v1")
    text_ids = texts_to_score(engine, version, share=1.0, rng=rng).tolist()
    for start in range(0, len(text_ids), 5_000):
        some = text_ids[start : start + 5_000]
        made_up = [(row[0], row[1], row[2]) for row in rng.dirichlet((8.0, 1.0, 0.6), size=len(some)).tolist()]
        found = zip(some, made_up, strict=True)
        store_predictions(engine, [Prediction(version.id, text_id, proba) for text_id, proba in found])


def insert_bare(database: Path, count: int) -> None:
    """Write as many rows of the same width, with the same two indexes, in one transaction."""
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE entry (round, post, rank, reason, score, probability, PRIMARY KEY (round, post))")
        conn.execute("CREATE INDEX entry_rank ON entry (round, rank)")
        with conn:
            entries = ((1, (n * 7_919) % count, n, "uncertain", 0.5, None) for n in range(count))
            conn.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?)", entries)


class LockWatch:
    """Takes the write lock again and again, from a thread of its own; longest_s is the longest that it waited."""

    def __init__(self, database: Path) -> None:
        self.longest_s = 0.0
        self._database = database
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lock watch", daemon=True)

    def __enter__(self) -> LockWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        # timeout=0: SQLite's own waiting sleeps up to 100 ms at a time, too coarse to measure with.
        with closing(sqlite3.connect(self._database, timeout=0, isolation_level=None)) as conn:
            while not self._ended.wait(LOOK_EVERY_S):
                begun = time.perf_counter()
                while not _took_lock(conn):
                    time.sleep(LOOK_EVERY_S / 4)
                self.longest_s = max(self.longest_s, time.perf_counter() - begun)
                conn.execute("ROLLBACK")


def _took_lock(conn: sqlite3.Connection) -> bool:
    try:
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as err:
        if err.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
