"""runs that write a snapshot to be trained on elsewhere"""

from alembic import op

revision = "0018"
down_revision = "0017"

OLD = "'import', 'training', 'scoring', 'pretraining')"
NEW = "'import', 'training', 'scoring', 'pretraining', 'export')"


def upgrade() -> None:
    # As in 0017: a constraint may be changed in the schema's own text.
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
