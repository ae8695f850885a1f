"""Label: one post after the other, decided from the keyboard."""

from __future__ import annotations

from core.domain import Label, Reason
from core.permissions import Permission, require
from core.services.rules import current_policy
from core.services.status import has_posts
from core.wording import _
from ui.components import component
from ui.label_words import card_words, guidelines_words
from ui.page import errors_as_sentences, open_page
from ui.words import rule_in_words

REASONS = {
    Reason.uncertain: _("Shown because the model is unsure"),
    Reason.audit: _("Shown to measure the model (random sample)"),
    Reason.likely_violation: _("Shown because the model expects a violation"),
    Reason.exploration: _("Shown because it stands for a kind of posts"),
    Reason.disagreement: _("Shown because people disagreed"),
    Reason.hit: _("Shown because of its hit words"),
    Reason.random: _("Shown by chance"),
}

page = open_page(
    _("Label"), _("One post after the other: 1, 2 or 3 decides, saves and brings the next. ? lists the keys.")
)
with errors_as_sentences():
    require(page.actor, Permission.label)
    policy = current_policy(page.engine)
    component("label")(
        key="label",
        data={
            "user": page.session.user.id,
            "csrf": page.session.csrf,
            "want": policy.prefetch,
            "has_posts": has_posts(page.engine),
            "labels": [{"name": label.name, "chinese": label.chinese} for label in Label],
            "rules": [
                {"key": rule.key, "words": rule_in_words(rule), "english": rule.english, "chinese": rule.chinese}
                for rule in policy.rules
            ],
            "words": card_words(),
            "guidelines_words": guidelines_words(),
            "reasons": {reason.value: words for reason, words in REASONS.items()},
        },
    )
