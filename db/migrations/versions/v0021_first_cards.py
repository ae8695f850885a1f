"""how many of a round's posts are served before its order is complete"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("queue_round", sa.Column("first_cards", sa.Integer(), nullable=False, server_default="0"))
