"""labels that look wrong, found after a training"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "doubt",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("quality", sa.Float(), nullable=False),
        sa.Column("p_normal", sa.Float(), nullable=False),
        sa.Column("p_suspicious", sa.Float(), nullable=False),
        sa.Column("p_violation", sa.Float(), nullable=False),
        sa.CheckConstraint("label IN (0, 1, 2)", name=op.f("ck_doubt_label")),
        sa.ForeignKeyConstraint(["version_id"], ["model_version.id"], name=op.f("fk_doubt_version_id_model_version")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_doubt_text_id_text")),
        sa.PrimaryKeyConstraint("version_id", "text_id", name=op.f("pk_doubt")),
        sqlite_with_rowid=False,
    )
