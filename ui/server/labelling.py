"""The label page's own routes: presses in, cards out, near-copies of a card's post, as JSON.

The page talks to it directly rather than through Streamlit's rerun: an answer means that the transaction is
committed, a request can still leave while the page is being closed, and no script runs for a key press.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.differences import Difference
from core.domain import LABEL_NAMES, Label, ModelView, Reason, Session, SkipKind
from core.errors import BadInput, TiebreakError
from core.markup import read_markup
from core.services import annotation, families
from core.services import siblings as sibling_posts
from core.services.annotation import Press, PressKind
from core.services.families import FamilyPreview
from core.services.siblings import ShownSibling, SiblingGroup
from core.text import clean_unicode
from core.wording import N_, _
from db.cards import Card
from db.decisions import RecentDecision
from db.engine import DatabaseBusy
from ui.server import runtime
from ui.server.refusals import refusal_of

logger = logging.getLogger(__name__)

MAX_BODY = 1_000_000
RECENT_CHARACTERS = 2_000  # who corrects a decision reads it whole
SIBLING_CHARACTERS = 400
NOBODY_LISTENS = 499
UNWRITABLE = N_("The database could not be written: it is locked, or its disk is full. Trying again.")
UNREADABLE = N_("It was made by another version of this page; decide the post again.")


_turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # by session, while one is at work or waits


async def sync(request: Request) -> Response:
    """POST /api/label/sync: see core.services.annotation.sync; the answer comes after the commit.

    Requests of one session take turns, and those of a page that has given up waiting are dropped: while the database is
    locked, a thread waits for each, and pages that ask again and again would have taken all there are.
    """
    session: Session = request.state.session
    turn = _turns.setdefault(session.id, asyncio.Lock())
    try:
        asked = _read(await _body(request))
        unreadable = asked.pop("unreadable")
        has_to_wait = turn.locked()
        async with turn:
            if has_to_wait and await request.is_disconnected():
                return Response(status_code=NOBODY_LISTENS)
            answer = await run_in_threadpool(
                annotation.sync, runtime.require().engine, session.user.actor, now=utc_now(), **asked
            )
    except ClientDisconnect:
        return Response(status_code=NOBODY_LISTENS)
    except TiebreakError as err:
        return refusal_of(err)
    except DatabaseBusy:  # nothing of the request is saved; the page keeps its presses and sends them again
        logger.exception("the database could not be written")
        return JSONResponse({"error": _(UNWRITABLE)}, status_code=503)
    return JSONResponse(_answer(answer, unreadable))


def family(request: Request) -> Response:
    """GET /api/label/family?post_id=N: what a decision on the post could be applied to."""
    session: Session = request.state.session
    try:
        post_id = _post_id(request.query_params.get("post_id", ""))
        found = families.preview_family(runtime.require().engine, session.user.actor, post_id)
    except TiebreakError as err:
        return refusal_of(err)
    return JSONResponse(_family(found), headers={"Cache-Control": "no-store"})


def siblings(request: Request) -> Response:
    """GET /api/label/siblings?post_id=N: what else the author has written, and what stands around it in its thread."""
    session: Session = request.state.session
    try:
        post_id = _post_id(request.query_params.get("post_id", ""))
        found = sibling_posts.siblings_of(runtime.require().engine, session.user.actor, post_id)
    except TiebreakError as err:
        return refusal_of(err)
    groups = {"author": _siblings(found.author), "thread": _siblings(found.thread)}
    return JSONResponse({"post_id": found.post_id, **groups}, headers={"Cache-Control": "no-store"})


async def split(request: Request) -> Response:
    """POST /api/label/split {"post_id": N}: take a near-copy out of its family for good."""
    session: Session = request.state.session
    try:
        asked = await _body(request)
        post_id = _post_id(asked.get("post_id") if isinstance(asked, dict) else None)
        left = await run_in_threadpool(
            families.split_off, runtime.require().engine, session.user.actor, post_id, now=utc_now()
        )
    except TiebreakError as err:
        return refusal_of(err)
    return JSONResponse({"left": left})


def _post_id(value: object) -> int:
    """As a number or its digits."""
    digits = str(value)
    if isinstance(value, bool) or not (digits.isascii() and digits.isdigit() and len(digits) < 18):
        raise BadInput(_("post_id is {given!r}; the id of a post was expected.").format(given=digits[:40]))
    return int(digits)


async def _body(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadInput(_("Too much at once; reload the page."))
    try:
        return json.loads(body)
    except ValueError as err:
        raise BadInput(_("The page sent something unreadable; reload it.")) from err


def _read(asked: Any) -> dict[str, Any]:
    """Arguments of the service, every field checked: the page is not trusted."""
    try:
        today = datetime.fromisoformat(asked["today"])
        presses, unreadable = _presses(asked["presses"])
        return {
            "presses": presses,
            "unreadable": unreadable,
            "holding": [_whole(lease_id) for lease_id in asked["holding"]],
            "adopting": [_whole(lease_id) for lease_id in asked.get("adopting", ())],
            "want": max(0, _whole(asked["want"])),
            "leaving": asked["leaving"] is True,
            "today": max(today, utc_now() - timedelta(days=2)) if today.tzinfo else today.replace(tzinfo=UTC),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise BadInput(_("The page sent something that does not fit this version; reload it.")) from err


def _presses(asked: list[dict[str, Any]]) -> tuple[list[Press], list[str]]:
    """Readable presses, and the ids of others: one that an older page left must not hold back the rest for ever."""
    presses, unreadable = [], []
    for press in asked:
        try:
            presses.append(_press(press))
        except (BadInput, KeyError, TypeError, ValueError):
            unreadable.append(str(press["press_id"]))
    return presses, unreadable


def _press(press: dict[str, Any]) -> Press:
    label, seconds = press.get("label"), press.get("seconds")
    return Press(
        id=str(press["press_id"]),
        kind=PressKind(press["kind"]),
        lease_id=_maybe_whole(press.get("lease_id")),
        post_id=_maybe_whole(press.get("post_id")),
        text_id=_maybe_whole(press.get("text_id")),
        decision_id=_maybe_whole(press.get("decision_id")),
        family_until=_maybe_whole(press.get("family_until")),
        skip_kind=SkipKind(press.get("skip_kind", SkipKind.later)),
        rule=_maybe_text(press.get("rule")),
        note=_maybe_text(press.get("note")),
        label=None if label is None else Label[label],
        seen=_seen(press),
        version_id=_maybe_whole(press.get("version_id")),
        seconds=None if seconds is None else min(86_400.0, max(0.0, float(seconds))),
    )


def _seen(press: dict[str, Any]) -> ModelView | None:
    """How the model's view was on the screen; a press that an older page left says only whether it was."""
    if press.get("seen") is not None:
        return ModelView(press["seen"])
    return ModelView.asked if press.get("saw_model") is True else None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _maybe_whole(value: Any) -> int | None:
    return None if value is None else _whole(value)


