"""what whoever decided could see of the model's view, and of which version, in place of whether they saw it"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    # Written out, because adding and dropping columns so leaves the table in place: decisions refer to it.
    op.execute(
        "ALTER TABLE decision ADD COLUMN model_view VARCHAR(16) DEFAULT 'hidden' NOT NULL CONSTRAINT "
        "ck_decision_model_view CHECK (model_view IN ('hidden', 'asked', 'shown', 'blind', 'withheld', 'after'))"
    )
    op.execute(
        "ALTER TABLE decision ADD COLUMN view_version_id INTEGER "
        "CONSTRAINT fk_decision_view_version_id_model_version REFERENCES model_version (id)"
    )
    op.execute("UPDATE decision SET model_view = 'asked' WHERE saw_model")
    op.execute("ALTER TABLE decision DROP COLUMN saw_model")
