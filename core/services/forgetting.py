"""Forgetting an author or a post for good: in the database, its file and the uploads; and what stays, by name.

One transaction makes it so for everybody, and names the files that are to go. These go when it has been committed, and
what it leaves behind in the database's file, where deleted words had stood, is written over; whatever interrupts that,
the server does it at its next start.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from sqlite3 import OperationalError
from typing import Literal

from sqlalchemy import Connection, Engine

from core.domain import Actor, Run, RunKind, RunStatus
from core.errors import BadInput, Conflict, NotFound, TiebreakError
from core.labelled import read_file
from core.permissions import Permission, require
from core.services.families import keep_in_queue, take_in_from_now_on
from core.settings import Settings
from core.tsv import ExportRow, RejectedRow
from core.wording import _
from db import audit, families, forgetting, runs, takebacks, texts
from db.engine import read, rewrite, write

logger = logging.getLogger(__name__)

STANDS_FOR_IT = "[…]"  # in notes, where a name or a quotation stood
QUOTATION = 8  # characters: shorter texts stand in notes by chance
LONG_NUMBER = 5  # digits: shorter ones stand in other people's words by chance
LONGEST_LINE = 1_000_000
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

    uploads, logs: files that go, the latter of runs. Out of reach: posts_that_name: of others, whose words name the
    author or quote the post; inbox: files that hold it still; backups: copies of the database from before.
    """

    counts: Counts
    uploads: tuple[str, ...]
    logs: tuple[str, ...]
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
        named = _Named.of(conn, target, post_ids)
    files = _Files.with_it(settings, named)
    counts = None
    try:
        with write(engine) as conn:
            counts = _forget(conn, actor, target, files, now=now)[1]
            raise _TakenBack  # noqa: TRY301 - nothing of a preview is to stay
    except _TakenBack:
        pass
    assert counts is not None
    found = _with_what_stays(engine, counts, named, post_ids, files, settings=settings)
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
        named = _Named.of(conn, target, post_ids)
    files = _Files.with_it(settings, named)  # before, because afterwards nobody knows what to look for
    with write(engine) as conn:
        run_id, counts = _forget(conn, actor, target, files, now=now)
        _refuse_nothing(Forgotten(counts, files.uploads, files.logs, 0, (), ()), target)
    found = _with_what_stays(engine, counts, named, post_ids, files, settings=settings)
    return replace(found, run_id=run_id, is_clean=finish_forgetting(engine, settings, now=now))


def finish_forgetting(engine: Engine, settings: Settings, *, now: datetime) -> bool:
    """Remove the files and write the database's anew after something was forgotten; quick when nothing was.

    Returns whether all is clean. Doing it again does no harm.
    """
    with read(engine) as conn:
        left = {run_id: _Files.of(runs.require_run(conn, run_id)) for run_id in forgetting.uncleaned(conn)}
    if not left:
        return True
    try:
        for files in left.values():
            files.remove(settings)
        is_clean = rewrite(engine)
    except OSError as err:
        logger.warning("a file that holds what was forgotten could not be removed (%s); trying again later", err)
        return False
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
    if any(asdict(found.counts).values()) or found.uploads or found.logs:
        return
    said = (
        _("There is no post by {value!r}.") if target.by == "author" else _("There is no post with the pid {value!r}.")
    )
    raise NotFound(said.format(value=target.value))


