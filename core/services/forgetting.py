"""Forgetting an author or a post for good: in the database, its file and the uploads; and what stays, by name.

One transaction makes it so for everybody. What it leaves behind in the database's file, where deleted words had stood,
is written over at once; whatever interrupts that, the server does it at its next start.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import OperationalError
from typing import Literal

from sqlalchemy import Connection, Engine

from core.domain import Actor, Run, RunKind, RunStatus
from core.errors import BadInput, Conflict, NotFound
from core.permissions import Permission, require
from core.services.families import keep_in_queue, take_in_from_now_on
from core.settings import Settings
from core.wording import _
from db import audit, families, forgetting, runs, takebacks, texts
from db.engine import read, rewrite, write

logger = logging.getLogger(__name__)

STANDS_FOR_IT = "[…]"  # in notes, where a name or a quotation stood
QUOTATION = 8  # characters: shorter texts stand in notes by chance
PIECE = 16_000_000  # bytes of a file that are looked at together
ENCODINGS = ("utf-8", "gb18030", "utf-16-le", "utf-16-be")
SEPARATORS = re.compile(r"[\s,;\"'{}\[\]:|\\]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Whom or what to forget: every post of an author, by name or number, or the post of a pid."""

    by: Literal["author", "pid"]
    value: str


@dataclass(frozen=True, slots=True)
class Counts:
    """posts: gone as a whole. decided_posts: of which a shell stays, with their decisions.

    texts: that no other post has. notes: in which a name or quotation was replaced. rejects: rejected lines.
    """

    posts: int
    decided_posts: int
    decisions: int
    hits: int
    texts: int
    notes: int
    rejects: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What goes, or has gone. run_id, is_clean: once it has; the file holds nothing of it any more.

    uploads: files that go. Out of reach: posts_that_name: of others, whose words name the author or quote the post;
    inbox: files that hold it still; backups: copies of the database from before.
    """

    counts: Counts
    uploads: tuple[str, ...]
    posts_that_name: int
    inbox: tuple[str, ...]
    backups: tuple[str, ...]
    run_id: int | None = None
    is_clean: bool = False


def is_forgetting(run: Run) -> bool:
    return "forget" in run.config


def preview(engine: Engine, actor: Actor, target: Target, *, settings: Settings, now: datetime) -> Forgotten:
    """What would go, found out by doing it and taking it back. Raises NotFound where there is nothing of it."""
    require(actor, Permission.forget)
    with read(engine) as conn:
        post_ids = _posts_of(conn, target)
        pids = forgetting.pids_of(conn, post_ids)
    uploads = _files_with(settings.uploads_dir, target, pids)
    counts = None
    try:
        with write(engine) as conn:
            counts = _forget(conn, actor, target, now=now)[1]
            raise _TakenBack  # noqa: TRY301 - nothing of a preview is to stay
    except _TakenBack:
        pass
    assert counts is not None
    found = _with_what_stays(engine, counts, target, post_ids, pids, uploads, settings=settings)
    _refuse_nothing(found, target)
    return found


class _TakenBack(Exception):
    """The transaction of a preview ends."""


def forget(engine: Engine, actor: Actor, target: Target, *, settings: Settings, now: datetime) -> Forgotten:
    """Forget for good. Raises Conflict while a run is under way, NotFound where there is nothing to forget."""
    require(actor, Permission.forget)
    with read(engine) as conn:
        _refuse_beside_runs(conn)
        post_ids = _posts_of(conn, target)
        pids = forgetting.pids_of(conn, post_ids)
    # First, because afterwards nobody knows what to look for; and doing it twice does no harm.
    uploads = _files_with(settings.uploads_dir, target, pids)
    for path in uploads:
        path.unlink(missing_ok=True)
    with write(engine) as conn:
        run_id, counts = _forget(conn, actor, target, now=now)
        _refuse_nothing(Forgotten(counts, tuple(path.name for path in uploads), 0, (), ()), target)
    found = _with_what_stays(engine, counts, target, post_ids, pids, uploads, settings=settings)
    is_clean = finish_forgetting(engine, now=now)
    return Forgotten(
        found.counts, found.uploads, found.posts_that_name, found.inbox, found.backups, run_id=run_id, is_clean=is_clean
    )


def finish_forgetting(engine: Engine, *, now: datetime) -> bool:
    """Write the file anew after something was forgotten; quick when nothing was. Returns whether it is clean."""
    with read(engine) as conn:
        left = forgetting.uncleaned(conn)
    if not left:
        return True
    try:
        is_clean = rewrite(engine)
    except OperationalError as err:  # no room for the file twice, or somebody writes all the time
        logger.warning("the database's file could not be written anew (%s); trying again later", err)
        return False
    if is_clean:
        with write(engine) as conn:
            for run_id in left:
                takebacks.mark_swept(conn, run_id, now=now)
    return is_clean


def list_forgotten(engine: Engine, actor: Actor, *, limit: int = 20) -> list[Run]:
    """When something was forgotten, by whom, and how much of what; newest first."""
    require(actor, Permission.forget)
    with read(engine) as conn:
        return [runs.require_run(conn, run_id) for run_id in forgetting.list_forgetting(conn, limit=limit)]


# --- in the database --------------------------------------------------------------------------------------------------


def _posts_of(conn: Connection, target: Target) -> list[int]:
    if not target.value.strip():
        raise BadInput(_("Say whom or what to forget: the name or number of an author, or a pid."))
    found = forgetting.posts_by if target.by == "author" else forgetting.posts_with
    return found(conn, target.value)


def _refuse_beside_runs(conn: Connection) -> None:
    under_way = runs.open_runs(conn)
    if under_way:
        said = _(
            "Run {run_id} is under way and may hold what is to be forgotten; wait until it has ended, or cancel it."
        )
        raise Conflict(said.format(run_id=under_way[0].id))


def _refuse_nothing(found: Forgotten, target: Target) -> None:
    if any(asdict(found.counts).values()) or found.uploads:
        return
    said = (
        _("There is no post by {value!r}.") if target.by == "author" else _("There is no post with the pid {value!r}.")
    )
    raise NotFound(said.format(value=target.value))


def _forget(conn: Connection, actor: Actor, target: Target, *, now: datetime) -> tuple[int, Counts]:
    """All that one transaction does; returns the run that is the record of it, and counts."""
    _refuse_beside_runs(conn)
    post_ids = _posts_of(conn, target)
    pids = forgetting.pids_of(conn, post_ids)
    bodies = forgetting.texts_of(conn, post_ids)
    in_queue = forgetting.families_in_queue(conn, post_ids)
    config: dict[str, object] = {"forget": target.by, "name": "forgotten"}  # not whom: that is forgotten
    made = runs.add_run(conn, kind=RunKind.importing, config=config, created_by=actor.name, now=now)
    counted = forgetting.forget_posts(conn, post_ids, run_id=made.id, now=now)
    gone = forgetting.unused_texts(conn, bodies)
    moved = _leave_families(conn, gone)
    texts.remove(conn, gone)
    for family in forgetting.families_left(conn, {moved.get(family, family) for family in in_queue}):
        keep_in_queue(conn, family)
    named = _Named(target, pids, [bodies[text_id] for text_id in gone])
    counts = Counts(
        **counted,
        texts=len(gone),
        notes=forgetting.change_notes(conn, named.without),
        rejects=forgetting.drop_rejects(conn, named.is_in),
    )
    runs.finish_run(conn, made.id, status=RunStatus.succeeded, now=now, result=dict(asdict(counts)))
    details: dict[str, object] = {"by": target.by, "run": made.id} | asdict(counts)
    audit.record_action(conn, actor, "forget", details=details, now=now)
    return made.id, counts


def _leave_families(conn: Connection, gone: list[int]) -> dict[int, int]:
    """Take texts out of their families; where one led its family, the next takes its part. Returns new by old."""
    moved: dict[int, int] = {}
    for text_id in forgetting.texts_among_others(conn, gone):
        family = forgetting.family_of(conn, text_id)
        left = families.split_off(conn, text_id, family=family)
        if left is not None and left != family:
            moved = {old: left if new == family else new for old, new in moved.items()} | {family: left}
    for leader in set(moved.values()) - set(gone):
        take_in_from_now_on(conn, leader)
    return moved


class _Named:
    """How what is forgotten is named elsewhere: by name, by pid, and by its words."""

    def __init__(self, target: Target, pids: set[str], bodies: list[str]) -> None:
        names = [target.value] if target.by == "author" else sorted(pids | {target.value})
        quotations = sorted((body for body in bodies if len(body) >= QUOTATION), key=len, reverse=True)
        self._quotations = quotations
        self._name = re.compile("|".join(_whole(name) for name in names))
        self._tokens = pids | {target.value}

    def without(self, note: str) -> str:
        for quotation in self._quotations:
            note = note.replace(quotation, STANDS_FOR_IT)
        return self._name.sub(STANDS_FOR_IT, note)

    def is_in(self, line: str) -> bool:
        tokens = {part for field in line.split("\t") for part in (field, *SEPARATORS.split(field))}
        return not self._tokens.isdisjoint(tokens) or bool(self._name.search(line))


def _whole(name: str) -> str:
    """The name where it is not a part of a longer word; Chinese has no blanks between words."""
    before = r"(?<![A-Za-z0-9_])" if re.match(r"[A-Za-z0-9_]", name) else ""
    after = r"(?![A-Za-z0-9_])" if re.search(r"[A-Za-z0-9_]$", name) else ""
    return before + re.escape(name) + after


# --- beside the database ----------------------------------------------------------------------------------------------


def _with_what_stays(
    engine: Engine,
    counts: Counts,
    target: Target,
    post_ids: list[int],
    pids: set[str],
    uploads: list[Path],
    *,
    settings: Settings,
) -> Forgotten:
    with read(engine) as conn:
        naming = forgetting.count_that_name(conn, target.value, beside=post_ids) if target.by == "author" else 0
    inbox = _files_with(settings.inbox_dir, target, pids)
    backups = sorted(path.name for path in settings.backups_dir.glob("*.db"))
    return Forgotten(
        counts, tuple(path.name for path in uploads), naming, tuple(path.name for path in inbox), tuple(backups)
    )


def _files_with(folder: Path, target: Target, pids: set[str]) -> list[Path]:
    """Files in which the author's name stands, or one of the pids as a field of its own."""
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
    return [path for path in files if _holds(path, target, pids)]


def _holds(path: Path, target: Target, pids: set[str]) -> bool:
    names = {target.value.encode(encoding) for encoding in ENCODINGS} if target.by == "author" else set()
    fields = {pid.encode() for pid in (pids if target.by == "author" else {target.value})}
    for piece in _pieces(path):
        if any(name in piece for name in names):
            return True
        if fields and not fields.isdisjoint(re.split(rb"[^A-Za-z0-9_-]+", piece.replace(b"\0", b""))):
            return True
    return False


def _pieces(path: Path) -> Iterator[bytes]:
    """The file in pieces that overlap, so that nothing is cut in two."""
    kept = b""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield kept + piece
            kept = piece[-1_000:]
