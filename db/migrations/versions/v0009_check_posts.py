"""check posts, and the answers that measure people"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "check_post",
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("made_by", sa.String(80), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("label IN (0, 1, 2)", name=op.f("ck_check_post_label")),
        sa.CheckConstraint("status IN ('active', 'retired', 'void')", name=op.f("ck_check_post_status")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_check_post_post_id_post")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_check_post_text_id_text")),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_check_post")),
    )
    op.add_column("lease", sa.Column("is_check", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "ALTER TABLE decision ADD COLUMN is_check BOOLEAN DEFAULT FALSE NOT NULL "
        "CONSTRAINT ck_decision_check_settles_nothing CHECK (NOT (is_check AND settles))"
    )
    op.create_index("ix_decision_checks", "decision", ["source_id", "post_id"], sqlite_where=sa.text("is_check = 1"))
