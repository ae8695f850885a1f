"""the language that a person reads pages in"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("user", sa.Column("language", sa.String(16), nullable=True))