def _maybe_text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return None if value is None else clean_unicode(value)


# --- the answer -----------------------------------------------------------------------------------------------------


def _answer(answer: annotation.Answer, unreadable: list[str]) -> dict[str, Any]:
    lost = [{"press_id": id, "post_id": None, "lease_id": None, "reason": _(UNREADABLE)} for id in unreadable]
    return {
        "acked": answer.acked,
        "refused": [*(_refusal(refused) for refused in answer.refused), *lost],
        "cards": [_card(card) for card in answer.cards],
        "front": answer.front,
        "lost": answer.lost,
        "recent": [_recent(made) for made in answer.recent],
        "left": answer.left,
        "today": answer.today,
        "new_guidelines": answer.has_new_guidelines,
    }


def _refusal(refused: annotation.Refusal) -> dict[str, Any]:
    press = refused.press
    return {"press_id": press.id, "post_id": press.post_id, "lease_id": press.lease_id, "reason": refused.reason}


def _told(reason: Reason) -> Reason:
    """Why the post is shown, as its moderator is told: the audit slice is a draw like others, or it would tell that
    another person judges the post too."""
    return Reason.random if reason is Reason.audit else reason


def _card(card: Card) -> dict[str, Any]:
    said = card.prediction
    return {
        "lease_id": card.lease.id,
        "post_id": card.lease.post_id,
        "pid": card.pid,
        "text_id": card.text_id,
        "segments": [{"kind": s.kind, "text": s.text, "host": s.host} for s in read_markup(card.original)],
        "original": card.original,
        "author": card.author,
        "siblings": card.has_author or card.thread is not None,
        "forum_link": card.forum_link,
        "hits": [_hit(word) for word in card.hit_words],
        "reason": _told(card.lease.reason),
        "copies": card.copies,
        "flag": card.flag,
        "blind": card.is_blind,
        "shows_model": card.view is ModelView.shown,
        "model": None
        if said is None
        else {
            "version": card.version,
            "version_id": said.version_id,
            "label": said.label.name,
            "probabilities": dict(zip(LABEL_NAMES, said.probabilities, strict=True)),
        },
    }


