"""How things are said on pages: names as they are, counts with their nouns, sizes."""

from __future__ import annotations

from core.domain import Label, Language, Role, RunKind, RunStatus
from core.wording import N_, _
from ui.languages import language

LABELS = {Label.normal: N_("normal"), Label.suspicious: N_("suspicious"), Label.violation: N_("violation")}
ROLES = {Role.moderator: N_("moderator"), Role.lead: N_("lead"), Role.analyst: N_("analyst")}
KINDS = {RunKind.importing: N_("import"), RunKind.training: N_("training"), RunKind.scoring: N_("scoring")}
STATUSES = {
    RunStatus.queued: N_("queued"),
    RunStatus.running: N_("running"),
    RunStatus.succeeded: N_("done"),
    RunStatus.failed: N_("failed"),
    RunStatus.cancelled: N_("cancelled"),
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


def role_in_words(role: Role) -> str:
    return _(ROLES[role])


def status_in_words(status: RunStatus) -> str:
    return _(STATUSES[status])


def counted(count: int, word: str) -> str:
    """`1 post`, `2,000 posts`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def counted_doing(count: int, word: str, verb: str) -> str:
    """`1 post stays`, `2,000 posts stay`."""
    return f"{counted(count, word)} {verb}{'s' if count == 1 else ''}"


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