def _forget(conn: Connection, actor: Actor, target: Target, files: _Files, *, now: datetime) -> tuple[int, Counts]:
    """All that one transaction does; returns the run that is the record of it, and counts."""
    _refuse_beside_runs(conn)
    post_ids = _posts_of(conn, target)
    by_name = _Named.of(conn, target, post_ids)
    bodies = forgetting.texts_of(conn, post_ids)
    in_queue = forgetting.families_in_queue(conn, post_ids)
    config: dict[str, object] = {"forget": target.by, "name": "forgotten"}  # not whom: that is forgotten
    config |= asdict(files)
    made = runs.add_run(conn, kind=RunKind.importing, config=config, created_by=actor.name, now=now)
    counted = forgetting.forget_posts(conn, post_ids, run_id=made.id, now=now)
    gone = forgetting.unused_texts(conn, bodies)
    moved = _leave_families(conn, gone)
    texts.remove(conn, gone)
    for family in forgetting.families_left(conn, {moved.get(family, family) for family in in_queue}):
        keep_in_queue(conn, family)
    named = by_name.with_quotations(bodies[text_id] for text_id in gone)
    counts = Counts(
        **counted,
        texts=len(gone),
        notes=forgetting.change_notes(conn, named.without),
        rejects=forgetting.drop_rejects(conn, lambda line, reason: named.is_in(line) or named.is_told_in(reason)),
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


@dataclass(frozen=True, slots=True)
class _Named:
    """How what is forgotten is named elsewhere: by names, by numbers (of authors and posts), and by its words.

    A name of one character, or a short number, stands in other people's words by chance: only a whole field counts.
    """

    names: frozenset[str]
    numbers: frozenset[str]
    pids: frozenset[str]
    quotations: tuple[str, ...] = ()

    @classmethod
    def of(cls, conn: Connection, target: Target, post_ids: list[int]) -> _Named:
        pids = frozenset(forgetting.pids_of(conn, post_ids))
        if target.by == "pid":
            return cls(frozenset(), frozenset(), pids | {target.value})
        names, numbers = forgetting.authors_of(conn, post_ids)
        is_number = target.value in numbers or target.value.isdigit()
        return cls(
            frozenset(names if is_number else names | {target.value}),
            frozenset(numbers | {target.value} if is_number else numbers),
            pids,
        )

    def with_quotations(self, bodies: Iterable[str]) -> _Named:
        long = (body for body in bodies if len(body) >= QUOTATION)
        return replace(self, quotations=tuple(sorted(long, key=len, reverse=True)))

    @property
    def telling(self) -> list[str]:
        """What names them wherever it stands."""
        long = (number for number in self.numbers | self.pids if len(number) >= LONG_NUMBER)
        return sorted({*(name for name in self.names if len(name) > 1), *long}, key=len, reverse=True)

    def without(self, note: str) -> str:
        for quotation in self.quotations:
            note = note.replace(quotation, STANDS_FOR_IT)
        return re.sub("|".join(map(_whole, self.telling)), STANDS_FOR_IT, note) if self.telling else note

    def is_in(self, line: str) -> bool:
        """A line of a file, of which nobody knows what its columns are."""
        tokens = {part for field in line.split("\t") for part in (field, *SEPARATORS.split(field))}
        if not tokens.isdisjoint(self.names | self.numbers | self.pids):
            return True
        return any(re.search(_whole(name), line) for name in self.telling)

    def is_told_in(self, sentence: str) -> bool:
        return self.without(sentence) != sentence

    def is_of(self, row: ExportRow) -> bool:
        return row.pid in self.pids or row.author in self.names or row.author_id in self.numbers


def _whole(name: str) -> str:
    """The name where it is not a part of a longer word; Chinese has no blanks between words."""
    before = r"(?<![A-Za-z0-9_])" if re.match(r"[A-Za-z0-9_]", name) else ""
    after = r"(?![A-Za-z0-9_])" if re.search(r"[A-Za-z0-9_]$", name) else ""
    return before + re.escape(name) + after


# --- beside the database ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Files:
    """Names of files that go: uploads with a row of what is forgotten, and logs of runs that name it."""

    uploads: tuple[str, ...]
    logs: tuple[str, ...]

    @classmethod
    def with_it(cls, settings: Settings, named: _Named) -> _Files:
        logs = [path.name for path in _files_in(settings.logs_dir) if any(map(named.is_told_in, _lines(path, "utf-8")))]
        return cls(tuple(path.name for path in _files_with(settings.uploads_dir, named)), tuple(logs))

    @classmethod
    def of(cls, forgot: Run) -> _Files:
        """As the run that forgot something holds them."""
        uploads, logs = (forgot.config.get(kind, ()) for kind in ("uploads", "logs"))
        assert isinstance(uploads, list | tuple)
        assert isinstance(logs, list | tuple)
        return cls(tuple(uploads), tuple(logs))

    def remove(self, settings: Settings) -> None:
        """With what tokenizers made of texts, and the pool's columns, which the next scoring or look makes anew."""
        for folder, names in ((settings.uploads_dir, self.uploads), (settings.logs_dir, self.logs)):
            for name in names:
                (folder / name).unlink(missing_ok=True)
        for folder in (settings.tokens_dir, settings.columns_dir):
            if folder.exists():
                shutil.rmtree(folder)


def _with_what_stays(
    engine: Engine,
    counts: Counts,
    named: _Named,
    post_ids: list[int],
    files: _Files,
    *,
    settings: Settings,
) -> Forgotten:
    with read(engine) as conn:
        naming = forgetting.count_that_name(conn, [name for name in named.names if len(name) > 1], beside=post_ids)
    inbox = _files_with(settings.inbox_dir, named)
    backups = sorted(path.name for path in settings.backups_dir.glob("*.db"))
    return Forgotten(counts, files.uploads, files.logs, naming, tuple(path.name for path in inbox), tuple(backups))


def _files_with(folder: Path, named: _Named) -> list[Path]:
    """Files with a row of the author or of one of the posts."""
    return [path for path in _files_in(folder) if _holds(path, named)]


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


def _holds(path: Path, named: _Named) -> bool:
    """By its rows, as an import would read them; line by line where nobody knows yet which column is which."""
    try:
        with path.open("rb") as file:
            rows = read_file(file, name=path.name, encoding="auto", columns={}, label_order=[])
            return any(named.is_in(row.raw) if isinstance(row, RejectedRow) else named.is_of(row) for row in rows)
    except TiebreakError:
        return any(named.is_in(line) for encoding in ENCODINGS for line in _lines(path, encoding))


def _lines(path: Path, encoding: str) -> Iterator[str]:
    with path.open(encoding=encoding, errors="replace", newline="\n") as file:
        while line := file.readline(LONGEST_LINE):
            yield line.rstrip("\r\n")
