"""The database file: migrated with a backup, restored with care, and the same as the schema says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import IntegrityError

from core.domain import RunKind
from core.errors import BadInput, Conflict
from core.settings import Settings
from db import engine as engine_module
from db.engine import backup, database_path, migrate, newest_schema_version, open_engine, restore, schema_version, write
from db.runs import add_run
from db.tables import metadata
from tests.conftest import NOW


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # neither SQLAlchemy nor Alembic compares those
def test_migrations_make_exactly_the_tables_of_the_schema(engine: Engine) -> None:
    with engine.connect() as conn:
        only_ours = {"include_name": lambda name, kind, parents: kind != "table" or not is_of_index(str(name))}
        assert compare_metadata(MigrationContext.configure(conn, opts=only_ours), metadata) == []
    made = {name for name in inspect(engine).get_table_names() if not is_of_index(name)}
    assert made - {"alembic_version"} == set(metadata.tables)


def is_of_index(name: str) -> bool:
    """The virtual table of the search, and those that SQLite keeps for it."""
    return name.startswith("text_pairs")


def test_constraints_of_the_schema_are_in_the_database(engine: Engine) -> None:
    found = inspect(engine)
    with engine.connect() as conn:  # asked here, because SQLAlchemy leaves out those on expressions
        indexes = set(conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'").scalars())
    for name, table in metadata.tables.items():
        checks = {constraint["name"] for constraint in found.get_check_constraints(name)}
        wanted = {c.name for c in table.constraints if type(c).__name__ == "CheckConstraint"}
        assert wanted <= checks, name
        assert {index.name for index in table.indexes} <= indexes, name


def test_run_is_of_one_of_the_kinds_that_the_program_knows(engine: Engine) -> None:
    with write(engine) as conn:
        for kind in RunKind:
            assert add_run(conn, kind=kind, config={}, created_by="x", now=NOW).kind is kind
    with pytest.raises(IntegrityError, match="ck_run_kind"), write(engine) as conn:
        conn.exec_driver_sql("UPDATE run SET kind = 'other'")


def test_kind_added_by_a_migration_is_known_to_connections_that_were_open_before(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    engine, other = open_engine(url), open_engine(url)
    config = engine_module._alembic()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0016")
    with other.connect() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM run").scalar_one() == 0
        conn.rollback()
        migrate(engine, backups_dir=tmp_path)
        add_run(conn, kind=RunKind.pretraining, config={}, created_by="x", now=NOW)
        assert conn.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_new_database_is_made_and_a_second_migration_does_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'sub' / 'x.db'}")
    assert migrate(engine, backups_dir=tmp_path / "backups") is None
    assert schema_version(engine) == newest_schema_version()
    assert migrate(engine, backups_dir=tmp_path / "backups") is None
    assert not (tmp_path / "backups").exists()


def test_database_of_a_newer_tiebreak_is_left_alone(engine: Engine, settings: Settings) -> None:
    with write(engine) as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Conflict, match="newer Tiebreak"):
        migrate(engine, backups_dir=settings.backups_dir)


def add_policy(engine: Engine, name: str) -> None:
    with write(engine) as conn:
        conn.exec_driver_sql(
            "INSERT INTO policy (document, set_by, set_at) VALUES ('{}', ?, ?)", (name, NOW.isoformat())
        )


def policies(engine: Engine) -> list[str]:
    with engine.connect() as conn:
        return list(conn.exec_driver_sql("SELECT set_by FROM policy ORDER BY id").scalars())


def test_backup_is_whole_and_restoring_it_keeps_what_was_there(engine: Engine, settings: Settings) -> None:
    add_policy(engine, "first")
    saved = backup(engine, backups_dir=settings.backups_dir)
    add_policy(engine, "second")
    before = restore(engine, source=saved, backups_dir=settings.backups_dir)
    assert policies(engine) == ["first"]
    assert before is not None
    assert policies(open_engine(f"sqlite:///{before}")) == ["first", "second"]


@pytest.mark.parametrize("content", [b"", b"not a database at all, but longer than a header would be" * 9])
def test_what_is_no_backup_is_refused_and_changes_nothing(engine: Engine, settings: Settings, content: bytes) -> None:
    add_policy(engine, "first")
    bad = settings.data_dir / "bad.db"
    bad.write_bytes(content)
    with pytest.raises(BadInput, match=r"not a backup|damaged"):
        restore(engine, source=bad, backups_dir=settings.backups_dir)
    with pytest.raises(BadInput, match="is not a file"):
        restore(engine, source=settings.data_dir / "none.db", backups_dir=settings.backups_dir)
    assert policies(engine) == ["first"]


def test_writers_survive_power_cuts_and_foreign_keys_are_on(engine: Engine) -> None:
    with engine.connect() as conn:
        pragma = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        }
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO prediction VALUES (1, 1, 0.5, 0.5, 0.5)",
        "INSERT INTO prediction VALUES (1, 1, -0.1, 0.6, 0.5)",
        "INSERT INTO user (name, role, password_hash, created_at) VALUES ('x', 'king', '!', '2026-01-01')",
        "INSERT INTO decision (post_id, text_id, source_id, label, decided_at) VALUES (1, 1, 1, 7, '2026-01-01')",
        "INSERT INTO decision (post_id, text_id, source_id, label, decided_at) VALUES (1, 1, 1, NULL, '2026-01-01')",
        "INSERT INTO decision (post_id, text_id, source_id, label, model_view, decided_at) "
        "VALUES (1, 1, 1, 0, 'perhaps', '2026-01-01')",
        "INSERT INTO source (kind, name, trust) VALUES ('file', 'x', 'somewhat')",
        "INSERT INTO source (kind, name, trust) VALUES ('person', 'x', 'suggestion')",
    ],
)
def test_nonsense_is_refused_by_the_schema_itself(engine: Engine, statement: str) -> None:
    with pytest.raises(IntegrityError), write(engine) as conn:
        conn.exec_driver_sql(statement)


def test_database_path_is_the_file(engine: Engine, settings: Settings) -> None:
    assert database_path(engine) == settings.database_path
    assert sqlite3.connect(settings.database_path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_error_of_the_database_does_not_carry_what_was_being_written(engine: Engine) -> None:
    values = {"pid": "1", "text_id": 9, "import_id": 9, "original": "SECRET", "ip": "192.0.2.77", "extra": {}}
    with pytest.raises(IntegrityError) as caught, write(engine) as conn:
        conn.execute(metadata.tables["post"].insert().values(values))
    assert "SECRET" not in str(caught.value)
    assert "192.0.2.77" not in str(caught.value)
