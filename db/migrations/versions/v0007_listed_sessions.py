"""from where sessions began, for people to recognise theirs, and from where the audit log's sign-ins came"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("session", sa.Column("address", sa.String(64), nullable=True))
    op.add_column("session", sa.Column("browser", sa.String(40), nullable=True))
    op.add_column("audit_log", sa.Column("address", sa.String(64), nullable=True))
