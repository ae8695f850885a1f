"""Constraints that a migration changes where SQLite cannot alter them."""

from __future__ import annotations

from alembic import op


def change_check(table: str, old: str, new: str) -> None:
    """Put new in the place of old in the table's own text of the schema (sqlite.org/lang_altertable.html, section 7).

    Rebuilding a table that others refer to would need foreign keys switched off. The version that is counted up has
    other connections read the schema again. Raises RuntimeError where the table does not say that.
    """
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ? AND instr(sql, ?)",
        (old, new, table, old),
    ).rowcount
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
    if changed != 1:
        raise RuntimeError(f"the table {table!r} has no constraint {old!r}")
