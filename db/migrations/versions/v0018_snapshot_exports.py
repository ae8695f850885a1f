"""runs that write a snapshot to be trained on elsewhere"""

from db.migrations.checks import change_check

revision = "0018"
down_revision = "0017"

OLD = "'import', 'training', 'scoring', 'pretraining')"
NEW = "'import', 'training', 'scoring', 'pretraining', 'export')"


def upgrade() -> None:
    change_check("run", OLD, NEW)  # the kinds that a run may have
