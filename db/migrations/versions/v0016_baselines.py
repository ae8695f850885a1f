"""the baseline that was trained beside a version"""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    # In SQL, for Alembic gives no column of a table in SQLite a foreign key without making the table anew.
    op.execute(
        "ALTER TABLE model_version ADD COLUMN baseline_of INTEGER "
        "CONSTRAINT fk_model_version_baseline_of_model_version REFERENCES model_version (id)"
    )
    op.create_index("ix_model_version_baseline_of", "model_version", ["baseline_of"])
