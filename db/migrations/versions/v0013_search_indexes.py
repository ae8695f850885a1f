"""posts are found by hit word and by how sure a version is, decisions by lease, without reading all of them"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_index("ix_decision_lease_id", "decision", ["lease_id"])
    op.create_index("ix_hit_word_post_id", "hit", ["word", "post_id"])
    op.execute(
        "CREATE INDEX ix_prediction_version_id_top ON prediction (version_id, CASE"
        " WHEN (CASE WHEN (p_normal >= p_suspicious) THEN p_normal ELSE p_suspicious END >= p_violation)"
        " THEN CASE WHEN (p_normal >= p_suspicious) THEN p_normal ELSE p_suspicious END ELSE p_violation END)"
    )
