"""texts that stand for the kinds of posts in the pool"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "exploration",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_version.id"], name=op.f("fk_exploration_version_id_model_version")
        ),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_exploration_text_id_text")),
        sa.PrimaryKeyConstraint("version_id", "place", name=op.f("pk_exploration")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_exploration_text_id"), "exploration", ["text_id"])
