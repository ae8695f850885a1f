"""first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("happened_at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_log_happened_at"), ["happened_at"], unique=False)

    op.create_table(
        "policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("set_by", sa.String(length=80), nullable=False),
        sa.Column("set_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("process_started", sa.Float(), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(), nullable=True),
        sa.Column("published_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('import', 'training', 'scoring')", name=op.f("ck_run_kind")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_run_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index(
            "uq_run_one_running_per_kind", ["kind"], unique=True, sqlite_where=sa.text("status = 'running'")
        )

    op.create_table(
        "signin_failure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("failed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signin_failure")),
    )
    with op.batch_alter_table("signin_failure", schema=None) as batch_op:
        batch_op.create_index("ix_signin_failure_address_failed_at", ["address", "failed_at"], unique=False)
        batch_op.create_index("ix_signin_failure_name_failed_at", ["name", "failed_at"], unique=False)

    op.create_table(
        "text",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.Column("normal_hash", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("side", sa.String(length=16), nullable=False),
        sa.CheckConstraint("side IN ('train', 'evaluation', 'audit')", name=op.f("ck_text_side")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_text")),
        sa.UniqueConstraint("hash", name=op.f("uq_text_hash")),
    )
    with op.batch_alter_table("text", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_text_normal_hash"), ["normal_hash"], unique=False)

    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("role IN ('moderator', 'lead', 'analyst')", name=op.f("ck_user_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("is_first_lead", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("role IN ('moderator', 'lead', 'analyst')", name=op.f("ck_invitation_role")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_invitation_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitation_token_hash")),
    )
    op.create_table(
        "model_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_model_version_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_version")),
        sa.UniqueConstraint("name", name=op.f("uq_model_version_name")),
        sa.UniqueConstraint("run_id", name=op.f("uq_model_version_run_id")),
    )
    op.create_table(
        "post",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pid", sa.String(length=64), nullable=True),
        sa.Column("text_identity", sa.String(length=32), nullable=True),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("author_id", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.CheckConstraint("(pid IS NULL) <> (text_identity IS NULL)", name=op.f("ck_post_one_identity")),
        sa.ForeignKeyConstraint(["import_id"], ["run.id"], name=op.f("fk_post_import_id_run")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_post_text_id_text")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post")),
        sa.UniqueConstraint("pid", name=op.f("uq_post_pid")),
        sa.UniqueConstraint("text_identity", name=op.f("uq_post_text_identity")),
    )
    with op.batch_alter_table("post", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_post_import_id"), ["import_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_post_text_id"), ["text_id"], unique=False)

    op.create_table(
        "reject",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_reject_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "line", name=op.f("pk_reject")),
    )
    op.create_table(
        "run_point",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("loss", sa.Float(), nullable=True),
        sa.Column("macro_f1", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_point_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "step", name=op.f("pk_run_point")),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_session_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_session_secret_hash")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_user_id"), ["user_id"], unique=False)

    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind IN ('person', 'file')", name=op.f("ck_source_kind")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_source_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
        sa.UniqueConstraint("kind", "name", name=op.f("uq_source_kind_name")),
    )
    op.create_table(
        "staged_row",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("pid", sa.String(length=64), nullable=True),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("author_id", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("label", sa.Integer(), nullable=True),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_staged_row_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "line", name=op.f("pk_staged_row")),
    )
    with op.batch_alter_table("staged_row", schema=None) as batch_op:
        batch_op.create_index("ix_staged_row_run_id_key", ["run_id", "key", "line"], unique=False)

    op.create_table(
        "hit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["run.id"], name=op.f("fk_hit_import_id_run")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_hit_post_id_post")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hit")),
        sa.UniqueConstraint("post_id", "word", "fingerprint", name=op.f("uq_hit_post_id_word_fingerprint")),
    )
    with op.batch_alter_table("hit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hit_import_id"), ["import_id"], unique=False)

    op.create_table(
        "prediction",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("p_normal", sa.Float(), nullable=False),
        sa.Column("p_suspicious", sa.Float(), nullable=False),
        sa.Column("p_violation", sa.Float(), nullable=False),
        sa.CheckConstraint(
            "abs(p_normal + p_suspicious + p_violation - 1) < 0.001", name=op.f("ck_prediction_sums_to_one")
        ),
        sa.CheckConstraint("min(p_normal, p_suspicious, p_violation) >= 0", name=op.f("ck_prediction_not_negative")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_prediction_text_id_text")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_version.id"], name=op.f("fk_prediction_version_id_model_version")
        ),
        sa.PrimaryKeyConstraint("version_id", "text_id", name=op.f("pk_prediction")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("prediction", schema=None) as batch_op:
        batch_op.create_index("ix_prediction_text_id", ["text_id"], unique=False)

    op.create_table(
        "promotion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("promoted_by", sa.String(length=80), nullable=False),
        sa.Column("promoted_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_version.id"], name=op.f("fk_promotion_version_id_model_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
    )
    op.create_table(
        "queue_round",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("strategy", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("published_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_version.id"], name=op.f("fk_queue_round_version_id_model_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_round")),
    )
    op.create_table(
        "skip",
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("skipped_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_skip_post_id_post")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_skip_user_id_user")),
        sa.PrimaryKeyConstraint("post_id", "user_id", name=op.f("pk_skip")),
    )
    op.create_table(
        "staged_change",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_staged_change_post_id_post")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_staged_change_run_id_run")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_staged_change_text_id_text")),
        sa.PrimaryKeyConstraint("run_id", "post_id", name=op.f("pk_staged_change")),
    )
    op.create_table(
        "staged_decision",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_staged_decision_post_id_post")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_staged_decision_run_id_run")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_staged_decision_text_id_text")),
        sa.PrimaryKeyConstraint("run_id", "post_id", name=op.f("pk_staged_decision")),
    )
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("round_id", sa.Integer(), nullable=True),
        sa.Column("selection_probability", sa.Float(), nullable=True),
        sa.CheckConstraint("outcome IN ('decided', 'skipped', 'returned', 'expired')", name=op.f("ck_lease_outcome")),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name=op.f("ck_lease_ended_with_outcome")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_lease_post_id_post")),
        sa.ForeignKeyConstraint(["round_id"], ["queue_round.id"], name=op.f("fk_lease_round_id_queue_round")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_lease_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
    )
    with op.batch_alter_table("lease", schema=None) as batch_op:
        batch_op.create_index(
            "ix_lease_open_by_expiry", ["expires_at"], unique=False, sqlite_where=sa.text("ended_at IS NULL")
        )
        batch_op.create_index(
            "ix_lease_open_by_user", ["user_id"], unique=False, sqlite_where=sa.text("ended_at IS NULL")
        )
        batch_op.create_index(batch_op.f("ix_lease_post_id"), ["post_id"], unique=False)
        batch_op.create_index(
            "uq_lease_one_open_per_post", ["post_id"], unique=True, sqlite_where=sa.text("ended_at IS NULL")
        )

    op.create_table(
        "queue_entry",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("selection_probability", sa.Float(), nullable=True),
        sa.CheckConstraint(
            "reason IN ('uncertain', 'audit', 'likely_violation', 'exploration', 'disagreement', 'hit', 'random')",
            name=op.f("ck_queue_entry_reason"),
        ),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_queue_entry_post_id_post")),
        sa.ForeignKeyConstraint(["round_id"], ["queue_round.id"], name=op.f("fk_queue_entry_round_id_queue_round")),
        sa.PrimaryKeyConstraint("round_id", "post_id", name=op.f("pk_queue_entry")),
    )
    with op.batch_alter_table("queue_entry", schema=None) as batch_op:
        batch_op.create_index("ix_queue_entry_round_id_rank", ["round_id", "rank"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=True),
        sa.Column("supersedes", sa.Integer(), nullable=True),
        sa.Column("lease_id", sa.Integer(), nullable=True),
        sa.Column("import_id", sa.Integer(), nullable=True),
        sa.Column("press_id", sa.String(length=64), nullable=True),
        sa.Column("saw_model", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("decided_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "label IS NOT NULL OR supersedes IS NOT NULL", name=op.f("ck_decision_takes_back_something")
        ),
        sa.CheckConstraint("label IS NULL OR label IN (0, 1, 2)", name=op.f("ck_decision_label")),
        sa.ForeignKeyConstraint(["import_id"], ["run.id"], name=op.f("fk_decision_import_id_run")),
        sa.ForeignKeyConstraint(["lease_id"], ["lease.id"], name=op.f("fk_decision_lease_id_lease")),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_decision_post_id_post")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_decision_source_id_source")),
        sa.ForeignKeyConstraint(["supersedes"], ["decision.id"], name=op.f("fk_decision_supersedes_decision")),
        sa.ForeignKeyConstraint(["text_id"], ["text.id"], name=op.f("fk_decision_text_id_text")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("press_id", name=op.f("uq_decision_press_id")),
        sa.UniqueConstraint("supersedes", name=op.f("uq_decision_supersedes")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decision_import_id"), ["import_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_decision_post_id"), ["post_id"], unique=False)
        batch_op.create_index("ix_decision_source_id_decided_at", ["source_id", "decided_at"], unique=False)

    op.create_table(
        "snapshot_decision",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("decision_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=16), nullable=False),
        sa.CheckConstraint("side IN ('train', 'evaluation', 'audit')", name=op.f("ck_snapshot_decision_side")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decision.id"], name=op.f("fk_snapshot_decision_decision_id_decision")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_snapshot_decision_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "decision_id", name=op.f("pk_snapshot_decision")),
    )
