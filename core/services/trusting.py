"""Whether a version is to be believed: what it says of judged texts that no version has learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, Engine

from core.calibration import Floats, Ids
from core.columns import SIDES
from core.domain import Actor, Label, Side
from core.evaluation import ENOUGH
from core.permissions import Permission, require
from core.post_filter import PostFilter
from core.services import auditing
from core.services.columns import Columns, View, view
from core.sheets import CellKind, Column, Row, Sheet
from db import columns as rows
from db import golds, posts
from db.engine import read
from db.golds import GoldPost


@dataclass(frozen=True, slots=True)
class Trust:
    """Judged families kept aside that the version has scored, each by one text; all (n,), proba (n, n_labels).

    is_random: all of them are of the audit slice, as the gate has it once enough of that are judged; otherwise the
    evaluation side is with them, whose posts the queue chose because they are hard. judged: families kept aside.
    sizes: posts that each stands for. post_ids: one that was judged of each.
    """

    is_random: bool
    judged: int
    post_ids: Ids
    truth: Ids
    sizes: Floats
    proba: Floats

    @property
    def said(self) -> Ids:
        return np.asarray(self.proba.argmax(axis=1), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, slots=True)
class JudgedPost:
    """sureness: the probability of what was said."""

    post_id: int
    pid: str | None
    text: str
    truth: Label
    said: Label
    sureness: float
    posts: int


def trust(engine: Engine, actor: Actor, columns: Columns) -> Trust:
    """What the columns' version says of the judged posts of now."""
    require(actor, Permission.look)
    with read(engine) as conn:
        return _beside(_judged_aside(conn, columns), columns)


def trust_both(engine: Engine, actor: Actor, first: Columns, second: Columns) -> tuple[Trust, Trust]:
    """Of two versions, on the same judged posts; the columns are of the same posts."""
    require(actor, Permission.look)
    with read(engine) as conn:
        judged = _judged_aside(conn, first)
    return _beside(judged, first), _beside(judged, second)


def _judged_aside(conn: Connection, columns: Columns) -> list[GoldPost]:
    """A judged post of each family that no version is trained on.

    Which posts are held out is looked up in the columns: of all that is decided, four fifths need not be read.
    """
    decided = np.unique(rows.decided_labels(conn)["first"])
    positions, are_there = columns.posts.positions(decided)
    if not len(columns.posts):
        return []
    held_out = decided[are_there & (columns.posts.sides[positions] != SIDES.index(Side.train))]
    found = golds.gold_posts(conn, among=held_out.tolist())
    return golds.gold_families(gold for gold in found if gold.side is not Side.train)


def _beside(judged: list[GoldPost], columns: Columns) -> Trust:
    post_ids = np.array([gold.post_id for gold in judged], dtype=np.int64)
    truth = np.array([gold.label for gold in judged], dtype=np.int64)
    is_audit = np.array([gold.side is Side.audit for gold in judged], dtype=np.bool_)
    positions, are_there = columns.posts.positions(post_ids)
    if not len(columns.posts):
        return Trust(False, 0, post_ids, truth, np.empty(0), np.empty((0, len(Label))))
    proba = columns.proba[:, positions].T.astype(np.float64)
    kept = are_there & ~np.isnan(proba[:, 0])
    is_random = int((kept & is_audit).sum()) >= ENOUGH
    if is_random:
        kept &= is_audit
    sizes = columns.posts.family_sizes[positions].astype(np.float64)
    return Trust(is_random, len(judged), post_ids[kept], truth[kept], sizes[kept], proba[kept])


def narrow(found: Trust, seen: View) -> Trust:
    """Those of the texts of which the post that stands for them passes the view's filter."""
    positions, are_there = seen.columns.posts.positions(found.post_ids)
    if not len(seen.is_chosen):
        return found
    kept = are_there & seen.is_chosen[positions]
    return replace(
        found,
        post_ids=found.post_ids[kept],
        truth=found.truth[kept],
        sizes=found.sizes[kept],
        proba=found.proba[kept],
    )


def judged_posts(
    engine: Engine, actor: Actor, found: Trust, *, truth: Label | None, said: Label | None, page: int, page_size: int
) -> tuple[int, list[JudgedPost]]:
    """(how many, one page from 1) of a cell of the confusion matrix, or of all errors; the surest first."""
    require(actor, Permission.look)
    chosen = _in_order(found, truth, said)
    shown = chosen[(page - 1) * page_size : page * page_size]
    with read(engine) as conn:
        return len(chosen), _posts_at(conn, found, shown)


def _in_order(found: Trust, truth: Label | None, said: Label | None) -> Ids:
    if truth is None or said is None:
        chosen = np.flatnonzero(found.truth != found.said)
    else:
        chosen = np.flatnonzero((found.truth == truth) & (found.said == said))
    return np.asarray(chosen[np.argsort(-found.proba.max(axis=1)[chosen], kind="stable")])


def _posts_at(conn: Connection, found: Trust, places: Ids) -> list[JudgedPost]:
    ids = found.post_ids[places].tolist()
    there = posts.posts_by_id(conn, ids)
    said = found.said
    return [
        JudgedPost(
            post_id,
            there[post_id].pid,
            there[post_id].text,
            Label(int(found.truth[at])),
            Label(int(said[at])),
            float(found.proba[at].max()),
            int(found.sizes[at]),
        )
        for post_id, at in zip(ids, places.tolist(), strict=True)
        if post_id in there
    ]


def export_judged(
    engine: Engine, actor: Actor, columns: Columns, *, version: str, post_filter: PostFilter, now: datetime
) -> Sheet:
    """Every judged text that passes, with what the version says of it, errors first, the surest first; on record."""
    require(actor, Permission.export)
    seen = view(engine, actor, columns, post_filter)
    with read(engine) as conn:
        found = narrow(_beside(_judged_aside(conn, columns), columns), seen)
        is_right = found.truth == found.said
        order = np.lexsort((-found.proba.max(axis=1), is_right)) if len(found) else np.empty(0, dtype=np.int64)
        listed = _posts_at(conn, found, order)
    auditing.record_export(engine, actor, f"judged texts beside what {version} says", now=now)
    proba = dict(zip(found.post_ids.tolist(), found.proba.tolist(), strict=True))
    names = (
        Column("post", CellKind.whole), Column("pid"), Column("label"), Column("predicted"),
        *(Column(f"p_{label.name}", CellKind.number) for label in Label), Column("family_size", CellKind.whole),
        Column("text"),
    )  # fmt: skip
    listed_rows: list[Row] = [
        (each.post_id, each.pid, each.truth.name, each.said.name, *proba[each.post_id], each.posts, each.text)
        for each in listed
    ]
    return Sheet(names, iter([listed_rows] if listed_rows else []))
