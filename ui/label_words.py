"""What the label page's script says, in the reader's language: by a short name, values in braces filled in there."""

from __future__ import annotations

from core.wording import _


def card_words() -> dict[str, str]:
    """The card and the list beside it; hit words, siblings, the way to the forum, and what each sets for themselves."""
    return {
        **desk_words(),
        **key_words(),
        **copy_words(),
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


def desk_words() -> dict[str, str]:
    """What happens to presses, and what there is instead of a post. `_one`: of a single one."""
    return {
        "dismiss": _("Dismiss"),
        "reload": _("Reload"),
        "sign_in": _("Sign in"),
        "as_it_came": _("As it came"),
        "rules_region": _("The rule that the post breaks"),
        "answers_region": _("Decide"),
        "tools_region": _("Tools"),
        "not_saved": _("not saved yet"),
        "mine_today": _("mine today"),
        "left_in_queue": _("left in queue"),
        "last_decisions": _("My last decisions"),
        "correcting": _("1, 2 or 3 corrects the chosen one; Esc leaves it."),
        "click_one": _("Click one to correct it."),
        "none_yet": _("None yet."),
        "fast": _("{count} decisions in a row took less than a second each. Take the time to read."),
        "write_flag": _("For the lead: what is it? Enter flags, Esc leaves."),
        "write_note": _("Note on the decision. Enter keeps it, Esc leaves."),
        "nothing_to_undo": _("There is nothing to undo."),
        "dropped_one": _("1 press came before the post was on the screen and counted for nothing."),
        "dropped": _("{count} presses came before the post was on the screen and counted for nothing."),
        "kept_one": _("1 press not saved yet: kept in this browser until it is."),
        "kept": _("{count} presses not saved yet: kept in this browser until they are."),
        "offline": _("No connection to Tiebreak; trying again."),
        "no_connection": _("No connection to Tiebreak."),
        "signed_out": _("You are signed out."),
        "answered": _("Tiebreak answered {status}."),
        "not_taken": _("Not taken: {reason}"),
        "not_taken_label": _("Not taken: {label} for post {post}. {reason}"),
        "flagged": _("Flagged for the lead."),
        "flagged_why": _("Flagged for the lead: {note}"),
        "noted": _("Note: {note}"),
        "bringing_back": _("Bringing the post back …"),
        "fetching": _("Fetching posts …"),
        "in_other_hands": _("The posts that are left are in other people's hands. New ones appear here by themselves."),
        "queue_empty": _("The queue is empty: every post is decided. New imports appear here by themselves."),
        "no_posts": _(
            "There are no posts yet; a lead imports them on the Import page. They appear here by themselves."
        ),
        "no_view": _("no view of the model on this post"),
        "blind": _("This post is judged without the model's view."),
        "unscored": _("No model has scored this post yet."),
        "model_says": _("model: {label} {share}"),
        "model_view": _("Model {version}"),
        "by": _("by {author}"),
        "quotation": _("quotation"),
        "invisible": _("invisible character"),
    }


def key_words() -> dict[str, str]:
    """What the keys are called on the card, and what they do in the help."""
    return {
        "keys": _("Keys"),
        "close": _("Close"),
        "keys_note": _(
            "Digits work on the number pad too. A press counts once the post has been on the screen; a press that came "
            "too early is dropped, and the page says so. Decisions that are not saved yet are counted and kept in this "
            "browser until they are."
        ),
        "later": _("later"),
        "to_others": _("to others"),
        "cannot_judge": _("cannot judge"),
        "flag": _("flag"),
        "note": _("note"),
        "undo": _("undo"),
        "model": _("model"),
        "original": _("original"),
        "quotes": _("quotes"),
        "help": _("help"),
        "key_later": _("later: the post comes back to you after all others"),
        "key_others": _("others: somebody else is to decide it, not you"),
        "key_cannot": _("cannot be judged: the lead gets it"),
        "key_undo": _("undo the last decision or skip"),
        "key_rule": _("the rule that the post breaks; 2 or 3 then decides with it"),
        "key_note": _("write a note on the decision"),
        "key_flag": _("flag the post for the lead, or take the flag back; it is decided all the same"),
        "key_model": _("the model's view of the post (recorded with the decision)"),
        "key_copies": _(
            "the near-copies of the post and how they differ; while they are open, 1 2 3 decide them along"
        ),
        "key_original": _("the post as it came, with its markup"),
        "key_quotes": _("open or fold the quotations; a click opens one"),
        "key_help": _("this help"),
        "key_escape": _("close help or near-copies, or leave a correction"),
    }


def copy_words() -> dict[str, str]:
    """The near-copies of a post."""
    return {
        "copies_region": _("Near-copies"),
        "and_copies_one": _("and 1 near-copy"),
        "and_copies": _("and {count} near-copies"),
        "leave": _("leave"),
        "compare": _("compare"),
        "no_copies": _("This post has no undecided near-copies."),
        "copies_not_seen": _("The near-copies were not on the screen yet, so the press counted for nothing."),
        "fetching_copies": _("Fetching near-copies …"),
        "copies_failed": _("The near-copies could not be fetched. {error}"),
        "decides_alone": _("1, 2 or 3 decides this post alone; A or Esc leaves, and A again tries once more."),
        "no_copy_left": _("No undecided near-copy is left: 1, 2 or 3 decides this post alone."),
        "decides_copies_one": _("1, 2 or 3 now decides this post and 1 near-copy; A or Esc leaves."),
        "decides_copies": _("1, 2 or 3 now decides this post and {count} near-copies; A or Esc leaves."),
        "legend": _("Beside the post above:"),
        "legend_more": _("added"),
        "legend_less": _("missing"),
        "first_of": _("The first {count} of {total}."),
        "telling_one": _("In 1 copy numbers, links or names differ:"),
        "telling": _("In {count} copies numbers, links or names differ:"),
        "more_below": _("and {count} more below"),
        "differs": _("differs in {what}"),
        "split": _("split off"),
        "split_sure": _("split off for good?"),
        "not_split": _("Not split off: {error}"),
        "decided_all": _("{count} posts decided as {label}; U undoes all."),
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
