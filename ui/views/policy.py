"""Policy: what the lead decides for everybody: what moderators see, the queue's mix, and the rules posts can break."""

from __future__ import annotations

import secrets
from collections import Counter

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import FamilyWeight, Policy, Rule, Strategy
from core.forum import EXAMPLE, MOST_TEMPLATE
from core.services import queueing, rules
from core.services.blinding import BLIND_SHARE
from core.services.rules import LEASE_MINUTES, MOST_RULES, PREFETCH, REJECT_DAYS
from core.wording import _, ngettext
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.words import plain, reason_in_words

SHARES = {
    "uncertain": _("posts that the model is unsure of"),
    "likely_violation": _("posts that it takes for violations"),
    "exploration": _("one post of each kind in the pool"),
    "audit": _("posts drawn by chance to measure by"),
}
STRATEGIES = {
    Strategy.mix: _("a mix: the unsure ones, likely violations, one of each kind (recommended)"),
    Strategy.margin: _("posts that the model is least sure of, by the gap between its two likeliest labels"),
    Strategy.violations: _("posts that it takes for violations"),
    Strategy.entropy: _("posts that it is least sure of, by how spread out its probabilities are"),
    Strategy.band: _("posts whose likeliest label has a probability within a band"),
    Strategy.random: _("posts drawn by chance"),
}
BAND = ("band_low", "band_high")
PREVIEWED = 50
WEIGHTS = {
    FamilyWeight.one: _("as one post, however often it was posted"),
    FamilyWeight.root: _("by the square root of its size, three posts at most"),
}


def drafted_rules(page: Page) -> list[Rule]:
    """The rules as they stand on the page: the stored ones until somebody changes the list."""
    if "rules" not in st.session_state:
        st.session_state["rules"] = list(rules.current_policy(page.engine).rules)
    found: list[Rule] = st.session_state["rules"]
    return found


def typed(rule: Rule) -> Rule:
    """The rule in the words that stand in its fields now."""
    english = st.session_state.get(f"english-{rule.key}", rule.english)
    chinese = st.session_state.get(f"chinese-{rule.key}", rule.chinese)
    return Rule(rule.key, english.strip(), chinese.strip())


def add_rule() -> None:
    st.session_state["rules"] = [*map(typed, st.session_state["rules"]), Rule(f"rule-{secrets.token_hex(4)}", "", "")]


def move_rule(index: int, by: int) -> None:
    listed = [typed(rule) for rule in st.session_state["rules"]]
    listed.insert(index + by, listed.pop(index))
    st.session_state["rules"] = listed


def remove_rule(index: int) -> None:
    listed = [typed(rule) for rule in st.session_state["rules"]]
    st.session_state["rules"] = listed[:index] + listed[index + 1 :]


def typed_policy(stored: Policy) -> Policy:
    """As it stands on the page; what the page does not show stays as it is stored."""
    chosen = st.session_state
    shares = {
        name: chosen[key] / 100 if (key := f"share-{name}") in chosen else stored.shares.get(name, 0.0)
        for name in SHARES
    }
    band = {name: chosen[name] / 100 if name in chosen else getattr(stored, name) for name in BAND}
    return Policy(
        show_author=chosen["show_author"],
        show_model=chosen["show_model"],
        family_weight=chosen["family_weight"],
        model_reads_quotes=chosen["model_reads_quotes"],
        forum_link=chosen["forum_link"].strip(),
        lease_minutes=chosen["lease_minutes"],
        prefetch=chosen["prefetch"],
        reject_days=chosen["reject_days"],
        second_share=chosen["second_share"] / 100,
        check_share=chosen["check_share"] / 100,
        rules=tuple(typed(rule) for rule in chosen["rules"]),
        retrain_after=chosen["retrain_after"],
        retrain_hour=chosen["retrain_hour"],
        promotes_by_itself=chosen["promotes_by_itself"],
        strategy=chosen["strategy"],
        shares=shares,
        **band,
    )


