"""recall by class along a training, and runs that adapt an encoder"""

from alembic import op

revision = "0017"
down_revision = "0016"

OLD, NEW = "'import', 'training', 'scoring')", "'import', 'training', 'scoring', 'pretraining')"


def upgrade() -> None:
    for name in ("normal", "suspicious", "violation"):
        op.execute(f"ALTER TABLE run_point ADD COLUMN recall_{name} FLOAT")
    # The kinds that a run may have: rebuilding a table that others refer to would need foreign keys switched off. A
    # constraint may be changed in the schema's own text (sqlite.org/lang_altertable.html, section 7); the version
    # that is counted up has other connections read it again.
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'run' AND instr(sql, ?)",
        (OLD, NEW, OLD),
    ).rowcount
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
    if changed != 1:
        raise RuntimeError("the table of runs has no constraint on their kind")
