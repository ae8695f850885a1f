"""Review: what waits for a lead's word, case by case, each settled with one key; check posts; the rating of sources."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.clock import utc_now
from core.domain import CheckStatus, Label, SourceKind, SourceTrust
from core.services import cases, checks, flags, guidelines, rating, searching
from core.services.cases import Case, Pile
from core.services.checks import ENOUGH
from core.services.rules import current_policy
from core.wording import N_, _, ngettext
from db.voices import Exhibit, Voice
from ui.page import Page, current_page, errors_as_sentences, open_page
from ui.post_links import post_link
from ui.words import label_in_full, plain

CHECKS, SOURCES = "checks", "sources"
NAMES = {
    Pile.disagreement: N_("Disagreements"),
    Pile.flag: N_("Flags"),
    Pile.unjudged: N_("Cannot be judged"),
    Pile.family: N_("Near-copies"),
    Pile.doubt: N_("Unlikely labels"),
    Pile.old_text: N_("Changed texts"),
}
PURPOSES = {
    Pile.disagreement: N_("Posts that people or files judged differently."),
    Pile.flag: N_("Posts that moderators want you to look at (F). What you write as the reason answers them."),
    Pile.unjudged: N_("Posts that a moderator cannot judge (X). They are out of the queue until you decide them."),
    Pile.family: N_("Near-copies of one text that have different labels. A word settles the whole family."),
    Pile.doubt: N_("Labels that a model which learned from all the others finds unlikely. Many will be right."),
    Pile.old_text: N_("Decided posts whose text an import has changed since. The text now is what you judge."),
}
EMPTY = {
    Pile.disagreement: N_("No disagreement. Posts that people or files judge differently come here."),
    Pile.flag: N_("No open flag. What moderators flag with F comes here."),
    Pile.unjudged: N_("None. A post that a moderator cannot judge (X) leaves the queue and comes here."),
    Pile.family: N_("No contradiction. Near-copies with different labels come here."),
    Pile.doubt: N_("None. Each training looks for labels that are unlike those of similar posts; they come here."),
    Pile.old_text: N_("No text changed. When a longer export brings new hits of a decided post, it comes here."),
}
STATUS_NAMES = {
    CheckStatus.active: N_("handed out"),
    CheckStatus.retired: N_("retired"),
    CheckStatus.void: N_("not clear: does not count"),
}
SIDE_BY_SIDE = 3
ROWS = 200


# --- one case ---------------------------------------------------------------------------------------------------------


def place_of(pile: Pile) -> int:
    return int(st.session_state.get(f"place-{pile}", 0))


def move(pile: Pile, place: int) -> None:
    st.session_state[f"place-{pile}"] = place


def settle(case: Case, label: Label) -> None:
    page, batch = current_page(), f"settle-{secrets.token_hex(12)}"
    rule, note = st.session_state.get(f"rule-{case.key}"), st.session_state.get(f"note-{case.key}", "").strip()
    with errors_as_sentences():
        count = cases.settle_case(
            page.engine, page.actor, case, label=label, rule=rule, note=note, batch=batch, now=utc_now()
        )
        st.session_state["review-settled"] = (batch, count, label, case)


def undo(batch: str) -> None:
    page = current_page()
    with errors_as_sentences():
        searching.undo_many(page.engine, page.actor, batch, now=utc_now())
        st.session_state.pop("review-settled", None)
        st.toast(_("Taken back."))


def make_check(case: Case, label: Label) -> None:
    page, shown = current_page(), case.exhibits[0]
    with errors_as_sentences():
        checks.make_check(page.engine, page.actor, shown.post_id, text_id=shown.text_id, label=label, now=utc_now())
        st.toast(_("It is a check post now; moderators get it unseen among the others."))


def make_example(case: Case) -> None:
    page, shown = current_page(), case.exhibits[0]
    with errors_as_sentences():
        note = st.session_state.get(f"note-{case.key}", "").strip()
        guidelines.add_example(page.engine, page.actor, shown.post_id, note=note, now=utc_now())
        st.toast(_("It stands in the guidelines now, as an example of its label."))


def close_flag(case: Case) -> None:
    page = current_page()
    if case.flag is not None:
        with errors_as_sentences():
            answer = st.session_state.get(f"note-{case.key}", "")
            flags.close_flag(page.engine, page.actor, case.flag.id, answer=answer, now=utc_now())


def put_back(post_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        flags.put_back(page.engine, page.actor, post_id, now=utc_now())


def show_settled() -> None:
    """What was settled last: the way back, and what more can be made of it."""
    if "review-settled" not in st.session_state:
        return
    batch, count, label, case = st.session_state["review-settled"]
    said = ngettext("{count} post settled as {label}.", "{count} posts settled as {label}.", count)
    words, back, check, example = st.columns([4, 2, 3, 3], vertical_alignment="center")
    words.write(plain(said.format(count=f"{count:,}", label=label_in_full(label))))
    back.button(_("Undo"), key=f"undo-{batch}", on_click=undo, args=(batch,), shortcut="U", width="stretch")
    check.button(
        _("Make it a check post"), key=f"check-{batch}", on_click=make_check, args=(case, label), width="stretch",
        help=_("A clear case, to be mixed among moderators' cards: it measures how they judge."),
    )  # fmt: skip
    example.button(
        _("Show it in the guidelines"), key=f"example-{batch}", on_click=make_example, args=(case,), width="stretch",
        help=_("As an example of its label, with the reason that you wrote."),
    )  # fmt: skip


def show_about(case: Case, hides_names: bool) -> None:
    """Why the case is here."""
    if case.flag is not None:
        who = _("a moderator") if hides_names else case.flag.flagged_by
        when = f"{case.flag.flagged_at:%Y-%m-%d %H:%M} UTC"
        st.caption(plain(_("Flagged by {name}, {when}").format(name=who, when=when)))
        if case.flag.note:
            st.text(f"“{case.flag.note}”")
    if case.skipped_by:
        who = f"{len(case.skipped_by):,}" if hides_names else ", ".join(case.skipped_by)
        st.caption(plain(_("Could not be judged by: {names}").format(names=who)))
    if case.doubt is not None:
        given = label_in_full(case.doubt.label)
        said = _("Labelled {label}, which models that had not seen it give {share}. They say: {views}.")
        views = ", ".join(
            f"{label_in_full(label)} {share:.0%}" for label, share in zip(Label, case.doubt.probabilities, strict=True)
        )
        st.caption(plain(said.format(label=given, share=f"{case.doubt.quality:.0%}", views=views)))
    if case.unseen:
        count = len(case.unseen)
        more = ngettext(
            "{count} more near-copy is settled along.", "{count} more near-copies are settled along.", count
        )
        st.caption(more.format(count=f"{count:,}"))


def names_of(exhibits: Sequence[Exhibit], hides_names: bool) -> dict[str, str]:
    """What each source is called on the page: its name, or a number that is the same within the case."""
    sources = dict.fromkeys(voice.source for exhibit in exhibits for voice in exhibit.voices)
    if not hides_names:
        return {source: source for source in sources}
    return {source: _("Source {number}").format(number=at) for at, source in enumerate(sources, 1)}


def show_voice(voice: Voice, name: str, rules: dict[str, str]) -> None:
    rated = {SourceTrust.trusted: _(" (trusted)")}.get(voice.vote.trust, "")
    why = "".join(f" · {each}" for each in (rules.get(voice.rule or "", voice.rule), voice.note) if each)
    st.caption(plain(f"{label_in_full(voice.vote.label)} · {name}{rated} · {voice.decided_at:%Y-%m-%d}{why}"))


def show_exhibit(exhibit: Exhibit, names: dict[str, str], rules: dict[str, str]) -> None:
    gold = _("nothing counts yet") if exhibit.gold is None else _("counts as {label}")
    counts = gold if exhibit.gold is None else gold.format(label=label_in_full(exhibit.gold))
    st.markdown(f"{post_link(exhibit.post_id, exhibit.pid)} · {plain(counts)}")
    for text in dict.fromkeys(voice.on_text for voice in exhibit.voices if voice.on_text is not None):
        st.caption(_("Text that was decided"))
        st.text(text)
        st.caption(_("Text it has now"))
    st.text(exhibit.text)
    for voice in exhibit.voices:
        show_voice(voice, names[voice.source], rules)


def show_case(page: Page, case: Case, count: int) -> None:
    place = place_of(case.pile)
    head, hide = st.columns([6, 2], vertical_alignment="center")
    head.caption(_("Case {place} of {count}").format(place=f"{place + 1:,}", count=f"{count:,}"))
    hides_names = hide.toggle(_("Hide names"), key="hide-names")
    show_about(case, hides_names)
    policy = current_policy(page.engine)
    rules = {rule.key: rule.chinese or rule.english for rule in policy.rules}
    names = names_of(case.exhibits, hides_names)
    for start in range(0, len(case.exhibits), SIDE_BY_SIDE):
        row = case.exhibits[start : start + SIDE_BY_SIDE]
        for column, exhibit in zip(st.columns(len(row)), row, strict=True):
            with column:
                show_exhibit(exhibit, names, rules)
    rule, note = st.columns(2)
    rule.selectbox(
        _("Rule that it breaks"), list(rules), index=None, format_func=lambda key: rules[key], key=f"rule-{case.key}"
    )
    note.text_input(_("Why"), key=f"note-{case.key}", max_chars=2_000)
    show_keys(case, place, count)


def show_keys(case: Case, place: int, count: int) -> None:
    places = st.columns([2, 2, 2, 2, 2])
    for column, label in zip(places, Label, strict=False):
        column.button(
            label_in_full(label),
            key=f"settle-{case.pile}-{case.key}-{label.name}",
            on_click=settle,
            args=(case, label),
            shortcut=str(int(label) + 1),
            width="stretch",
        )
    other = places[3]
    if case.flag is not None:
        other.button(
            _("Only answer"), key=f"close-{case.key}", on_click=close_flag, args=(case,), shortcut="0", width="stretch",
            help=_("Close the flag with the reason as its answer, and leave the post as it is."),
        )  # fmt: skip
    elif case.pile is Pile.unjudged:
        back = _("Put back in the queue")
        other.button(back, key=f"back-{case.key}", on_click=put_back, args=(case.key,), shortcut="0", width="stretch")
    places[4].button(
        _("Next case"), key=f"next-{case.pile}", on_click=move, args=(case.pile, (place + 1) % count), shortcut="J",
        disabled=count < 2, width="stretch",
    )  # fmt: skip


def show_pile(page: Page, pile: Pile, count: int) -> None:
    st.caption(_(PURPOSES[pile]))
    show_settled()
    if place_of(pile) >= count:
        move(pile, max(0, count - 1))
    case = cases.find_case(page.engine, page.actor, pile, place=place_of(pile)) if count else None
    if case is None:
        st.write(_(EMPTY[pile]))
    else:
        show_case(page, case, count)
    if pile in (Pile.flag, Pile.unjudged):
        left, right, _rest = st.columns([2, 2, 6])
        left.link_button(_("All flags"), "/api/flags.tsv", icon=":material/download:", width="stretch")
        right.link_button(_("All skips"), "/api/skips.tsv", icon=":material/download:", width="stretch")


# --- check posts ------------------------------------------------------------------------------------------------------


def change_check(post_id: int, status: CheckStatus) -> None:
    page = current_page()
    with errors_as_sentences():
        checks.change_check(page.engine, page.actor, post_id, status=status, now=utc_now())


def show_checks(page: Page) -> None:
    counts = checks.count_checks(page.engine, page.actor)
    share = current_policy(page.engine).check_share
    st.caption(
        _(
            "Clear cases that you chose, mixed among the cards of moderators unseen ({share} of them; the Policy page "
            "changes it). Each comes to a person once, and the answer measures only the person."
        ).format(share=f"{share:.0%}")
    )
    if not sum(counts.values()):
        st.write(_("None yet. A settled case, or a post's history page, offers to make one."))
        return
    if counts[CheckStatus.active] < ENOUGH:
        active = counts[CheckStatus.active]
        few = ngettext("{count} check post is handed out.", "{count} check posts are handed out.", active)
        why = _("With fewer than {enough}, people soon know them all, and figures say little.").format(enough=ENOUGH)
        st.info(f"{few.format(count=active)} {why}")
    found = checks.list_checks(page.engine, page.actor, limit=ROWS)
    table = pd.DataFrame(
        [
            {
                _("post"): check.pid or f"#{check.post_id}",
                _("text"): check.text,
                _("label"): label_in_full(check.label),
                _("answered"): check.answered,
                _("alike"): check.right / check.answered if check.answered else None,
                _("passed on"): check.skipped,
                _("status"): _("text changed") if check.has_changed else _(STATUS_NAMES[check.status]),
                _("made by"): check.made_by,
            }
            for check in found
        ]
    )
    event = st.dataframe(
        table,
        hide_index=True,
        column_config={
            _("text"): st.column_config.TextColumn(width="large"),
            _("alike"): st.column_config.NumberColumn(format="percent"),
        },
        on_select="rerun",
        selection_mode="single-row",
        key=f"checks-{len(found)}-{found[0].post_id}",
    )
    chosen = event["selection"]["rows"]
    if not chosen or chosen[0] >= len(found):
        st.caption(_("Choose a row to retire a check post, or to bring one back."))
        return
    check = found[chosen[0]]
    st.text(check.text)
    names = {
        CheckStatus.active: _("Hand out again"),
        CheckStatus.retired: _("Retire: its answers still count"),
        CheckStatus.void: _("Not clear: its answers count no more"),
    }
    others = [status for status in CheckStatus if status is not check.status]
    for place, status in zip(st.columns(len(others)), others, strict=True):
        place.button(
            names[status], key=f"check-{check.post_id}-{status}", on_click=change_check, args=(check.post_id, status),
            width="stretch",
        )  # fmt: skip


# --- sources ----------------------------------------------------------------------------------------------------------


def change_trust(source_id: int) -> None:
    page = current_page()
    with errors_as_sentences():
        chosen = SourceTrust(st.session_state[f"trust-{source_id}"])
        rating.change_trust(page.engine, page.actor, source_id, trust=chosen, now=utc_now())


def show_sources(page: Page) -> None:
    files = [source for source in rating.list_sources(page.engine, page.actor) if source.kind is SourceKind.file]
    if not files:
        st.write(_("No labelled file yet. Each that is imported is a source of decisions, and is rated here."))
        return
    st.caption(
        _(
            "A human source counts like a colleague. A suggestion is a model's opinion: it decides nothing and teaches "
            "nothing. A trusted source stands above everybody but what you settle here."
        )
    )
    for source in files:
        st.session_state[f"trust-{source.id}"] = source.trust  # the database is the truth, also after a refusal
        name, count, choice = st.columns([5, 2, 3], vertical_alignment="center")
        name.text(source.name)
        made = ngettext("{count} decision", "{count} decisions", source.decisions)
        count.text(made.format(count=f"{source.decisions:,}"))
        choice.selectbox(
            _("Trust in {source}").format(source=source.name),
            list(SourceTrust),
            key=f"trust-{source.id}",
            on_change=change_trust,
            args=(source.id,),
            label_visibility="collapsed",
        )


def title_of(chosen: Pile | str, counts: dict[Pile, int]) -> str:
    if isinstance(chosen, Pile):
        return f"{_(NAMES[chosen])} {counts[chosen]:,}"
    return _("Check posts") if chosen == CHECKS else _("Sources")


page = open_page(
    _("Review"),
    _("What waits for your word, case by case: 1, 2 or 3 settles and brings the next, J passes on, U undoes."),
)
with errors_as_sentences():
    counts = cases.count_cases(page.engine, page.actor)
    offered: list[Pile | str] = [*NAMES, CHECKS, SOURCES]
    first = next((pile for pile in NAMES if counts[pile]), Pile.disagreement)
    chosen = st.segmented_control(
        _("What waits"), offered, format_func=lambda each: title_of(each, counts), key="review-pile", default=first,
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    if isinstance(chosen, Pile):
        show_pile(page, chosen, counts[chosen])
    elif chosen == CHECKS:
        show_checks(page)
    else:
        show_sources(page)
