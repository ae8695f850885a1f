"""What a source's word is worth, in a database that was filled before sources were rated."""

from __future__ import annotations

from pathlib import Path

from alembic import command

from db import engine as db_engine
from db.engine import migrate, open_engine, schema_version, write
from db.tables import decision, source
from tests.conftest import rows


def test_sources_and_decisions_of_an_older_database_are_human_and_settle_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'old.db'}")
    config = db_engine._alembic()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
    with write(engine) as conn:
        for statement in (
            "INSERT INTO text (id, hash, normal_hash, body, side) VALUES (1, 'h', 'n', 'b', 'train')",
            "INSERT INTO run (id, kind, status, stage, done, message, config, result, created_by, created_at) "
            "VALUES (1, 'import', 'succeeded', '', 0, '', '{}', '{}', 'x', '2026-01-01 00:00:00')",
            "INSERT INTO post (id, pid, text_id, import_id, original, extra) VALUES (1, '1', 1, 1, 'b', '{}')",
            "INSERT INTO source (id, kind, name) VALUES (1, 'person', 'mo'), (2, 'file', 'team')",
            "INSERT INTO decision (id, post_id, text_id, source_id, label, saw_model, decided_at) "
            "VALUES (1, 1, 1, 1, 0, 0, '2026-01-01 00:00:00'), (2, 1, 1, 2, 2, 0, '2026-01-01 00:00:00')",
        ):
            conn.exec_driver_sql(statement)
    saved = migrate(engine, backups_dir=tmp_path / "backups")
    assert saved is not None
    assert schema_version(engine) == db_engine.newest_schema_version()
    assert [found["trust"] for found in rows(engine, source)] == ["human", "human"]
    assert [(made["label"], made["settles"]) for made in rows(engine, decision)] == [(0, False), (2, False)]
