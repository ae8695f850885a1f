"""Labelling: one decision saved and one new card fetched, beside a bare insert that is as safely on disk."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Actor, Label, Role
from core.services import annotation
from core.services.annotation import Answer, Press
from core.services.queueing import renew_queue
from db.cards import Card
from db.engine import open_engine
from tests.benchmarks.figures import BenchmarkFailed, Figure, percentile_ms
from tests.benchmarks.queueing import SEED, score_pool
from tests.benchmarks.workshop import Workshop
from tests.conftest import add_user
from tests.core.services.conftest import decide

DECISIONS = 500
HELD = 20  # cards that a page has at hand, by the default policy


def measure(workshop: Workshop) -> list[Figure]:
    settings = workshop.pool("labelling")
    engine = open_engine(settings.database_url)
    score_pool(engine, seed=SEED)
    renew_queue(engine, now=utc_now(), seed=SEED)
    person = add_user(engine, "mo", Role.moderator)
    with closing(bare_table(settings.data_dir / "bare.db")) as bare:
        syncs, inserts, left = _decide_many(engine, person, bare)
    engine.dispose()
    return [
        Figure("decisions", len(syncs), "", f"by a page with {HELD} cards at hand, {left:,} posts left in the queue"),
        Figure("decision and new card, median", percentile_ms(syncs, 50), "ms"),
        Figure("decision and new card, 95th percentile", percentile_ms(syncs, 95), "ms"),
        Figure(
            "bare insert and commit, median",
            percentile_ms(inserts, 50),
            "ms",
            "synchronous=FULL, same file system, in turn",
        ),
        Figure("bare insert and commit, 95th percentile", percentile_ms(inserts, 95), "ms"),
    ]


def _decide_many(engine: Engine, person: Actor, bare: sqlite3.Connection) -> tuple[list[float], list[float], int]:
    """Decide one card after another, a bare insert after each: a slow moment of the disk meets both alike."""
    today = utc_now()
    answer = sync(engine, person, (), holding=(), today=today)
    cards = list(answer.cards)
    syncs, inserts = [], []
    for number in range(DECISIONS):
        if not cards:
            break
        press, holding = decide(cards.pop(0), Label(number % 3)), [card.lease.id for card in cards]
        begun = time.perf_counter()
        answer = sync(engine, person, (press,), holding=holding, today=today)
        syncs.append(time.perf_counter() - begun)
        inserts.append(seconds_of(lambda: insert_bare(bare)))
        _require_saved(answer, press, new_cards=answer.cards)
        cards += answer.cards
    return syncs, inserts, answer.left


def sync(engine: Engine, person: Actor, presses: Sequence[Press], *, holding: Sequence[int], today: datetime) -> Answer:
    return annotation.sync(engine, person, presses, holding=holding, want=HELD, today=today, now=utc_now())


def _require_saved(answer: Answer, press: Press, *, new_cards: Sequence[Card]) -> None:
    if answer.acked != [press.id] or len(new_cards) > 1:
        raise BenchmarkFailed(f"A decision was not saved, or {len(new_cards)} cards came: {answer.refused}")


def bare_table(path: Path) -> sqlite3.Connection:
    """A table whose rows are as safely on disk as decisions are."""
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, label, decided_at)")
    return conn


def insert_bare(bare: sqlite3.Connection) -> None:
    with bare:
        bare.execute("INSERT INTO bare (label, decided_at) VALUES (1, '2026-03-02 09:00:00')")


def seconds_of(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