def save() -> None:
    page = current_page()
    with errors_as_sentences():
        policy = typed_policy(rules.current_policy(page.engine))
        rules.change_policy(page.engine, page.actor, policy, now=utc_now())
        st.session_state["rules"] = list(policy.rules)
        st.toast(_("Saved. It holds from now on; running work goes on as it began."))


def show_seen(policy: Policy) -> None:
    st.subheader(_("What moderators see"), anchor=False)
    st.toggle(_("Author names on the card"), value=policy.show_author, key="show_author")
    st.toggle(
        _("What the model says, before the decision"),
        value=policy.show_model,
        key="show_model",
        help=_(
            "Never on audit posts, check posts and second opinions. One in {one_in} of the other cards stays blind, "
            "drawn by chance; the Model view page compares the decisions. Off: M shows it, and that is recorded."
        ).format(one_in=round(1 / BLIND_SHARE)),
    )
    st.text_input(
        _("Address of a post in the forum"),
        value=policy.forum_link,
        key="forum_link",
        max_chars=MOST_TEMPLATE,
        placeholder=EXAMPLE,
        help=_(
            "With pid in braces and, where the export has a column tid, tid in braces. L on the card opens it in a new "
            "tab, never by itself. Empty: cards have no link."
        ),
    )
    left, right, _rest = st.columns([2, 2, 3])
    left.number_input(
        _("Minutes until a card returns by itself"), *LEASE_MINUTES, value=policy.lease_minutes, key="lease_minutes"
    )
    right.number_input(_("Cards fetched ahead"), *PREFETCH, value=policy.prefetch, key="prefetch")


def show_order(page: Page, policy: Policy) -> None:
    """By what the queue is ordered, and what would come first by what is chosen here."""
    st.subheader(_("The order of the queue"), anchor=False)
    strategy = st.selectbox(
        _("Once there is a model, first come"),
        list(Strategy),
        index=list(Strategy).index(policy.strategy),
        format_func=STRATEGIES.__getitem__,
        key="strategy",
        width=640,
        help=_(
            "From the next renewal on. The model has its part as far as it has seen labels: in full from 8 of its "
            "rarest label on; until then the hit words take turns, rare ones first."
        ),
    )
    places = st.columns(len(SHARES))
    if strategy is Strategy.band:
        for place, name, words in zip(places[1:], BAND, (_("Band from, in percent"), _("to")), strict=False):
            place.number_input(words, 34, 100, value=round(getattr(policy, name) * 100), step=1, key=name)
    shown = SHARES if strategy is Strategy.mix else {"audit": SHARES["audit"]}
    for place, (name, words) in zip(places, shown.items(), strict=False):
        share = round(policy.shares.get(name, 0.0) * 100)
        place.number_input(words, 0, 100, value=share, step=5, key=f"share-{name}")
    if strategy is Strategy.mix:
        st.caption(_("In percent; what is left of 100 comes by chance."))
    if st.button(_("Show what would come first")):
        show_first(page, policy)


def show_first(page: Page, policy: Policy) -> None:
    found = queueing.preview(page.engine, page.actor, typed_policy(policy), limit=PREVIEWED)
    if not found:
        st.write(_("The queue is empty."))
        return
    counted = Counter(each.entry.reason for each in found)
    reasons = ", ".join(f"{reason_in_words(reason)} {count}" for reason, count in counted.most_common())
    said = ngettext("The next post: {reasons}", "The next {count} posts: {reasons}", len(found))
    st.caption(said.format(count=len(found), reasons=reasons))
    rows = [{"why": reason_in_words(e.entry.reason), "score": e.entry.score, "post": e.post.text} for e in found]
    columns = {
        "why": st.column_config.TextColumn(_("why")),
        "score": st.column_config.NumberColumn(_("score"), format="%.3f"),
        "post": st.column_config.TextColumn(_("post"), width="large"),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns)


def show_seconds(policy: Policy) -> None:
    st.subheader(_("Second opinions"), anchor=False)
    st.number_input(
        _("Posts that two people judge, without either knowing, in percent"),
        0,
        100,
        value=round(policy.second_share * 100),
        key="second_share",
        help=_(
            "Drawn by chance, with every post that is drawn to measure by; of near-copies of one text, one post. 0 "
            "switches second opinions off."
        ),
        width=460,
    )


