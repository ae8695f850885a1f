"""A forum that was imported, indexed for search, scored and decided in part: made once, and kept in build/."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select

from core.clock import utc_now
from core.domain import Actor, Label, Policy, Role
from core.services import searching
from core.services.queueing import renew_queue
from core.services.rules import change_policy
from core.settings import PROJECT_DIR, Settings, read_settings
from db.engine import migrate, open_engine, read
from db.tables import post
from tests.benchmarks.command import import_by_command
from tests.benchmarks.exports import write_export
from tests.benchmarks.figures import BenchmarkFailed
from tests.benchmarks.labelling import sync
from tests.benchmarks.queueing import SEED, score_pool
from tests.benchmarks.workshop import Workshop
from tests.conftest import add_user
from tests.core.services.conftest import decide

ROWS_A_POST = 3.6  # about; see exports.py
DECIDED = 2_000  # posts, by one moderator
OPERATOR = Actor(None, "benchmark", Role.lead)


def kept_forum(posts: int) -> Settings:
    """The forum with about so many posts; makes it if build/ does not hold it."""
    folder = PROJECT_DIR / "build" / f"forum-{posts}"
    if not (folder / "forum.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = _make(_settings(folder), posts)
        (folder / "forum.json").write_text(json.dumps(made) + "\n")
    settings = _settings(folder)
    with opened(settings) as engine:
        migrate(engine, backups_dir=settings.backups_dir)
    return settings


def _settings(home: Path) -> Settings:
    return read_settings({"TIEBREAK_HOME": str(home), "HF_HOME": str(home / "hf")})


def copied_forum(workshop: Workshop, name: str) -> Settings:
    """A copy in a home of its own, for a benchmark that changes it."""
    settings = workshop.home(name)
    shutil.copy(kept_forum(workshop.options.posts).database_path, settings.database_path)
    return settings


@contextmanager
def opened(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings.database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _make(settings: Settings, posts: int) -> dict[str, int]:
    settings.data_dir.mkdir()
    _tell(f"making a forum of {posts:,} posts in {settings.home}; it is kept there")
    export = write_export(settings.home / "export.tsv", rows=round(posts * ROWS_A_POST))
    _tell(f"importing {export.rows:,} rows")
    import_by_command(settings, export.path)
    with opened(settings) as engine:
        _tell("indexing for search")
        searching.index_new_texts(engine)
        _tell("scoring")
        score_pool(engine, seed=SEED)
        renew_queue(engine, now=utc_now(), seed=SEED)
        _tell("deciding some")
        _decide_some(engine)
        with read(engine) as conn:
            found = conn.execute(select(func.count()).select_from(post)).scalar_one()
        with engine.connect() as conn:
            conn.exec_driver_sql("COMMIT")  # a checkpoint happens outside transactions
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in (export.path, export.templates):
        path.unlink()
    return {"posts": found, "rows": export.rows}


def _decide_some(engine: Engine) -> None:
    person, today = add_user(engine, "first", Role.moderator, now=utc_now()), utc_now()
    change_policy(engine, OPERATOR, Policy(second_share=0), now=today)  # they are to be decided once and for all
    cards = list(sync(engine, person, (), holding=(), today=today).cards)
    for number in range(DECIDED):
        if not cards:
            raise BenchmarkFailed(f"The queue ended after {number:,} decisions; make a larger forum.")
        press, holding = decide(cards.pop(0), Label(number % 3)), [card.lease.id for card in cards]
        answer = sync(engine, person, (press,), holding=holding, today=today)
        if answer.acked != [press.id]:
            raise BenchmarkFailed(f"A decision was not saved: {answer.refused}")
        cards += answer.cards
    change_policy(engine, OPERATOR, Policy(), now=utc_now())


def _tell(what: str) -> None:
    sys.stdout.write(f"  {what}\n")
    sys.stdout.flush()
