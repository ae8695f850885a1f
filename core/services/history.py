"""The whole history of a post: who said what of it and when, what they saw, and what followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Engine

from core.domain import SAW_MODEL, Actor, CheckStatus, Label, ModelView, Reason, Side, SkipKind, SourceKind, SourceTrust
from core.errors import NotFound
from core.gold import Vote, gold_label
from core.permissions import Permission, may, require
from core.wording import _
from db import checks, golds, history, leases, policies, posts
from db.engine import read
from db.history import HistoryRow


class What(StrEnum):
    """What happened."""

    imported = "imported"
    found_again = "found again"
    import_taken_back = "import taken back"
    shown = "shown"
    decided = "decided"
    taken_back = "taken back"
    skipped = "skipped"
    flagged = "flagged"
    flag_answered = "flag answered"
    second_asked = "second opinion asked for"
    second_given = "second opinion given"
    made_check = "made a check post"
    learned = "used in a training"


# Of what happened in the same moment: an undo comes before the card that it brings back, a card before its decision.
_AT_ONCE = {What.taken_back: 0, What.shown: 1}


@dataclass(frozen=True, slots=True)
class Said:
    """What a version says of a text."""

    version: str
    probabilities: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Event:
    """who: a person's or a file's name, or a number where names are not for the reader.

    label: None also for a decision that takes another back. gold: what counts after it for the text that was judged.
    note: also a flag's, a file's name, a training's version. on_text: where another text was judged than the post has.
    """

    at: datetime
    what: What
    who: str | None = None
    is_person: bool = False
    label: Label | None = None
    gold: Label | None = None
    note: str | None = None
    rule: str | None = None
    seconds: float | None = None
    reason: Reason | None = None
    model_view: ModelView | None = None
    model: Said | None = None  # what was seen, or for a blind decision would have been
    on_text: str | None = None
    corrects: bool = False
    by_family: bool = False
    settles: bool = False
    is_check: bool = False
    is_suggestion: bool = False
    ending: str | None = None  # of a card, or how a skip went on
    excerpts: int = 0
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class History:
    """gold, said, events of others, check: for leads and analysts; None and left out for others."""

    post_id: int
    pid: str | None
    text_id: int
    text: str
    author: str | None
    is_whole: bool
    gold: Label | None
    check: CheckStatus | None
    is_held: bool
    said: tuple[Said, ...]
    events: tuple[Event, ...]


def find_post(engine: Engine, actor: Actor, named: str) -> int:
    """The id of the post with that number in the forum, or, written #12, with that number here."""
    require(actor, Permission.search)
    named = named.strip()
    with read(engine) as conn:
        found = posts.id_of_pid(conn, named)
        own = named.removeprefix("#")
        if found is None and own.isascii() and own.isdigit() and len(own) < 18:
            found = next(iter(posts.ids_of_visible(conn, [int(own)])), None)
    if found is None:
        raise NotFound(
            _("There is no post {named}: neither with that pid, nor with that number.").format(named=named[:40])
        )
    return found


def history_of(engine: Engine, actor: Actor, post_id: int) -> History:
    """Leads and analysts see all of it, analysts without names of people; others what they did themselves.

    Whoever sees only their own does not learn what was a check post, who else judged it, or what the model says.
    """
    require(actor, Permission.search)
    with read(engine) as conn:
        found = posts.require_post(conn, post_id)
        is_whole = may(actor, Permission.look)
        shows_author = may(actor, Permission.see_author) or policies.current_policy(conn).show_author
        events = sorted(
            _events(conn, post_id, found.text_id), key=lambda event: (event.at, _AT_ONCE.get(event.what, 2))
        )
        return History(
            post_id=post_id,
            pid=found.pid,
            text_id=found.text_id,
            text=found.text,
            author=found.author if shows_author else None,
            is_whole=is_whole,
            gold=golds.gold_of(conn, post_id) if is_whole else None,
            check=checks.status_of(conn, post_id) if is_whole else None,
            is_held=is_whole and leases.holder_of(conn, post_id) is not None,
            said=tuple(_said(conn, found.text_id)) if is_whole else (),
            events=tuple(_as_read_by(actor, events)),
        )


def _as_read_by(actor: Actor, events: list[Event]) -> Iterator[Event]:
    names: dict[str, str] = {}
    for event in events:
        if may(actor, Permission.review):
            yield event
        elif may(actor, Permission.look):
            yield replace(event, who=_number(event.who, names)) if event.is_person else event
        elif event.is_person and event.who == actor.name:
            yield replace(
                event, is_check=False, gold=None, model=event.model if event.model_view in SAW_MODEL else None
            )


