"""posts that two people are to judge, without either knowing"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "second_opinion",
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("given_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("why IN ('drawn', 'audit')", name=op.f("ck_second_opinion_why")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_second_opinion_post_id_post")),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_second_opinion")),
    )
