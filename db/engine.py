"""The one place that knows the database's dialect: connections, transactions, backups and migrations."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Select, Table, create_engine, event, func, insert, select
from sqlalchemy.exc import OperationalError

from core.errors import BadInput, Conflict
from core.wording import _

DatabaseBusy = OperationalError  # locked for longer than the timeout, or the disk is full
PAGES_UNCHECKED = 20_000  # of the write-ahead log: a decision is not to pay for what an import has written
PAUSE_S = 0.025  # in its first eighth of a second, a waiting writer looks again as often as that at least
LOOKS_FOR_READERS = 3  # each waits as long as a writer does
BUSY_TIMEOUT_MS = 60_000  # SQLite serves waiting writers in no order: under load the unlucky one waits long


def open_engine(database_url: str) -> Engine:
    """Return an engine for a SQLite file: WAL, foreign keys on, our own BEGIN."""
    # An error's message goes to logs and to a run's page: it must not carry what was being written.
    # The connection used last is used next: its page cache holds until another one writes, and an import that took the
    # pool's connections in turn would read the same pages again at each transaction.
    engine = create_engine(database_url, hide_parameters=True, pool_use_lifo=True)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is deferred and comes at unexpected moments
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # what the screen calls saved survives a power cut, not only a killed process
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
        "cache_size=-32000",
        f"wal_autocheckpoint={PAGES_UNCHECKED}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(conn: Connection) -> None:
    # BEGIN IMMEDIATE: a read that turns into a write fails at once, whatever busy_timeout says.
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("tiebreak_write") else "BEGIN")


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """A writing transaction: commits at the end, rolls back on an exception.

    Threads of one process take turns by a lock: SQLite lets those that wait for its own look again after ever longer
    pauses, so that the unlucky ones among fifty moderators would wait for seconds.
    """
    with _taking_turns(engine), engine.connect().execution_options(tiebreak_write=True) as conn, conn.begin():
        yield conn


_turns: WeakKeyDictionary[Engine, Lock] = WeakKeyDictionary()


@contextmanager
def _taking_turns(engine: Engine) -> Iterator[None]:
    turn = _turns.setdefault(engine, Lock())
    has_it = turn.acquire(timeout=BUSY_TIMEOUT_MS / 1_000)  # then SQLite says that it is busy
    try:
        yield
    finally:
        if has_it:
            turn.release()


@contextmanager
def write_unseen(engine: Engine) -> Iterator[Connection]:
    """A writing transaction for what nobody sees before a later `write` publishes it: much of it, and not synced.

    A power cut may take the last of these transactions back (never a part of one): what they brought is swept away
    all the same when it was not published, and publishing syncs everything before it.
    """
    with engine.connect().execution_options(tiebreak_write=True) as conn:
        _set_synchronous(conn, "NORMAL")
        try:
            with conn.begin():
                yield conn
        finally:
            _set_synchronous(conn, "FULL")


@contextmanager
def in_turns(
    engine: Engine, begin: Callable[[Engine], AbstractContextManager[Connection]] = write
) -> Iterator[Connection]:
    """One of many short writing transactions in a row, and a pause after it, so that a decision gets its turn.

    Waiting writers are served in no order: each looks again after a while, and would find the database locked.
    """
    with begin(engine) as conn:
        begun = time.monotonic()
        yield conn
    time.sleep(min(PAUSE_S, time.monotonic() - begun))


def _set_synchronous(conn: Connection, value: str) -> None:
    cursor = conn.connection.cursor()  # beside SQLAlchemy, which would begin a transaction for it
    cursor.execute(f"PRAGMA synchronous={value}")
    cursor.close()


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """A reading transaction: one consistent view, never waits for writers."""
    with engine.connect() as conn, conn.begin():
        yield conn


def each_of(values: Collection[int] | Collection[str]) -> Select[Any]:
    """Select these values, however many: for IN, where a variable for each would take longer than the search."""
    return select(func.json_each(json.dumps(list(values))).table_valued("value").c.value)


def plain_rows(conn: Connection, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query as the driver gives them (no datetimes, no JSON): of hundreds of thousands, Core's own way
    takes longer than the query."""
    compiled = query.compile(dialect=conn.dialect, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params()
    cursor = conn.connection.cursor()
    try:
        yield from cursor.execute(str(compiled), [values[name] for name in compiled.positiontup or ()])
    finally:
        cursor.close()


def insert_rows(
    conn: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    leaves_known: bool = False,
) -> None:
    """Insert many rows of values as the driver takes them (no datetimes, no JSON), in the order of columns.

    Core's own way costs several times the insert itself, and an import has millions of rows.
    leaves_known: a row whose key is there already is left as it is, instead of refused.
    """
    if not rows:
        return
    statement = insert(table).prefix_with("OR IGNORE") if leaves_known else insert(table)
    compiled = statement.compile(dialect=conn.dialect, column_keys=list(columns))
    order = compiled.positiontup  # type: ignore[attr-defined]
    if order != list(columns):
        raise ValueError(f"columns {columns} are not in the order of the table: {order}")
    conn.exec_driver_sql(str(compiled), list(rows))


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def schema_version(engine: Engine) -> str | None:
    with engine.connect() as conn:
        return MigrationContext.configure(conn).get_current_revision()


@cache
def newest_schema_version() -> str | None:
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def migrate(engine: Engine, *, backups_dir: Path) -> Path | None:
    """Create the database or bring it to the newest schema; returns the backup made before a migration, if any.

    Raises Conflict when the database was written by a newer Tiebreak.
    """
    path = database_path(engine)
    path.parent.mkdir(parents=True, exist_ok=True)
    current, newest = schema_version(engine), newest_schema_version()
    if current == newest:
        return None
    known = {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}
    if current is not None and current not in known:
        raise Conflict(
            _("{path} has schema {current!r}, written by a newer Tiebreak than this one; update Tiebreak.").format(
                path=path, current=current
            )
        )
    saved = backup(engine, backups_dir=backups_dir, reason="before-migration") if current is not None else None
    config = _alembic()
    with write(engine) as conn:  # one writer: two processes that start at once migrate one after the other
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
    return saved


def database_path(engine: Engine) -> Path:
    return Path(str(engine.url.database))


def backup(engine: Engine, *, backups_dir: Path, reason: str = "backup") -> Path:
    """Copy the database as one consistent file while others go on writing; returns the copy's path."""
    backups_dir.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    target = backups_dir / f"tiebreak-{stamp}-{reason}.db"
    partial = target.with_suffix(".partial")
    with closing(sqlite3.connect(database_path(engine))) as origin, closing(sqlite3.connect(partial)) as copy:
        origin.backup(copy)
    partial.rename(target)
    return target


def rewrite(engine: Engine) -> bool:
    """Write the file anew, so that nothing deleted is left in it: in free pages, in the search index, in the log.

    Writers wait meanwhile, and the disk holds the database twice. Returns False when somebody went on reading an older
    state, of which the log has to be kept: what it holds is still there then.
    """
    with closing(sqlite3.connect(database_path(engine), timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)) as conn:
        # The index keeps what was deleted until its parts are merged.
        conn.execute("INSERT INTO text_pairs (text_pairs) VALUES ('optimize')")
        conn.execute("VACUUM")
        for _attempt in range(LOOKS_FOR_READERS):
            is_busy, _frames, _moved = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not is_busy:
                return True
    return False


def restore(engine: Engine, *, source: Path, backups_dir: Path) -> Path | None:
    """Put a backup in the database's place; what was there is backed up first (its path is returned)."""
    if not source.is_file():
        raise BadInput(
            _("{source!r} is not a file; name one of the backups in {backups_dir}.").format(
                source=str(source), backups_dir=backups_dir
            )
        )
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as origin:
        try:
            intact = origin.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            origin.execute("SELECT version_num FROM alembic_version")
        except sqlite3.DatabaseError as err:
            raise BadInput(
                _("{source!r} is not a backup of Tiebreak ({err}).").format(source=str(source), err=err)
            ) from err
        if not intact:
            raise BadInput(
                _("{source!r} is damaged (integrity check failed); choose another backup.").format(source=str(source))
            )
        path = database_path(engine)
        path.parent.mkdir(parents=True, exist_ok=True)
        saved = backup(engine, backups_dir=backups_dir, reason="before-restore") if path.exists() else None
        engine.dispose()
        with closing(sqlite3.connect(path)) as target:
            origin.backup(target)
    return saved
