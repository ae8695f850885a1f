"""What the label page's script says, in the reader's language: by a short name, values in braces filled in there."""

from __future__ import annotations

from core.wording import _


def card_words() -> dict[str, str]:
    """Beside the text of a card: hit words, siblings, the way to the forum, and what each sets for themselves."""
    return {
        "siblings": _("siblings"),
        "forum": _("forum"),
        "guidelines": _("guidelines"),
        "key_siblings": _("what else the author has written, and what stands around the post in its thread"),
        "key_forum": _("open the post in the forum, in a new tab"),
        "key_guidelines": _("the guidelines, with examples and what changed since you read them; the keys work on"),
        "key_zoom": _("larger text, after the largest the smallest; Shift+Z smaller"),
        "key_dark": _("dark or light; the page loads anew"),
        "normal": _("normal"),
        "suspicious": _("suspicious"),
        "violation": _("violation"),
        "hits": _("Hit words and their record"),
        "none_decided": _("none decided yet"),
        "record": _("{share} of {decided} violations"),
        "and_more": _("and {count} more"),
        "leads_to": _("leads to"),
        "no_forum": _(
            "This post has no address in the forum: the policy names none, or the export lacks what it asks for."
        ),
        "siblings_region": _("Posts of the same author and thread"),
        "no_siblings": _("The export names neither the author of this post nor its thread."),
        "fetching_siblings": _("Fetching posts …"),
        "siblings_failed": _("The posts could not be fetched. {error}"),
        "same_author": _("By the same author"),
        "same_thread": _("In the same thread"),
        "no_other": _("no other here"),
        "one_other": _("1 other here"),
        "others": _("{count} others here"),
        "many_others": _("{count} or more others here"),
        "hidden_labels": _("what became of them is hidden: this post is judged blind"),
        "post": _("post {number}"),
        "post_above": _("the post above"),
        "browser": _("In this browser"),
        "text_size": _("Text size"),
        "smaller": _("smaller text"),
        "larger": _("larger text"),
        "colours": _("Colours"),
        "as_system": _("as the system"),
        "light": _("light"),
        "dark": _("dark"),
        "breaks": _("Break reminder"),
        "off": _("off"),
        "after_minutes": _("after {minutes} minutes"),
        "take_break": _("You have decided for {minutes} minutes without a break of five. The posts wait."),
        "snooze": _("In ten minutes again"),
    }


def guidelines_words() -> dict[str, str]:
    """The panel that G opens."""
    return {
        "news": _("The guidelines have news for you."),
        "read": _("read"),
        "close": _("close"),
        "title": _("Guidelines"),
        "fetching": _("Fetching the guidelines …"),
        "failed": _("The guidelines could not be fetched. {error}"),
        "written": _("Version {number}, written by {name} on {day}."),
        "none": _("There are no guidelines yet; a lead writes them on the Guidelines page."),
        "changed": _("Changed since you read version {number}"),
        "version": _("Version {number}, {name}, {day}"),
        "rules": _("Rules that a post can break"),
        "examples": _("Examples of {label}"),
        "new": _("new"),
    }
