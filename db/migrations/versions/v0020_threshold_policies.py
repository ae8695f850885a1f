"""thresholds that were saved under a name"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "threshold_policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("passes", sa.Float(), nullable=True),
        sa.Column("removes", sa.Float(), nullable=True),
        sa.Column("saved_by", sa.String(length=80), nullable=False),
        sa.Column("saved_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("passes > 0 AND passes <= 1", name=op.f("ck_threshold_policy_passes")),
        sa.CheckConstraint("removes > 0 AND removes <= 1", name=op.f("ck_threshold_policy_removes")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_version.id"], name=op.f("fk_threshold_policy_version_id_model_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_threshold_policy")),
    )
    op.create_index(op.f("ix_threshold_policy_name"), "threshold_policy", ["name"])
