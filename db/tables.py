"""The schema. Integrity lives here first: constraints are named, times are UTC, labels are 0, 1, 2 in Label order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    case,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored naive; a naive one is a programmer's error."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}; times are UTC-aware")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _ref(name: str, target: str, *, nullable: bool = False, **options: Any) -> Column[int]:
    return Column(name, Integer, ForeignKey(target), nullable=nullable, **options)


# --- people ---------------------------------------------------------------------------------------------------------

user = Table(
    "user",
    metadata,
    _id(),
    Column("name", String(80), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    Column("language", String(16)),  # that pages are read in; NULL: as the browser asks
    _one_of("role", "moderator", "lead", "analyst"),
)

invitation = Table(
    "invitation",
    metadata,
    _id(),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    _ref("user_id", "user.id", nullable=True),  # set: renews this user's password
    Column("is_first_lead", Boolean, nullable=False, default=False),  # dead once a lead exists
    Column("created_by", String(80), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("email", String(254), index=True),  # set: no link, but whoever signs in with this verified address
    _one_of("role", "moderator", "lead", "analyst"),
)

# Who a sign-in provider says somebody is: its subject, which stays when the e-mail address changes.
identity = Table(
    "identity",
    metadata,
    _id(),
    _ref("user_id", "user.id", index=True),
    Column("issuer", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("email", String(254), nullable=False),  # at the first sign-in, for people to read
    Column("bound_at", UtcTime, nullable=False),
    UniqueConstraint("issuer", "subject"),
)

session = Table(
    "session",
    metadata,
    _id(),
    Column("secret_hash", String(64), nullable=False, unique=True),
    _ref("user_id", "user.id", index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("address", String(64)),  # that it began from; the row goes a while after it was last seen
    Column("browser", String(40)),  # in words, such as "Firefox on Linux"
)

signin_failure = Table(
    "signin_failure",
    metadata,
    _id(),
    Column("name", String(80), nullable=False),
    Column("address", String(64), nullable=False),
    Column("failed_at", UtcTime, nullable=False),
    Index("ix_signin_failure_name_failed_at", "name", "failed_at"),
    Index("ix_signin_failure_address_failed_at", "address", "failed_at"),
)

audit_log = Table(
    "audit_log",
    metadata,
    _id(),
    Column("happened_at", UtcTime, nullable=False, index=True),
    Column("actor", String(80), nullable=False),
    Column("action", String(80), nullable=False),
    Column("details", JSON, nullable=False),
    Column("address", String(64)),  # of sign-ins and failed ones; blanked after a while
)

policy = Table(
    "policy",
    metadata,
    _id(),
    Column("document", JSON, nullable=False),
    Column("set_by", String(80), nullable=False),
    Column("set_at", UtcTime, nullable=False),
)

# --- runs -----------------------------------------------------------------------------------------------------------

run = Table(
    "run",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("stage", String(32), nullable=False, default=""),
    Column("done", BigInteger, nullable=False, default=0),
    Column("total", BigInteger),
    Column("message", Text, nullable=False, default=""),
    Column("error", Text),
    Column("traceback", Text),
    Column("config", JSON, nullable=False),
    Column("result", JSON, nullable=False),
    Column("created_by", String(80), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("heartbeat_at", UtcTime),
    Column("pid", Integer),
    Column("process_started", Float),  # a pid alone is reused by the system
    Column("cancel_requested_at", UtcTime),
    Column("published_at", UtcTime),  # imports: what it brought is visible from here on
    Column("taken_back_at", UtcTime),  # imports: what it alone brought is gone, but for decided posts
    Column("swept_at", UtcTime),  # imports that were taken back: nothing of it is left to remove
    _one_of("kind", "import", "training", "scoring", "pretraining", "export"),
    _one_of("status", "queued", "running", "succeeded", "failed", "cancelled"),
    Index("uq_run_one_running_per_kind", "kind", unique=True, sqlite_where=text("status = 'running'")),
)

run_point = Table(
    "run_point",
    metadata,
    _ref("run_id", "run.id", primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("loss", Float),
    Column("macro_f1", Float),
    # Of each label, on what was kept aside; NULL for one that does not occur there.
    Column("recall_normal", Float),
    Column("recall_suspicious", Float),
    Column("recall_violation", Float),
)

# --- posts ----------------------------------------------------------------------------------------------------------

distinct_text = Table(
    "text",
    metadata,
    _id(),
    Column("hash", String(32), nullable=False, unique=True),
    Column("normal_hash", String(32), nullable=False, index=True),
    Column("body", Text, nullable=False),  # the text for the model
    Column("side", String(16), nullable=False),
    _one_of("side", "train", "evaluation", "audit"),
)

post = Table(
    "post",
    metadata,
    _id(),
    Column("pid", String(64), unique=True),
    Column("text_identity", String(32), unique=True),  # normal_hash, for a post that came without a pid
    _ref("text_id", "text.id", index=True),
    _ref("import_id", "run.id", index=True),
    Column("original", Text, nullable=False),
    Column("author", Text),
    Column("author_id", Text),
    Column("ip", Text),
    Column("extra", JSON, nullable=False),
    Column("thread", Text),  # that the further columns name
    Index("ix_post_author", "author", sqlite_where=text("author IS NOT NULL")),
    Index("ix_post_thread", "thread", sqlite_where=text("thread IS NOT NULL")),
    CheckConstraint("(pid IS NULL) <> (text_identity IS NULL)", name="one_identity"),
)

# Clustered by post: the excerpts of a post lie together, and an import appends.
hit = Table(
    "hit",
    metadata,
    _ref("post_id", "post.id", primary_key=True),
    Column("fingerprint", BigInteger, primary_key=True),  # of the excerpt
    Column("word", Text, primary_key=True),  # '' when the export names none
    _ref("import_id", "run.id", index=True),
    Column("place", Integer, nullable=False),  # within the import: the order in which its hits came
    Column("excerpt", Text, nullable=False),
    Index("ix_hit_word_post_id", "word", "post_id"),
    sqlite_with_rowid=False,
)

# A hit that a later import found again. When the import that brought the hit is taken back, the hit passes to the first
# of these: its file holds it too.
sighting = Table(
    "sighting",
    metadata,
    _ref("post_id", "post.id", primary_key=True),
    Column("fingerprint", BigInteger, primary_key=True),
    Column("word", Text, primary_key=True),
    _ref("import_id", "run.id", primary_key=True, index=True),
    Column("place", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The family of a distinct text: that of the text it is a near-copy of, or its own.
family_place = Table(
    "family_place",
    metadata,
    _ref("text_id", "text.id", primary_key=True),
    _ref("representative_id", "text.id", index=True),
    Column(
        "form_hash", BigInteger, index=True
    ),  # NULL: takes nobody in (split off, or from before there were families)
    Column("bands", LargeBinary),  # of a representative that near-copies may join: 32 little-endian uint32
)

# What an import has read but not yet published. Swept away when the import ends in any way.
staged_change = Table(
    "staged_change",
    metadata,
    _ref("run_id", "run.id", primary_key=True),
    _ref("post_id", "post.id", primary_key=True),
    _ref("text_id", "text.id"),
    Column("original", Text, nullable=False),
)

staged_decision = Table(
    "staged_decision",
    metadata,
    _ref("run_id", "run.id", primary_key=True),
    _ref("post_id", "post.id", primary_key=True),
    _ref("text_id", "text.id"),
    Column("label", Integer, nullable=False),
)

reject = Table(
    "reject",
    metadata,
    _ref("run_id", "run.id", primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("raw", Text, nullable=False),
)

# --- deciding -------------------------------------------------------------------------------------------------------

source = Table(
    "source",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),
    Column("name", String(80), nullable=False),
    _ref("user_id", "user.id", nullable=True),
    Column("trust", String(16), nullable=False, default="human", server_default="human"),
    _one_of("kind", "person", "file"),
    _one_of("trust", "trusted", "human", "suggestion"),
    CheckConstraint("kind = 'file' OR trust = 'human'", name="only_files_are_rated"),
    UniqueConstraint("kind", "name"),
)

queue_round = Table(
    "queue_round",
    metadata,
    _id(),
    _ref("version_id", "model_version.id", nullable=True),
    Column("strategy", String(40), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("published_at", UtcTime),
    # The posts of lower ranks are served while the others are still being put in order.
    Column("first_cards", Integer, nullable=False, default=0, server_default="0"),
)

# The posts still to do, in order. A decision takes its entry out, undo puts it back.
queue_entry = Table(
    "queue_entry",
    metadata,
    _ref("round_id", "queue_round.id", primary_key=True),
    Column("post_id", Integer, ForeignKey("post.id"), primary_key=True, index=True),
    Column("rank", Integer, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("score", Float),
    Column("selection_probability", Float),
    Index("ix_queue_entry_round_id_rank", "round_id", "rank"),
    _one_of("reason", "uncertain", "audit", "likely_violation", "exploration", "disagreement", "hit", "random"),
)

lease = Table(
    "lease",
    metadata,
    _id(),
    _ref("post_id", "post.id", index=True),
    _ref("user_id", "user.id"),
    Column("claimed_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", String(16)),
    Column("reason", String(20)),  # of the queue entry it was claimed from
    Column("score", Float),
    Column("rank", Integer),
    Column("round_id", Integer, ForeignKey("queue_round.id")),
    Column("selection_probability", Float),
    Column("is_check", Boolean, nullable=False, default=False, server_default=false()),  # of a check post
    CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended_with_outcome"),
    _one_of("outcome", "decided", "skipped", "returned", "expired"),
    Index("uq_lease_one_open_per_post", "post_id", unique=True, sqlite_where=text("ended_at IS NULL")),
    Index("ix_lease_open_by_user", "user_id", sqlite_where=text("ended_at IS NULL")),
    Index("ix_lease_open_by_expiry", "expires_at", sqlite_where=text("ended_at IS NULL")),
)

skip = Table(
    "skip",
    metadata,
    _ref("post_id", "post.id", primary_key=True),
    _ref("user_id", "user.id", primary_key=True),
    Column("skipped_at", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False, default="later", server_default="later"),
    Index("ix_skip_kind_post_id", "kind", "post_id"),
    _one_of("kind", "later", "not_me", "cannot_judge"),
)

# A moderator wants the lead to look at a post, whatever is decided on it.
flag = Table(
    "flag",
    metadata,
    _id(),
    _ref("post_id", "post.id"),
    _ref("user_id", "user.id", index=True),
    Column("note", Text, nullable=False),
    Column("flagged_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("closed_by", String(80)),
    Column("answer", Text, nullable=False),
    CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name="closed_by_somebody"),
    Index("uq_flag_one_open_each", "post_id", "user_id", unique=True, sqlite_where=text("closed_at IS NULL")),
)

# A post that two people are to judge, without either knowing: drawn by chance, or shown for audit. It stays in the
# queue for others until one of them has judged it too.
second_opinion = Table(
    "second_opinion",
    metadata,
    _ref("post_id", "post.id", primary_key=True),
    Column("why", String(16), nullable=False),
    Column("reason", String(20), nullable=False),  # why it was shown first, and at which place
    Column("rank", Integer, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("given_at", UtcTime),
    _one_of("why", "drawn", "audit"),
)

# A clear case whose label is known, mixed among a moderator's cards to measure people. The label is that of the text.
check_post = Table(
    "check_post",
    metadata,
    _ref("post_id", "post.id", primary_key=True),
    _ref("text_id", "text.id"),
    Column("label", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("made_by", String(80), nullable=False),
    Column("made_at", UtcTime, nullable=False),
    CheckConstraint("label IN (0, 1, 2)", name="label"),
    _one_of("status", "active", "retired", "void"),
)

decision = Table(
    "decision",
    metadata,
    _id(),
    _ref("post_id", "post.id", index=True),
    _ref("text_id", "text.id", index=True),
    _ref("source_id", "source.id"),
    Column("label", Integer),  # NULL takes back what it supersedes
    _ref("supersedes", "decision.id", nullable=True, unique=True),
    _ref("lease_id", "lease.id", nullable=True, index=True),
    _ref("import_id", "run.id", nullable=True, index=True),
    _ref("via_id", "decision.id", nullable=True, index=True),  # it came by the family: applied from this decision
    Column("press_id", String(64), unique=True),  # made by the browser: a press sent twice is one decision
    Column("model_view", String(16), nullable=False, default="hidden", server_default="hidden"),
    _ref("view_version_id", "model_version.id", nullable=True),  # whose view was seen, or would have been
    Column("seconds", Float),  # from the card's first frame to the press
    Column("decided_at", UtcTime, nullable=False),
    Column("settles", Boolean, nullable=False, default=False, server_default=false()),  # by a lead in review
    Column("rule", String(40)),  # of the guidelines, that the post breaks: a key of the policy's list at that time
    Column("note", Text),
    # The answer to a check post measures who gave it; it is no word on the post.
    Column("is_check", Boolean, nullable=False, default=False, server_default=false()),
    CheckConstraint("label IS NULL OR label IN (0, 1, 2)", name="label"),
    _one_of("model_view", "hidden", "asked", "shown", "blind", "withheld", "after"),
    CheckConstraint("label IS NOT NULL OR supersedes IS NOT NULL", name="takes_back_something"),
    CheckConstraint("NOT settles OR label IS NOT NULL", name="settles_with_a_label"),
    CheckConstraint("NOT (is_check AND settles)", name="check_settles_nothing"),
    Index("ix_decision_checks", "source_id", "post_id", sqlite_where=text("is_check = 1")),
    Index("ix_decision_source_id_decided_at", "source_id", "decided_at"),
)

# --- guidelines -----------------------------------------------------------------------------------------------------

guidelines_version = Table(
    "guidelines_version",
    metadata,
    _id(),
    Column("body", Text, nullable=False),  # Markdown
    Column("note", Text, nullable=False),  # what changed
    Column("written_by", String(80), nullable=False),
    Column("written_at", UtcTime, nullable=False),
)

# A decided post that shows what a label means. By reference: its words and its label are those that it has.
guidelines_example = Table(
    "guidelines_example",
    metadata,
    _ref("post_id", "post.id", primary_key=True),
    Column("note", Text, nullable=False),
    Column("added_by", String(80), nullable=False),
    Column("added_at", UtcTime, nullable=False),
)

# Up to where each person has read the guidelines.
guidelines_visit = Table(
    "guidelines_visit",
    metadata,
    _ref("user_id", "user.id", primary_key=True),
    _ref("version_id", "guidelines_version.id", nullable=True),  # NULL: there was no text yet
    Column("seen_at", UtcTime, nullable=False),
)

# --- models ---------------------------------------------------------------------------------------------------------

model_version = Table(
    "model_version",
    metadata,
    _id(),
    Column("name", String(80), nullable=False, unique=True),
    _ref("run_id", "run.id", nullable=True, unique=True),
    # The version that this is the baseline of: the run that made both is that one's.
    _ref("baseline_of", "model_version.id", nullable=True, index=True),
    Column("base", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

# "Active" is a pointer beside the versions: the latest promotion. Rolling back is promoting again.
promotion = Table(
    "promotion",
    metadata,
    _id(),
    _ref("version_id", "model_version.id"),
    Column("promoted_by", String(80), nullable=False),
    Column("promoted_at", UtcTime, nullable=False),
)

# Thresholds under a name; saved again they are another row, and the newest of a name counts. version_id: on which they
# were chosen; they can be tried on any. NULL: no post passes, or none is removed.
threshold_policy = Table(
    "threshold_policy",
    metadata,
    _id(),
    Column("name", String(40), nullable=False, index=True),
    _ref("version_id", "model_version.id"),
    Column("passes", Float),
    Column("removes", Float),
    Column("saved_by", String(80), nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    CheckConstraint("passes > 0 AND passes <= 1", name="passes"),
    CheckConstraint("removes > 0 AND removes <= 1", name="removes"),
)

# Keyed by distinct text: copies are scored once, and a post whose text changed has no prediction until made again.
prediction = Table(
    "prediction",
    metadata,
    _ref("version_id", "model_version.id", primary_key=True),
    _ref("text_id", "text.id", primary_key=True),
    Column("p_normal", Float, nullable=False),
    Column("p_suspicious", Float, nullable=False),
    Column("p_violation", Float, nullable=False),
    CheckConstraint("abs(p_normal + p_suspicious + p_violation - 1) < 0.001", name="sums_to_one"),
    CheckConstraint("min(p_normal, p_suspicious, p_violation) >= 0", name="not_negative"),
    sqlite_with_rowid=False,
)
Index("ix_prediction_text_id", prediction.c.text_id)

# Of the most likely label. Used as it stands here, its index finds the texts that a version is so sure of.
_p = prediction.c
_less_severe = case((_p.p_normal >= _p.p_suspicious, _p.p_normal), else_=_p.p_suspicious)
top_of_prediction = case((_less_severe >= _p.p_violation, _less_severe), else_=_p.p_violation)
Index("ix_prediction_version_id_top", prediction.c.version_id, top_of_prediction)

# Gold labels that a search after a training found unlikely, by out-of-fold probabilities of models of its own.
doubt = Table(
    "doubt",
    metadata,
    _ref("version_id", "model_version.id", primary_key=True),
    _ref("text_id", "text.id", primary_key=True),
    Column("label", Integer, nullable=False),
    Column("quality", Float, nullable=False),
    Column("p_normal", Float, nullable=False),
    Column("p_suspicious", Float, nullable=False),
    Column("p_violation", Float, nullable=False),
    CheckConstraint("label IN (0, 1, 2)", name="label"),
    sqlite_with_rowid=False,
)

# One text of each kind that the pool holds, as a version saw it; place: in the order in which they are to be shown.
exploration = Table(
    "exploration",
    metadata,
    _ref("version_id", "model_version.id", primary_key=True),
    Column("place", Integer, primary_key=True),
    _ref("text_id", "text.id", index=True),
    sqlite_with_rowid=False,
)

# Exactly which decisions a training run used.
snapshot_decision = Table(
    "snapshot_decision",
    metadata,
    _ref("run_id", "run.id", primary_key=True),
    _ref("decision_id", "decision.id", primary_key=True),
    Column("side", String(16), nullable=False),
    _one_of("side", "train", "evaluation", "audit"),
)
