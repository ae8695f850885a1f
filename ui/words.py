"""How things are said on pages: names as they are, counts with their nouns, sizes."""

from __future__ import annotations

from core.domain import Label, Language, Reason, Role, Rule, RunStatus, SourceTrust
from core.wording import N_, _, ngettext
from ui.languages import language

LABELS = {Label.normal: N_("normal"), Label.suspicious: N_("suspicious"), Label.violation: N_("violation")}
LABEL_COLOURS = {Label.normal: "#2e7d4f", Label.suspicious: "#c98a00", Label.violation: "#b3261e"}
ROLES = {Role.moderator: N_("moderator"), Role.lead: N_("lead"), Role.analyst: N_("analyst")}
TRUSTS = {SourceTrust.trusted: N_("trusted"), SourceTrust.human: N_("human"), SourceTrust.suggestion: N_("suggestion")}
STATUSES = {
    RunStatus.queued: N_("queued"),
    RunStatus.running: N_("running"),
    RunStatus.succeeded: N_("done"),
    RunStatus.failed: N_("failed"),
    RunStatus.cancelled: N_("cancelled"),
}
REASONS = {
    Reason.uncertain: N_("the model was unsure"),
    Reason.audit: N_("drawn to measure by"),
    Reason.likely_violation: N_("the model expected a violation"),
    Reason.exploration: N_("stands for a kind of posts"),
    Reason.disagreement: N_("people disagreed"),
    Reason.hit: N_("hit words"),
    Reason.random: N_("by chance"),
}

MARKUP = "\\`*_{}[]()<>#+-!|~$:"


def plain(text: str) -> str:
    """A name or a message as it is, for places that read markdown: nothing in it is markup."""
    return "".join(f"\\{character}" if character in MARKUP else character for character in text)


def label_in_words(label: Label) -> str:
    return _(LABELS[label])


def label_in_full(label: Label) -> str:
    """`normal 合规` in English, where both names are used; `合规` in Chinese."""
    return label.chinese if language() is Language.chinese else f"{label_in_words(label)} {label.chinese}"


def reason_in_words(reason: Reason) -> str:
    """Why a post is shown."""
    return _(REASONS[reason])


def rule_in_words(rule: Rule) -> str:
    """In the reader's language where the lead gave it a name in that."""
    names = (rule.chinese, rule.english) if language() is Language.chinese else (rule.english, rule.chinese)
    return names[0] or names[1]


def trust_in_words(trust: SourceTrust) -> str:
    return _(TRUSTS[trust])


def role_in_words(role: Role) -> str:
    return _(ROLES[role])


def status_in_words(status: RunStatus) -> str:
    return _(STATUSES[status])


def posts_in_words(count: int) -> str:
    """`1 post`, `2,000 posts`."""
    return ngettext("{count} post", "{count} posts", count).format(count=f"{count:,}")


def megabytes(size: int) -> str:
    if size >= 100_000:
        return f"{size / 1e6:,.1f} MB"
    return ngettext("{count} byte", "{count} bytes", size).format(count=f"{size:,}")
