"""The label page's own route: presses in, cards out, as JSON.

The page talks to it directly rather than through Streamlit's rerun: an answer means that the transaction is
committed, a request can still leave while the page is being closed, and no script runs for a key press.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.domain import LABEL_NAMES, Label, Session
from core.errors import BadInput, NotAllowed, TiebreakError
from core.services import annotation
from core.services.annotation import Press, PressKind
from core.text import read_markup
from db.cards import Card
from db.decisions import RecentDecision
from ui.server import runtime

MAX_BODY = 1_000_000
RECENT_CHARACTERS = 2_000  # who corrects a decision reads it whole
UNREADABLE = "It was made by another version of this page; decide the post again."


async def sync(request: Request) -> Response:
    """POST /api/label/sync: see core.services.annotation.sync; the answer comes after the commit."""
    session: Session = request.state.session
    try:
        asked = _read(await _body(request))
        unreadable = asked.pop("unreadable")
        answer = await run_in_threadpool(
            annotation.sync, runtime.require().engine, session.user.actor, now=utc_now(), **asked
        )
    except NotAllowed as err:
        return JSONResponse({"error": str(err)}, status_code=403)
    except TiebreakError as err:
        return JSONResponse({"error": str(err)}, status_code=400)
    return JSONResponse(_answer(answer, unreadable))


async def _body(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadInput("Too much at once; reload the page.")
    try:
        return json.loads(body)
    except ValueError as err:
        raise BadInput("The page sent something unreadable; reload it.") from err


def _read(asked: Any) -> dict[str, Any]:
    """Arguments of the service, every field checked: the page is not trusted."""
    try:
        today = datetime.fromisoformat(asked["today"])
        presses, unreadable = _presses(asked["presses"])
        return {
            "presses": presses,
            "unreadable": unreadable,
            "holding": [_whole(lease_id) for lease_id in asked["holding"]],
            "want": max(0, _whole(asked["want"])),
            "leaving": asked["leaving"] is True,
            "today": max(today, utc_now() - timedelta(days=2)) if today.tzinfo else today.replace(tzinfo=UTC),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise BadInput("The page sent something that does not fit this version; reload it.") from err


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
        label=None if label is None else Label[label],
        saw_model=press.get("saw_model") is True,
        seconds=None if seconds is None else min(86_400.0, max(0.0, float(seconds))),
    )


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _maybe_whole(value: Any) -> int | None:
    return None if value is None else _whole(value)


# --- the answer -----------------------------------------------------------------------------------------------------


def _answer(answer: annotation.Answer, unreadable: list[str]) -> dict[str, Any]:
    lost = [{"press_id": id, "post_id": None, "lease_id": None, "reason": UNREADABLE} for id in unreadable]
    return {
        "acked": answer.acked,
        "refused": [*(_refusal(refused) for refused in answer.refused), *lost],
        "cards": [_card(card) for card in answer.cards],
        "front": answer.front,
        "lost": answer.lost,
        "recent": [_recent(made) for made in answer.recent],
        "left": answer.left,
        "today": answer.today,
    }


def _refusal(refused: annotation.Refusal) -> dict[str, Any]:
    press = refused.press
    return {"press_id": press.id, "post_id": press.post_id, "lease_id": press.lease_id, "reason": refused.reason}


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
        "hits": list(card.hit_words),
        "reason": card.lease.reason,
        "copies": card.copies,
        "model": None
        if said is None
        else {
            "version": card.version,
            "label": said.label.name,
            "probabilities": dict(zip(LABEL_NAMES, said.probabilities, strict=True)),
        },
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
    }


routes = [Route("/api/label/sync", sync, methods=["POST"])]
