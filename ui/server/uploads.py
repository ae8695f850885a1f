"""Uploads: a streaming PUT into a file of our own naming, and downloads of what an import rejected."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.clock import utc_now
from core.domain import Session
from core.errors import NotAllowed, NotFound, TiebreakError
from core.permissions import Permission, require
from core.services import importing
from core.settings import Settings
from ui.server import runtime

MAX_BYTES = 20_000_000_000
UPLOAD_NAME = "{stamp}-{token}.upload"


async def upload(request: Request) -> Response:
    """PUT /api/uploads?name=FILE: store the body as it streams in; answers {"upload": token-name}.

    The name that the browser gives is only shown, never used as a path. A broken upload leaves nothing.
    """
    session: Session = request.state.session
    running = runtime.require()
    try:
        require(session.user.actor, Permission.manage_imports)
    except NotAllowed as err:
        return JSONResponse({"error": str(err)}, status_code=403)
    folder = running.settings.uploads_dir
    folder.mkdir(parents=True, exist_ok=True)
    name = UPLOAD_NAME.format(stamp=utc_now().strftime("%Y%m%d-%H%M%S"), token=secrets.token_hex(8))
    partial = folder / f"{name}.partial"
    try:
        await _write_stream(request, partial)
    except (ClientDisconnect, TiebreakError) as err:
        partial.unlink(missing_ok=True)
        return JSONResponse({"error": str(err) or "The upload broke off."}, status_code=400)
    except OSError as err:
        partial.unlink(missing_ok=True)
        return JSONResponse({"error": f"The file could not be stored: {err.strerror}."}, status_code=507)
    partial.rename(folder / name)
    return JSONResponse({"upload": name, "name": unquote(request.query_params.get("name", "upload"))[:200]})


async def _write_stream(request: Request, target: Path) -> None:
    written = 0
    with target.open("wb") as out:
        async for chunk in request.stream():
            written += len(chunk)
            if written > MAX_BYTES:
                raise TiebreakError(f"The file is larger than {MAX_BYTES // 1_000_000_000} GB; split it.")
            await run_in_threadpool(out.write, chunk)
    if written == 0:
        raise TiebreakError("The file is empty.")


def upload_path(settings: Settings, name: str) -> Path:
    """The stored upload of that name; raises NotFound for anything that is not one of ours."""
    path = settings.uploads_dir / name
    if Path(name).name != name or not name.endswith(".upload") or not path.is_file():
        raise NotFound("That upload is not here any more; upload the file again.")
    return path


def download_rejects(request: Request) -> Response:
    """GET /api/imports/{run_id}/rejects: line, reason and raw line as TSV, streamed."""
    session: Session = request.state.session
    running = runtime.require()
    run_id = request.path_params["run_id"]
    try:
        found = importing.list_rejects(running.engine, session.user.actor, run_id)
    except NotAllowed as err:
        return JSONResponse({"error": str(err)}, status_code=403)
    except NotFound as err:
        return JSONResponse({"error": str(err)}, status_code=404)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'rejected-{run_id}.tsv')}"}
    return StreamingResponse(_tsv(found), media_type="text/tab-separated-values; charset=utf-8", headers=headers)


def _tsv(rejects: Iterator[tuple[int, str, str]]) -> Iterator[str]:
    """The raw line comes last and as it was (a logical row may span several lines: their breaks are escaped)."""
    yield "line\treason\traw\n"
    for line, reason, raw in rejects:
        yield f"{line}\t{reason}\t{raw.replace(chr(10), chr(92) + 'n').replace(chr(13), '')}\n"


routes = [
    Route("/api/uploads", upload, methods=["PUT"]),
    Route("/api/imports/{run_id:int}/rejects", download_rejects, methods=["GET"]),
]
