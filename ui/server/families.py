"""The list of families as a download."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.domain import Session
from core.errors import NotAllowed
from core.services import families
from db.families import Family, FamilyMember
from ui.server import runtime

COLUMNS = ("family", "size", "first_seen", "last_seen", "representative", "pid", "label", "text")
NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def download(request: Request) -> Response:
    """GET /api/families.tsv: a line for each post of each family of two or more, largest first, streamed.

    As MySQL writes it: verbatim, with backslash escapes, times in UTC, \\N where a post has no pid or no label yet.
    """
    session: Session = request.state.session
    try:
        found = families.walk_families(runtime.require().engine, session.user.actor, limit=None)
    except NotAllowed as err:
        return JSONResponse({"error": str(err)}, status_code=403)
    headers = {"Content-Disposition": 'attachment; filename="families.tsv"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(found), media_type="text/tab-separated-values; charset=utf-8", headers=headers)


def _lines(found: Iterator[tuple[Family, list[FamilyMember]]]) -> Iterator[str]:
    yield "\t".join(COLUMNS) + "\n"
    for family, members in found:
        representative = families.representative_of(family, members).pid
        seen = (family.first_seen_at.isoformat(), family.last_seen_at.isoformat())
        for member in members:
            label = None if member.label is None else member.label.name
            cells = (str(family.id), str(family.size), *seen, representative, member.pid, label, member.text)
            yield "\t".join(NULL if cell is None else cell.translate(_ESCAPES) for cell in cells) + "\n"


routes = [Route("/api/families.tsv", download, methods=["GET"])]
