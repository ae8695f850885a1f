"""families, hits clustered by post, imports that can be taken back; rows are no longer staged"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.drop_table("staged_row")
    op.add_column("run", sa.Column("taken_back_at", sa.DateTime(), nullable=True))
    op.add_column("run", sa.Column("swept_at", sa.DateTime(), nullable=True))
    op.create_index("ix_queue_entry_post_id", "queue_entry", ["post_id"])
    # Not by batch: rebuilding a table that others refer to would need foreign keys switched off.
    op.execute(
        "ALTER TABLE decision ADD COLUMN via_id INTEGER CONSTRAINT fk_decision_via_id_decision REFERENCES decision (id)"
    )
    op.create_index("ix_decision_via_id", "decision", ["via_id"])
    op.create_index("ix_decision_text_id", "decision", ["text_id"])
    _cluster_hits()
    op.create_table(
        "sighting",
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["run.id"], name=op.f("fk_sighting_import_id_run")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_sighting_post_id_post")),
        sa.PrimaryKeyConstraint("post_id", "fingerprint", "word", "import_id", name=op.f("pk_sighting")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sighting_import_id", "sighting", ["import_id"])
    op.create_table(
        "family_place",
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("representative_id", sa.Integer(), nullable=False),
        sa.Column("form_hash", sa.BigInteger(), nullable=True),
        sa.Column("bands", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["representative_id"], ["text.id"], name=op.f("fk_family_place_representative_id_text")
        ),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_family_place_text_id_text")),
        sa.PrimaryKeyConstraint("text_id", name=op.f("pk_family_place")),
    )
    op.create_index("ix_family_place_representative_id", "family_place", ["representative_id"])
    op.create_index("ix_family_place_form_hash", "family_place", ["form_hash"])
    # Texts from before stay families of one: their sides are drawn, and versions were measured on them.
    op.execute("INSERT INTO family_place (text_id, representative_id) SELECT id, id FROM text")


def _cluster_hits() -> None:
    op.rename_table("hit", "old_hit")
    op.create_table(
        "hit",
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["run.id"], name=op.f("fk_hit_import_id_run")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_hit_post_id_post")),
        sa.PrimaryKeyConstraint("post_id", "fingerprint", "word", name=op.f("pk_hit")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO hit (post_id, fingerprint, word, import_id, place, excerpt) "
        "SELECT post_id, fingerprint, word, import_id, id, excerpt FROM old_hit ORDER BY post_id, fingerprint, word"
    )
    op.drop_table("old_hit")
    op.create_index("ix_hit_import_id", "hit", ["import_id"])
