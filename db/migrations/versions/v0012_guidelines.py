"""the guidelines' versions, the posts that stand as examples, and what each person has read"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "guidelines_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("written_by", sa.String(80), nullable=False),
        sa.Column("written_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guidelines_version")),
    )
    op.create_table(
        "guidelines_example",
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("added_by", sa.String(80), nullable=False),
        sa.Column("added_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_guidelines_example_post_id_post")),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_guidelines_example")),
    )
    op.create_table(
        "guidelines_visit",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_guidelines_visit_user_id_user")),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["guidelines_version.id"],
            name=op.f("fk_guidelines_visit_version_id_guidelines_version"),
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_guidelines_visit")),
    )
