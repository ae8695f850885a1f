"""what a source's word is worth, and decisions that settle"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Written out, because adding a column with its checks leaves the table in place: decisions refer to it.
    op.execute(
        "ALTER TABLE source ADD COLUMN trust VARCHAR(16) DEFAULT 'human' NOT NULL "
        "CONSTRAINT ck_source_trust CHECK (trust IN ('trusted', 'human', 'suggestion')) "
        "CONSTRAINT ck_source_only_files_are_rated CHECK (kind = 'file' OR trust = 'human')"
    )
    op.execute(
        "ALTER TABLE decision ADD COLUMN settles BOOLEAN DEFAULT FALSE NOT NULL "
        "CONSTRAINT ck_decision_settles_with_a_label CHECK (NOT settles OR label IS NOT NULL)"
    )