def _hit(word: str) -> dict[str, Any]:
    """decided, violations: 0 where no post with the word is decided yet, or nobody has counted so far."""
    record = runtime.require().words.of(word)
    return {
        "word": word,
        "decided": 0 if record is None else record.decided,
        "violations": 0 if record is None else record.violations,
    }


def _recent(made: RecentDecision) -> dict[str, Any]:
    return {
        "decision_id": made.decision_id,
        "lease_id": made.lease_id,
        "post_id": made.post_id,
        "text_id": made.text_id,
        "text": made.text[:RECENT_CHARACTERS] + ("…" if len(made.text) > RECENT_CHARACTERS else ""),
        "label": made.label.name,
        "copies": made.copies,
        "rule": made.rule,
        "note": made.note,
    }


def _family(found: FamilyPreview) -> dict[str, Any]:
    return {
        "post_id": found.post_id,
        "text": found.text,
        "total": found.total,
        "newest": found.newest,
        "telling": found.telling,
        "copies": [
            {
                "post_id": copy.post_id,
                "pid": copy.pid,
                "pieces": pieces(found.text, copy.text, copy.differences),
                "telling": list(copy.telling),
            }
            for copy in found.copies
        ],
    }


def _siblings(group: SiblingGroup | None) -> dict[str, Any] | None:
    if group is None:
        return None
    decided = None if group.decided is None else {label.name: count for label, count in group.decided.items()}
    return {"total": group.total, "decided": decided, "posts": [_sibling(post) for post in group.posts]}


def _sibling(post: ShownSibling) -> dict[str, Any]:
    cut = post.text[:SIBLING_CHARACTERS] + ("…" if len(post.text) > SIBLING_CHARACTERS else "")
    label = None if post.label is None else post.label.name
    return {"post_id": post.post_id, "pid": post.pid, "text": cut, "label": label, "is_card": post.is_card}


def pieces(shown: str, copy: str, cuts: Sequence[Difference]) -> list[dict[str, str]]:
    """The copy's text in order: same, what it has instead of or beside the shown text (new), what it lacks (gone).

    Cut here and not in the browser, which counts characters beyond the basic plane as two.
    """
    cut_up: list[tuple[str, str]] = []
    end = 0
    for cut in cuts:
        cut_up += [("same", copy[end : cut.b_start]), ("gone", shown[cut.a_start : cut.a_end])]
        cut_up.append(("new", copy[cut.b_start : cut.b_end]))
        end = cut.b_end
    cut_up.append(("same", copy[end:]))
    return [{"kind": kind, "text": text} for kind, text in cut_up if text]


routes = [
    Route("/api/label/sync", sync, methods=["POST"]),
    Route("/api/label/family", family, methods=["GET"]),
    Route("/api/label/siblings", siblings, methods=["GET"]),
    Route("/api/label/split", split, methods=["POST"]),
]
