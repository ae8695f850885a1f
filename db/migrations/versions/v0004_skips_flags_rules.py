"""what a skip means, flags for the lead, and why a decision was made"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Written out, because adding a column with its check leaves the table in place. Skips so far meant "later".
    op.execute(
        "ALTER TABLE skip ADD COLUMN kind VARCHAR(16) DEFAULT 'later' NOT NULL "
        "CONSTRAINT ck_skip_kind CHECK (kind IN ('later', 'not_me', 'cannot_judge'))"
    )
    op.create_index("ix_skip_kind_post_id", "skip", ["kind", "post_id"])
    op.add_column("decision", sa.Column("rule", sa.String(40), nullable=True))
    op.add_column("decision", sa.Column("note", sa.Text(), nullable=True))
    op.create_table(
        "flag",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("flagged_at", sa.DateTime(), nullable=False),
        sa.Column("closed_at", sa.DateTime(), nullable=True),
        sa.Column("closed_by", sa.String(80), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name=op.f("ck_flag_closed_by_somebody")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_flag_post_id_post")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_flag_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag")),
    )
    op.create_index("ix_flag_user_id", "flag", ["user_id"])
    op.create_index(
        "uq_flag_one_open_each", "flag", ["post_id", "user_id"], unique=True, sqlite_where=sa.text("closed_at IS NULL")
    )