def _number(who: str | None, names: dict[str, str]) -> str:
    """People in the order in which they appear."""
    return names.setdefault(who or "", _("Person {number}").format(number=len(names) + 1))


# --- what happened --------------------------------------------------------------------------------------------------


def _events(conn: Connection, post_id: int, text_id: int) -> Iterator[Event]:
    yield from _imports(conn, post_id)
    yield from _cards(conn, post_id)
    yield from _decisions(conn, post_id, text_id)
    yield from _passed_on(conn, post_id)
    yield from _measured(conn, post_id)
    for row in history.trainings_of(conn, post_id):
        at = row.started_at or row.created_at
        yield Event(at, What.learned, note=row.name or f"run {row.id}, {row.status}", side=Side(row.side))


def _imports(conn: Connection, post_id: int) -> Iterator[Event]:
    for row in history.imports_of(conn, post_id):
        name = str(row.config.get("name", "")) or f"run {row.id}"
        if row.brought or not row.again:
            yield Event(
                row.published_at, What.imported, who=row.created_by, is_person=True, note=name, excerpts=row.brought
            )
        if row.again:
            yield Event(
                row.published_at, What.found_again, who=row.created_by, is_person=True, note=name, excerpts=row.again
            )
        if row.taken_back_at is not None:
            yield Event(row.taken_back_at, What.import_taken_back, note=name)


def _decisions(conn: Connection, post_id: int, text_id: int) -> Iterator[Event]:
    """With the gold label after each, by what sources are trusted with today."""
    texts = history.texts_of(conn, post_id)
    said = {
        (row.version_id, row.text_id): Said(row.name, _probabilities(row))
        for row in history.predictions_of(conn, list(texts))
    }
    standing: dict[int, tuple[int, Vote]] = {}
    for row in history.decisions_of(conn, post_id):
        standing.pop(row.supersedes, None)
        label = None if row.label is None else Label(row.label)
        if label is not None and not row.is_check:
            vote = Vote(SourceKind(row.kind), label, SourceTrust(row.trust), row.settles)
            standing[row.id] = (row.text_id, vote)
        yield Event(
            row.decided_at,
            What.taken_back if label is None else What.decided,
            who=row.name,
            is_person=row.kind == SourceKind.person,
            label=label,
            gold=gold_label(vote for judged, vote in standing.values() if judged == row.text_id),
            note=row.note,
            rule=row.rule,
            seconds=row.seconds,
            reason=None if row.reason is None else Reason(row.reason),
            model_view=None if row.claimed_at is None else ModelView(row.model_view),
            model=said.get((row.view_version_id, row.text_id)),
            on_text=None if row.text_id == text_id else texts[row.text_id],
            corrects=label is not None and row.supersedes is not None,
            by_family=row.via_id is not None,
            settles=row.settles,
            is_check=row.is_check,
            is_suggestion=row.trust == SourceTrust.suggestion,
        )


def _probabilities(row: HistoryRow) -> tuple[float, float, float]:
    return row.p_normal, row.p_suspicious, row.p_violation


def _said(conn: Connection, text_id: int) -> Iterator[Said]:
    for row in history.predictions_of(conn, [text_id]):
        yield Said(row.name, _probabilities(row))


def _cards(conn: Connection, post_id: int) -> Iterator[Event]:
    """Each time that somebody had the post on a card, and how that ended."""
    for row in history.leases_of(conn, post_id):
        reason = None if row.reason is None else Reason(row.reason)
        yield Event(
            row.claimed_at, What.shown, who=row.name, is_person=True, reason=reason, ending=row.outcome or "open",
            is_check=row.is_check,
        )  # fmt: skip


def _passed_on(conn: Connection, post_id: int) -> Iterator[Event]:
    for row in history.skips_of(conn, post_id):
        yield Event(row.skipped_at, What.skipped, who=row.name, is_person=True, ending=SkipKind(row.kind))
    for row in history.flags_of(conn, post_id):
        yield Event(row.flagged_at, What.flagged, who=row.name, is_person=True, note=row.note)
        if row.closed_at is not None:
            yield Event(row.closed_at, What.flag_answered, who=row.closed_by, is_person=True, note=row.answer)


def _measured(conn: Connection, post_id: int) -> Iterator[Event]:
    second = history.second_opinion_of(conn, post_id)
    if second is not None:
        yield Event(second.asked_at, What.second_asked, note=second.why)
        if second.given_at is not None:
            yield Event(second.given_at, What.second_given)
    check = history.check_of(conn, post_id)
    if check is not None:
        yield Event(check.made_at, What.made_check, who=check.made_by, is_person=True, label=Label(check.label))
