"""The inbox: a folder on the server where files wait to be imported, for what is too big or too far for a browser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from core.domain import Actor, Run
from core.errors import BadInput, NotFound
from core.permissions import Permission, require
from core.wording import _
from db import runs
from db.engine import read

SETTLED_AFTER = timedelta(seconds=4)  # without a change: whoever copies a file in has finished
UNFINISHED = (".partial", ".part", ".tmp", ".crdownload", ".filepart", "~")
MOST_FILES = 50


@dataclass(frozen=True, slots=True)
class InboxFile:
    """is_settled: nobody writes it any more. imported: the last import of this file as it is now, if there was one."""

    name: str
    size: int
    modified_at: datetime
    is_settled: bool
    imported: Run | None


def list_inbox(engine: Engine, actor: Actor, inbox_dir: Path, *, now: datetime) -> list[InboxFile]:
    """Files that can be imported, newest first; links, folders, hidden and unfinished files are none."""
    require(actor, Permission.manage_imports)
    if not inbox_dir.is_dir():
        return []
    found = []
    for path in inbox_dir.iterdir():
        if _is_file_of_ours(inbox_dir, path.name):
            stat = path.stat()
            modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
            found.append((modified_at, path, stat))
    found.sort(key=lambda entry: (entry[0], entry[1].name), reverse=True)
    with read(engine) as conn:
        return [
            InboxFile(
                path.name,
                stat.st_size,
                modified_at,
                now - modified_at >= SETTLED_AFTER,
                runs.import_of_unchanged(
                    conn, path=str(path.resolve()), size=stat.st_size, modified_ns=stat.st_mtime_ns
                ),
            )
            for modified_at, path, stat in found[:MOST_FILES]
        ]


def inbox_path(actor: Actor, inbox_dir: Path, name: str, *, now: datetime) -> Path:
    """The file of that name. Raises NotFound for anything else than a file in the folder, BadInput while it grows."""
    require(actor, Permission.manage_imports)
    if not _is_file_of_ours(inbox_dir, name):
        raise NotFound(_("There is no file {name!r} in the inbox any more.").format(name=name[:100]))
    path = (inbox_dir / name).resolve()
    if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) < SETTLED_AFTER:
        raise BadInput(_("{name!r} is still being written; choose it again in a few seconds.").format(name=name))
    return path


def _is_file_of_ours(inbox_dir: Path, name: str) -> bool:
    """A plain file that lies in the folder itself: no way out of it by name or by link."""
    if not name or "\x00" in name or Path(name).name != name or name.startswith("."):
        return False
    if name.lower().endswith(UNFINISHED):
        return False
    path = inbox_dir / name
    return not path.is_symlink() and path.is_file() and path.resolve().parent == inbox_dir.resolve()
