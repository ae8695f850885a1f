"""recall by class along a training, and runs that adapt an encoder"""

from alembic import op

from db.migrations.checks import change_check

revision = "0017"
down_revision = "0016"

OLD, NEW = "'import', 'training', 'scoring')", "'import', 'training', 'scoring', 'pretraining')"


def upgrade() -> None:
    for name in ("normal", "suspicious", "violation"):
        op.execute(f"ALTER TABLE run_point ADD COLUMN recall_{name} FLOAT")
    change_check("run", OLD, NEW)  # the kinds that a run may have
