"""What a service refuses, as the pages' scripts read it: a sentence as JSON, and a status."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from core.errors import Conflict, NotAllowed, NotFound, TiebreakError

STATUSES: dict[type[TiebreakError], int] = {NotAllowed: 403, NotFound: 404, Conflict: 409}  # others are 400


def refusal_of(err: TiebreakError) -> Response:
    status = next((status for kind, status in STATUSES.items() if isinstance(err, kind)), 400)
    return JSONResponse({"error": str(err)}, status_code=status)
