"""The words of the program: labels, roles, runs and the values that travel between layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Label(IntEnum):
    """A judgement, in order of severity. Names are the truth; integers are read only when a caller says so."""

    normal = 0
    suspicious = 1
    violation = 2

    @property
    def chinese(self) -> str:
        return ("合规", "疑似", "违规")[self]


LABEL_NAMES = tuple(label.name for label in Label)


class Role(StrEnum):
    moderator = "moderator"
    lead = "lead"
    analyst = "analyst"


class Language(StrEnum):
    """What pages can be read in; named as catalogues are."""

    english = "en"
    chinese = "zh_Hans"


class Reason(StrEnum):
    """Why a post is shown."""

    uncertain = "uncertain"
    audit = "audit"
    likely_violation = "likely_violation"
    exploration = "exploration"
    disagreement = "disagreement"
    hit = "hit"
    random = "random"


class Strategy(StrEnum):
    """What the queue is ordered by once there is a model."""

    mix = "mix"
    margin = "margin"
    violations = "violations"
    entropy = "entropy"
    band = "band"
    random = "random"


class Side(StrEnum):
    """The side of the split that a distinct text stands on for good."""

    train = "train"
    evaluation = "evaluation"
    audit = "audit"


class FamilyWeight(StrEnum):
    """How much a family of near-copies counts in training, where a post without any counts 1."""

    one = "one"  # as one post: a template teaches once, however often it was posted
    root = "root"  # the square root of its size, 3 at most


class SourceKind(StrEnum):
    person = "person"
    file = "file"


class SourceTrust(StrEnum):
    """What a source's word is worth. A suggestion (a language model's opinion) decides nothing and teaches nothing."""

    trusted = "trusted"
    human = "human"
    suggestion = "suggestion"


class RunKind(StrEnum):
    importing = "import"
    training = "training"
    scoring = "scoring"
    pretraining = "pretraining"
    export = "export"  # of a snapshot, to be trained on elsewhere


class RunStatus(StrEnum):
    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


OPEN_STATUSES = (RunStatus.queued, RunStatus.running)


class SecondOpinion(StrEnum):
    """Why two people judge a post. Agreement is measured on what was drawn."""

    drawn = "drawn"
    audit = "audit"


class ModelView(StrEnum):
    """What whoever decided could see of what the model says of the post."""

    hidden = "hidden"  # nothing, and it was not asked for
    asked = "asked"  # asked for, with M
    shown = "shown"  # shown before the decision, by the policy
    blind = "blind"  # drawn to be judged without it, while the others are shown it
    withheld = "withheld"  # never shown: the post measures the model, or people
    after = "after"  # seen beside an earlier decision of theirs, which they corrected or took back


SAW_MODEL = frozenset({ModelView.asked, ModelView.shown, ModelView.after})


class LeaseOutcome(StrEnum):
    """How a lease ended."""

    decided = "decided"
    skipped = "skipped"
    returned = "returned"
    expired = "expired"


class CheckStatus(StrEnum):
    """Handed out, and answers count; answers count only; or neither, for the case was not clear after all."""

    active = "active"
    retired = "retired"
    void = "void"


class SkipKind(StrEnum):
    """Why a moderator passes a post on."""

    later = "later"  # back to the same person, after everything else
    not_me = "not_me"  # to others
    cannot_judge = "cannot_judge"  # to the lead


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a signed-in user, or the operator of the machine at the command line (user_id None)."""

    user_id: int | None
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class User:
    id: int
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    language: Language | None = None  # as the browser asks, until somebody chooses

    @property
    def actor(self) -> Actor:
        return Actor(self.id, self.name, self.role)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time link that makes an account, or renews the password of one (user_id)."""

    id: int
    role: Role
    user_id: int | None
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class InvitedAddress:
    """An e-mail address that may sign in through the team's provider: as a new account, or as an existing one."""

    id: int
    email: str
    role: Role
    account: str | None
    created_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a sign-in provider says of who has signed in there, once its token has been checked."""

    issuer: str
    subject: str
    email: str | None
    is_verified: bool


@dataclass(frozen=True, slots=True)
class LoggedAction:
    """An entry of the audit log."""

    id: int
    happened_at: datetime
    actor: str
    action: str
    details: dict[str, object]
    address: str | None  # of sign-ins, for a while


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries of the audit log are asked for; all that is None is open. Times: from since on, before until."""

    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. The cookie holds the secret; the database only its hash."""

    id: int
    user: User
    csrf: str
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session as people see it in a list: without its secrets."""

    id: int
    begun_at: datetime
    last_seen_at: datetime
    address: str | None
    browser: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at importing, training, scoring or pretraining. `status` apart from `stage`; times in UTC."""

    id: int
    kind: RunKind
    status: RunStatus
    stage: str
    done: int
    total: int | None
    message: str
    error: str | None
    config: dict[str, object]
    result: dict[str, object]
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    pid: int | None
    process_started: float | None
    cancel_requested_at: datetime | None
    published_at: datetime | None
    taken_back_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class RunPoint:
    """A place on a run's curves. recall: in Label order, None for a label that was not met in what was kept aside."""

    step: int
    loss: float | None = None
    macro_f1: float | None = None
    recall: tuple[float | None, float | None, float | None] = (None, None, None)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """An immutable artefact; `folder` is relative to the versions folder of the installation.

    baseline_of: the version beside which this one was trained as the baseline; run_id is that one's then.
    """

    id: int
    name: str
    run_id: int | None
    base: str
    folder: str
    manifest: dict[str, object]
    metrics: dict[str, object]
    created_at: datetime
    baseline_of: int | None = None

    @property
    def is_baseline(self) -> bool:
        return self.baseline_of is not None


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A place in the queue: lower rank comes first."""

    post_id: int
    rank: int
    reason: Reason
    score: float | None
    strategy: str
    round_id: int
    selection_probability: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """A post that can be leased, and its place in the queue. is_check: a check post, as if it stood there."""

    post_id: int
    rank: int
    reason: Reason
    score: float | None
    round_id: int | None
    selection_probability: float | None
    is_check: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The time-limited right of one moderator to decide one post; it remembers its place in the queue.

    is_check: the post is a check post, shown as if it stood at that place; the answer measures who gives it.
    """

    id: int
    post_id: int
    user_id: int
    expires_at: datetime
    outcome: LeaseOutcome | None  # None while it is open
    reason: Reason
    score: float | None
    rank: int
    round_id: int | None
    selection_probability: float | None
    is_check: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """One judgement, append-only. label None takes back what it supersedes. settles: made by a lead in review.

    is_check: the answer to a check post. It measures a person, and decides nothing.
    view_version_id: the model version whose view was seen, or for a blind decision would have been.
    """

    id: int
    post_id: int
    text_id: int
    source_id: int
    label: Label | None
    supersedes: int | None
    lease_id: int | None
    model_view: ModelView
    decided_at: datetime
    via_id: int | None = None  # it came by the family: the decision on a near-copy that it was applied from
    settles: bool = False
    rule: str | None = None  # key of the rule of the guidelines that the post breaks
    note: str | None = None
    is_check: bool = False
    view_version_id: int | None = None

    @property
    def saw_model(self) -> bool:
        return self.model_view in SAW_MODEL


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities in Label order for one distinct text by one model version."""

    version_id: int
    text_id: int
    probabilities: tuple[float, float, float]

    @property
    def label(self) -> Label:
        return Label(max(range(3), key=self.probabilities.__getitem__))


@dataclass(frozen=True, slots=True)
class Post:
    """The unit to judge. `original` is what came in; the text for the model hangs on text_id."""

    id: int
    pid: str | None
    text_id: int
    text: str
    original: str
    author: str | None
    thread: str | None = None
    hit_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WordRecord:
    """What became of the decided posts with a hit word."""

    decided: int
    violations: int


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Thresholds under a name. passes: the probability of normal from which a post passes; removes: that of a violation
    from which it is removed; None: no post does. version: the name of the one that they were chosen on."""

    id: int
    name: str
    version: str
    passes: float | None
    removes: float | None
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the guidelines that a post can break. key: what decisions carry, whatever the words become."""

    key: str
    english: str
    chinese: str


RULES = (
    Rule("insulting_name", "insulting user name", "侮辱性用户名"),
    Rule("politics", "politics", "涉政"),
    Rule("medical_advertising", "medical advertising", "医疗广告"),
    Rule("contact_details", "contact details", "联系方式"),
    Rule("pornography_gambling", "pornography or gambling", "色情赌博"),
    Rule("bad_links", "links to pornography or gambling", "色情赌博链接"),
    Rule("off_topic_trade", "off-topic trade with contact", "无关交易带联系方式"),
    Rule("personal_attack", "personal attack", "人身攻击"),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The lead's choices, versioned; read per use case."""

    show_author: bool = False
    show_model: bool = False  # what the model says, before the decision; a share of posts stays blind
    forum_link: str = ""  # where a post is read in the forum, with {pid} and {tid}; empty: nowhere
    family_weight: FamilyWeight = FamilyWeight.one
    model_reads_quotes: bool = False  # of posts imported from then on; a quotation is not the author's own
    lease_minutes: int = 10
    prefetch: int = 20
    reject_days: int = 30  # that the rejected lines of an import are kept
    second_share: float = 0.1  # of families of which two people judge a post, without either knowing
    check_share: float = 0.05  # of a moderator's cards that are check posts; none come before a lead has made some
    rules: tuple[Rule, ...] = RULES  # in the order of their keys on the keyboard
    retrain_after: int = 0  # new decisions; 0: never by itself
    retrain_hour: int | None = None  # of the day in UTC, at which what is new is learned from; None: at none
    promotes_by_itself: bool = False  # what a training by itself brings, through the gate
    strategy: Strategy = Strategy.mix
    band_low: float = 0.4  # of the confidence that the strategy band shows
    band_high: float = 0.6
    shares: dict[str, float] = field(
        default_factory=lambda: {"uncertain": 0.6, "likely_violation": 0.2, "audit": 0.1, "exploration": 0.1}
    )
