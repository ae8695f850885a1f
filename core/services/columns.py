"""The pool as arrays, for pages that answer about all of it at once: found, made anew, and narrowed by a filter.

How a page uses it (ui/pool_columns.py does the first two steps, with progress):
    columns = find(engine, actor, settings, version="v3")      # None: it has to be made, by `make` in another process
    seen = view(engine, actor, columns, PostFilter.from_query(…))
    seen.is_chosen                                             # (n_posts,) of bool, which posts the filter leaves
    columns.posts.word_posts, columns.proba, seen.labels, …    # what to count; ids to the database with `posts_by_id`
What decisions change (labels, portions) is read from the database at each look; everything else is of the state that
the files were made of, which is that of the database until an import, a taking back, a forgetting or a scoring.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.columns import (
    SIDES,
    Floats32,
    PostColumns,
    Selection,
    assemble_posts,
    assemble_scores,
    open_posts,
    open_scores,
    sweep,
    write_posts,
    write_scores,
)
from core.distributions import labels_in_blocks
from core.domain import LABEL_NAMES, Actor
from core.permissions import Permission, may, require
from core.post_filter import Portion, PostFilter
from core.settings import Settings
from core.wording import N_
from db import columns as rows
from db import models, policies
from db.engine import read

logger = logging.getLogger(__name__)

UNDECIDED = -1

Report = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True, slots=True)
class Columns:
    """posts: (n_posts,) columns. proba: (n_labels, n_posts), NaN where unscored; without a version nothing is scored.

    version_id: None without a version.
    """

    posts: PostColumns
    proba: Floats32
    version_id: int | None


@dataclass(frozen=True, slots=True)
class View:
    """Columns as they stand now, through a filter; all (n_posts,).

    labels: as decided last, UNDECIDED for none. portions: see Portion.
    """

    columns: Columns
    labels: npt.NDArray[np.int8]
    portions: npt.NDArray[np.int8]
    is_chosen: Selection


# --- finding and making -----------------------------------------------------------------------------------------------


def find(engine: Engine, actor: Actor, settings: Settings, *, version: str | None) -> Columns | None:
    """The columns of the state that the database is in; None where they have to be made first.

    Raises NotFound for an unknown version.
    """
    require(actor, Permission.look)
    with read(engine) as conn:
        version_id = None if version is None else models.require_version(conn, version).id
        places = _Places.of(conn, settings.columns_dir, version)
    posts = open_posts(places.posts)
    proba = open_scores(places.scores) if version is not None else None
    if posts is None or (version is not None and proba is None):
        return None
    if proba is None:
        proba = np.broadcast_to(np.float32(np.nan), (len(LABEL_NAMES), len(posts)))
    return Columns(posts, proba, version_id)


def make(
    engine: Engine, settings: Settings, *, version: str | None, report: Report = lambda stage, done, total: None
) -> None:
    """Write the columns that `find` finds, unless they are there; for a process that may take its time.

    4 million posts take a minute or two, and about 1 GB of memory meanwhile.
    """
    with read(engine) as conn:  # one view: what is written is of the state that its name says
        version_id = None if version is None else models.require_version(conn, version).id
        places = _Places.of(conn, settings.columns_dir, version)
        posts = open_posts(places.posts)
        if posts is None:
            posts = _read_posts(conn, report)
            write_posts(places.posts, posts)
        if version_id is not None and open_scores(places.scores) is None:
            report(N_("reading predictions"), 5, STEPS)
            write_scores(places.scores, assemble_scores(posts, *rows.scores(conn, version_id=version_id)))
    with read(engine) as conn:
        is_past = _Places.of(conn, settings.columns_dir, version).posts != places.posts
    if is_past:  # what was forgotten meanwhile must not be left in a file
        shutil.rmtree(places.posts.parent, ignore_errors=True)
        return
    sweep(settings.columns_dir, kind="", kept=places.posts.parent.name)
    if version_id is not None:
        sweep(places.posts.parent, kind=f"version-{version_id}-", kept=places.scores.name)


STEPS = 6


def _read_posts(conn: Connection, report: Report) -> PostColumns:
    report(N_("reading posts"), 0, STEPS)
    texts, imports = rows.visible_posts(conn)
    report(N_("reading families"), 1, STEPS)
    families = rows.text_families(conn)
    report(N_("reading the split"), 2, STEPS)
    sides = rows.text_sides(conn)
    report(N_("reading hit words"), 3, STEPS)
    hits, words = rows.hits(conn)
    report(N_("putting columns together"), 4, STEPS)
    return assemble_posts(texts, imports, families, sides, hits, words)


@dataclass(frozen=True, slots=True)
class _Places:
    posts: Path
    scores: Path

    @classmethod
    def of(cls, conn: Connection, folder: Path, version: str | None) -> _Places:
        """Folders whose names say which state of the database is in them."""
        home = folder / _short(rows.posts_state(conn))
        if version is None:
            return cls(home / "posts", home / "no-version")
        version_id = models.require_version(conn, version).id
        return cls(home / "posts", home / f"version-{version_id}-{_short(rows.scores_state(conn, version=version))}")


def _short(state: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


# --- narrowing --------------------------------------------------------------------------------------------------------


def may_ask_authors(engine: Engine, actor: Actor) -> bool:
    """Leads may, and others where the policy shows authors."""
    require(actor, Permission.look)
    with read(engine) as conn:
        return _may_ask_authors(conn, actor)


def _may_ask_authors(conn: Connection, actor: Actor) -> bool:
    return may(actor, Permission.see_author) or policies.current_policy(conn).show_author


def view(engine: Engine, actor: Actor, columns: Columns, post_filter: PostFilter) -> View:
    """What stands on the posts now, and which of them the filter leaves.

    Raises NotAllowed for a filter by author where authors are not shown.
    """
    require(actor, Permission.look)
    with read(engine) as conn:
        if post_filter.author is not None and not _may_ask_authors(conn, actor):
            require(actor, Permission.see_author)
        labels, portions = _standing(conn, columns.posts)
        return View(columns, labels, portions, _chosen(conn, columns, post_filter, labels, portions))


def _standing(conn: Connection, posts: PostColumns) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """(labels, portions), each (n_posts,)."""
    labels = np.full(len(posts), UNDECIDED, dtype=np.int8)
    portions = np.full(len(posts), Portion.undecided, dtype=np.int8)
    held, are_there = posts.positions(rows.leased_posts(conn))
    portions[held[are_there]] = Portion.leased
    decided = rows.decided_labels(conn)
    positions, are_there = posts.positions(decided["first"])
    labels[positions[are_there]] = decided["second"][are_there]  # of several on a post the last one stays
    portions[positions[are_there]] = Portion.decided
    return labels, portions


def _chosen(
    conn: Connection,
    columns: Columns,
    asked: PostFilter,
    labels: npt.NDArray[np.int8],
    portions: npt.NDArray[np.int8],
) -> Selection:
    posts = columns.posts
    found = np.ones(len(posts), dtype=np.bool_)
    if asked.imports or asked.since or asked.until:
        found &= _is_in(posts.imports, _imports_meant(conn, asked))
    if asked.words:
        found &= _at(len(posts), *(posts.with_word(word) for word in asked.words))
    if asked.author is not None:
        positions, are_there = posts.positions(rows.posts_by(conn, asked.author))
        found &= _at(len(posts), positions[are_there])
    if asked.family_sizes is not None:
        least, most = asked.family_sizes
        found &= posts.family_sizes >= least
        if most is not None:
            found &= posts.family_sizes <= most
    if asked.sides:
        found &= _is_in(posts.sides, [SIDES.index(side) for side in asked.sides])
    if asked.labels:
        found &= _is_in(labels, asked.labels)
    if asked.portions:
        found &= _is_in(portions, asked.portions)
    if asked.predicted:
        found &= _is_in(labels_in_blocks(columns.proba), asked.predicted)
    return found


def _imports_meant(conn: Connection, asked: PostFilter) -> list[int]:
    return [
        run_id
        for run_id, day in rows.days_of_imports(conn).items()
        if (not asked.imports or run_id in asked.imports)
        and (asked.since is None or day >= asked.since)
        and (asked.until is None or day <= asked.until)
    ]


def _is_in(column: npt.NDArray[np.integer], wanted: Iterable[int]) -> Selection:
    """As numpy.isin, by looking each value up in a table: they are small. -1 is none of those wanted."""
    listed = list(wanted)
    table = np.zeros(max([int(column.max(initial=0)), *listed]) + 2, dtype=np.bool_)  # -1 finds the last place
    table[listed] = True
    return np.asarray(table[column])


def _at(count: int, *positions: npt.NDArray[np.integer]) -> Selection:
    found = np.zeros(count, dtype=np.bool_)
    for each in positions:
        found[each] = True
    return found