def show_checks(policy: Policy) -> None:
    st.subheader(_("Check posts"), anchor=False)
    st.number_input(
        _("Cards of a moderator that are check posts, in percent"),
        0,
        50,
        value=round(policy.check_share * 100),
        key="check_share",
        help=_(
            "Clear cases that you chose, mixed in unseen; each comes to a person once. None come before you chose some."
        ),
        width=460,
    )


def show_training(policy: Policy) -> None:
    st.subheader(_("What the model learns from"), anchor=False)
    st.selectbox(
        _("In training a family of near-copies counts"),
        list(FamilyWeight),
        index=list(FamilyWeight).index(policy.family_weight),
        format_func=WEIGHTS.__getitem__,
        key="family_weight",
        width=460,
    )
    st.toggle(
        _("The model reads quotations too (of posts imported from now on)"),
        value=policy.model_reads_quotes,
        key="model_reads_quotes",
    )


def show_rules(page: Page) -> None:
    st.subheader(_("Rules that a post can break"), anchor=False)
    st.caption(
        _(
            "In the order of their keys: 4 to 9, - and =. Moderators name one beside suspicious or "
            "violation. Earlier decisions keep theirs when you rename or remove a rule."
        )
    )
    listed = drafted_rules(page)
    for index, rule in enumerate(listed):
        english, chinese, up, gone = st.columns([4, 4, 1, 2], vertical_alignment="bottom")
        names = {"label_visibility": "visible" if index == 0 else "collapsed"}
        english.text_input(_("English"), value=rule.english, key=f"english-{rule.key}", max_chars=60, **names)
        chinese.text_input(_("Chinese"), value=rule.chinese, key=f"chinese-{rule.key}", max_chars=30, **names)
        up.button(
            "↑", key=f"up-{rule.key}", disabled=index == 0, on_click=move_rule, args=(index, -1), help=_("earlier")
        )
        gone.button(
            _("Remove"),
            key=f"remove-{rule.key}",
            on_click=remove_rule,
            args=(index,),
            help=plain(rule.english or rule.chinese),
        )
    st.button(_("Add a rule"), on_click=add_rule, disabled=len(listed) >= MOST_RULES)


def show_retraining(policy: Policy) -> None:
    st.subheader(_("Retraining by itself"), anchor=False)
    left, middle, _rest = st.columns([2, 2, 3])
    left.number_input(
        _("After so many new decisions"),
        0,
        1_000_000,
        value=policy.retrain_after,
        step=50,
        key="retrain_after",
        help=_("0: never. Counted since the last training began."),
    )
    hours = [None, *range(24)]
    middle.selectbox(
        _("Each day at"),
        hours,
        index=hours.index(policy.retrain_hour),
        format_func=lambda hour: _("never") if hour is None else f"{hour:02d}:00 UTC",
        key="retrain_hour",
        help=_("When there is anything new to learn from."),
    )
    st.toggle(
        _("Promote what it brings, if it is not worse than the active version"),
        value=policy.promotes_by_itself,
        key="promotes_by_itself",
        help=_("Otherwise it waits on the Models page for a lead. The Retrain page says what was done."),
    )


def show_kept(policy: Policy) -> None:
    st.subheader(_("What is kept"), anchor=False)
    st.number_input(
        _("Days that rejected lines of imports are kept"),
        *REJECT_DAYS,
        value=policy.reject_days,
        key="reject_days",
        width=300,
    )


page = open_page(
    _("Policy"), _("What holds for everybody who works here. Every change is kept, with who made it and when.")
)
with errors_as_sentences():
    policy = rules.current_policy(page.engine)
    show_seen(policy)
    show_order(page, policy)
    show_seconds(policy)
    show_checks(policy)
    show_rules(page)
    show_training(policy)
    show_retraining(policy)
    show_kept(policy)
    st.button(_("Save"), type="primary", on_click=save)
