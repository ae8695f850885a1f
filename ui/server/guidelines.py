"""The guidelines' own routes, for the panel on the label page: as they are now, and that they were read."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.domain import Session
from core.errors import BadInput, TiebreakError
from core.guidelines import to_html
from core.services import guidelines
from core.services.guidelines import Changes, Example, Guidelines
from core.wording import _
from ui.server import runtime
from ui.server.refusals import refusal_of

EXAMPLE_CHARACTERS = 600


def show(request: Request) -> Response:
    """GET /api/guidelines: the newest version as HTML, its examples, and what this person has not been shown."""
    session: Session = request.state.session
    try:
        found = guidelines.read_guidelines(runtime.require().engine, session.user.actor)
    except TiebreakError as err:
        return refusal_of(err)
    return JSONResponse(_shown(found), headers={"Cache-Control": "no-store"})


def note_read(request: Request) -> Response:
    """POST /api/guidelines/read?version=N: this person was shown that version; 0 where there is none yet."""
    session: Session = request.state.session
    try:
        version_id = _version_id(request.query_params.get("version", ""))
        guidelines.note_read(runtime.require().engine, session.user.actor, version_id=version_id, now=utc_now())
    except TiebreakError as err:
        return refusal_of(err)
    return JSONResponse({})


def _version_id(digits: str) -> int | None:
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise BadInput(_("version is {given}; the number of a version was expected.").format(given=repr(digits[:40])))
    return int(digits) or None


def _shown(found: Guidelines) -> dict[str, Any]:
    version = found.version
    return {
        "version": None
        if version is None
        else {
            "id": version.id,
            "by": version.written_by,
            "at": version.written_at.isoformat(),
            "html": to_html(version.body),
        },
        "examples": [_example(example) for example in found.examples],
        "changes": None if found.changes is None else _changes(found.changes),
    }


def _example(example: Example) -> dict[str, Any]:
    post = example.post
    cut = post.text[:EXAMPLE_CHARACTERS] + ("…" if len(post.text) > EXAMPLE_CHARACTERS else "")
    label = None if example.label is None else example.label.name
    return {"post_id": post.post_id, "text": cut, "label": label, "note": post.note, "is_new": example.is_new}


def _changes(found: Changes) -> dict[str, Any]:
    return {
        "since": found.since.id,
        "lines": [{"kind": line.kind, "text": line.text} for line in found.lines],
        "notes": [
            {"id": version.id, "by": version.written_by, "at": version.written_at.isoformat(), "note": version.note}
            for version in found.versions
        ],
    }


routes = [
    Route("/api/guidelines", show, methods=["GET"]),
    Route("/api/guidelines/read", note_read, methods=["POST"]),
]
