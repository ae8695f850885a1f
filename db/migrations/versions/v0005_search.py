"""an index of the pairs of characters of each text; filled after imports, and by the server for what is there"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("CREATE VIRTUAL TABLE text_pairs USING fts5(pairs, content='', detail=none, tokenize='ascii')")
