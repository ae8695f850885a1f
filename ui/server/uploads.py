"""Uploads: a streaming PUT into a file of our own naming, and downloads of what an import rejected."""

from __future__ import annotations

import hashlib
import secrets
import shutil
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
from core.services import accounts, auditing, importing
from core.settings import Settings
from core.wording import _
from ui.languages import retell
from ui.server import runtime
from ui.server.cookies import secret_in

MAX_BYTES = 20_000_000_000
RESERVE_BYTES = 1_000_000_000  # left free for the database: saving decisions matters more than another file
LOOK_EVERY_BYTES = 64_000_000  # between two looks at the free space
UPLOAD_NAME = "{stamp}-{token}-{sha256}.upload"


def check_upload(request: Request) -> Response:
    """GET /api/uploads?size=BYTES: whether a file of that size would be taken.

    Asked before the browser sends it: an answer that comes while a body is still on its way mostly never arrives.
    """
    try:
        require(request.state.session.user.actor, Permission.manage_imports)
        size = request.query_params.get("size", "0")
        _require_room(_folder(), int(size) if size.isdecimal() else 0)
    except NotAllowed as err:
        return JSONResponse({"error": str(err)}, status_code=403)
    except NoRoom as err:
        return JSONResponse({"error": str(err)}, status_code=507)
    except TiebreakError as err:
        return JSONResponse({"error": str(err)}, status_code=400)
    return JSONResponse({})


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
    folder = _folder()
    stamp, token = utc_now().strftime("%Y%m%d-%H%M%S"), secrets.token_hex(8)
    partial = folder / f"{stamp}-{token}.partial"
    try:
        _require_room(folder, int(request.headers.get("content-length", "0")))
        sha256 = await _write_stream(request, partial)
        await _require_signed_in(request, running)
        name = UPLOAD_NAME.format(stamp=stamp, token=token, sha256=sha256)
        partial.rename(folder / name)
    except SignedOut as err:
        return JSONResponse({"error": str(err), "stored": False}, status_code=401)
    except NoRoom as err:
        return JSONResponse({"error": str(err)}, status_code=507)
    except (ClientDisconnect, TiebreakError) as err:
        return JSONResponse({"error": str(err) or _("The upload broke off.")}, status_code=400)
    except OSError as err:
        return JSONResponse(
            {"error": _("The file could not be stored: {problem}.").format(problem=err.strerror)}, status_code=507
        )
    finally:
        partial.unlink(missing_ok=True)
    return JSONResponse({"upload": name, "name": unquote(request.query_params.get("name", "upload"))[:200]})


class NoRoom(TiebreakError):
    """The disk would be too full."""


class SignedOut(TiebreakError):
    """The session ended while the file was on its way."""


def _folder() -> Path:
    folder = runtime.require().settings.uploads_dir
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _require_room(folder: Path, size: int) -> None:
    """Raises before a byte is stored that would not fit."""
    if size > MAX_BYTES:
        raise TiebreakError(_("The file is larger than {most} GB; split it.").format(most=MAX_BYTES // 1_000_000_000))
    free = shutil.disk_usage(folder).free
    if free - size < RESERVE_BYTES:
        raise NoRoom(
            _(
                "The server's disk has {free} GB free, and {reserved} GB of it stay reserved for "
                "decisions: too little for {size} MB. Free some space, or import a smaller file."
            ).format(free=f"{free / 1e9:,.1f}", reserved=f"{RESERVE_BYTES / 1e9:.0f}", size=f"{size / 1e6:,.1f}")
        )


async def _require_signed_in(request: Request, running: runtime.Runtime) -> None:
    """A long upload may outlive its session: signed out, disabled, or another role by now."""
    session = await run_in_threadpool(accounts.session_of, running.engine, secret_in(request.cookies), now=utc_now())
    if session is None:
        raise SignedOut(
            _("You were signed out while the file was on its way; nothing was stored. Sign in and try again.")
        )
    require(session.user.actor, Permission.manage_imports)


async def _write_stream(request: Request, target: Path) -> str:
    """Returns the file's SHA-256. Memory does not depend on its size."""
    written, looked_at, digest = 0, 0, hashlib.sha256()
    with target.open("wb") as out:
        async for chunk in request.stream():
            written += len(chunk)
            if written > MAX_BYTES:
                raise TiebreakError(
                    _("The file is larger than {most} GB; split it.").format(most=MAX_BYTES // 1_000_000_000)
                )
            if written - looked_at >= LOOK_EVERY_BYTES:  # without a Content-Length, or while others fill the disk
                _require_room(target.parent, 0)
                looked_at = written
            digest.update(chunk)
            await run_in_threadpool(out.write, chunk)
    if written == 0:
        raise TiebreakError(_("The file is empty."))
    return digest.hexdigest()


def upload_path(settings: Settings, name: str) -> Path:
    """The stored upload of that name; raises NotFound for anything that is not one of ours."""
    path = settings.uploads_dir / name
    if Path(name).name != name or not name.endswith(".upload") or not path.is_file():
        raise NotFound(_("That upload is not here any more; upload the file again."))
    return path


def upload_hash(name: str) -> str:
    """The SHA-256 of a stored upload: its name carries it."""
    return name.removesuffix(".upload").rpartition("-")[2]


def download_rejects(request: Request) -> Response:
    """GET /api/imports/{run_id}/rejects: line, reason and raw line as TSV, streamed."""
    session: Session = request.state.session
    running = runtime.require()
    run_id = request.path_params["run_id"]
    try:
        found = importing.list_rejects(running.engine, session.user.actor, run_id)
        what = f"rejected lines of import {run_id}"
        auditing.record_export(running.engine, session.user.actor, what, now=utc_now())
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
        yield f"{line}\t{retell(reason)}\t{raw.replace(chr(10), chr(92) + 'n').replace(chr(13), '')}\n"


routes = [
    Route("/api/uploads", check_upload, methods=["GET"]),
    Route("/api/uploads", upload, methods=["PUT"]),
    Route("/api/imports/{run_id:int}/rejects", download_rejects, methods=["GET"]),
]
