"""Looking at how sure a model version is: distributions, and the posts behind each part of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from core.columns import SIDES
from core.distributions import (
    ACROSS,
    UP,
    Counts,
    Part,
    Quantity,
    histogram,
    lowest,
    part_said,
    positions_in,
    predicted_labels,
    ternary,
    values,
)
from core.domain import Actor, Label
from core.permissions import Permission, require
from core.post_filter import Portion, PostFilter
from core.services import auditing
from core.services.columns import UNDECIDED, Columns, View, view
from core.sheets import Batch, CellKind, Column, Row, Sheet
from db import posts
from db.engine import read

Positions = npt.NDArray[np.int64]

STEP = 5_000  # posts that an export reads at once


@dataclass(frozen=True, slots=True)
class Look:
    """counts: (BINS, n_labels, n_portions) of a quantity, by predicted label and portion; cells: (ACROSS, UP).

    chosen: posts that the filter leaves; scored: those of them that the version has scored, which are counted.
    """

    of: Quantity
    counts: Counts
    cells: Counts
    chosen: int

    @property
    def scored(self) -> int:
        return int(self.cells.sum())


class Order(StrEnum):
    """In which posts are listed. unsure: the smallest margin first; sure: the largest."""

    unsure = "unsure"
    sure = "sure"
    newest = "newest"


@dataclass(frozen=True, slots=True)
class ScoredPost:
    """label: as decided last. probabilities: in Label order."""

    post_id: int
    pid: str | None
    text: str
    probabilities: tuple[float, float, float]
    predicted: Label
    label: Label | None
    portion: Portion


def look(engine: Engine, actor: Actor, columns: Columns, *, of: Quantity, post_filter: PostFilter) -> Look:
    """The distribution of a quantity, and of the three probabilities together, over posts that the filter leaves."""
    seen = view(engine, actor, columns, post_filter)
    counts = histogram(
        columns.proba, quantity=of, chosen=seen.is_chosen, portions=seen.portions, n_portions=len(Portion)
    )
    return Look(of, counts, ternary(columns.proba, chosen=seen.is_chosen), int(seen.is_chosen.sum()))


def posts_behind(
    engine: Engine,
    actor: Actor,
    columns: Columns,
    *,
    part: Part,
    post_filter: PostFilter,
    page: int,
    page_size: int = 20,
    order: Order = Order.unsure,
) -> tuple[int, list[ScoredPost]]:
    """(how many posts the part holds, one page of them, from 1)."""
    seen = view(engine, actor, columns, post_filter)
    found = positions_in(columns.proba, part, chosen=seen.is_chosen)
    keys = values(columns.proba[:, found], Quantity.margin) if order is not Order.newest else -found
    last = page * page_size
    shown = found[lowest(-keys if order is Order.sure else keys, last)][last - page_size : last]
    with read(engine) as conn:
        return len(found), _posts_at(conn, seen, shown)


def _posts_at(conn: Connection, seen: View, positions: Positions) -> list[ScoredPost]:
    """In that order; left out is what is gone since the columns were made."""
    columns = seen.columns
    ids = columns.posts.post_ids[positions].tolist()
    there = posts.posts_by_id(conn, ids)
    proba = columns.proba[:, positions]
    rows = zip(
        ids,
        proba.T.tolist(),
        predicted_labels(proba).tolist(),
        seen.labels[positions].tolist(),
        seen.portions[positions].tolist(),
        strict=True,
    )
    return [
        ScoredPost(
            post_id,
            there[post_id].pid,
            there[post_id].text,
            (said[0], said[1], said[2]),
            Label(predicted),
            None if label == UNDECIDED else Label(label),
            Portion(portion),
        )
        for post_id, said, predicted, label, portion in rows
        if post_id in there
    ]


# --- leaving the program ----------------------------------------------------------------------------------------------

_COUNTED = (Column("posts", CellKind.whole),)


def export_posts(
    engine: Engine, actor: Actor, columns: Columns, *, part: Part, post_filter: PostFilter, now: datetime
) -> Sheet:
    """Every post behind the part, in order of id, with what the version says; it is on record that it leaves."""
    require(actor, Permission.export)
    seen = view(engine, actor, columns, post_filter)
    found = positions_in(columns.proba, part, chosen=seen.is_chosen)
    _record(engine, actor, f"posts ({part_said(part)})", post_filter, now)
    names = (
        Column("post", CellKind.whole), Column("pid"), Column("side"), Column("predicted"),
        *(Column(f"p_{label.name}", CellKind.number) for label in Label), Column("label"), Column("portion"),
        Column("text"),
    )  # fmt: skip
    return Sheet(names, _post_rows(engine, seen, found))


def _post_rows(engine: Engine, seen: View, found: Positions) -> Iterator[Batch]:
    sides = seen.columns.posts.sides
    for start in range(0, len(found), STEP):
        some = found[start : start + STEP]
        with read(engine) as conn:
            listed = _posts_at(conn, seen, some)
        places = dict(zip(seen.columns.posts.post_ids[some].tolist(), sides[some].tolist(), strict=True))
        yield [
            (
                each.post_id, each.pid, SIDES[places[each.post_id]].name, each.predicted.name, *each.probabilities,
                None if each.label is None else each.label.name, each.portion.name, each.text,
            )
            for each in listed
        ]  # fmt: skip


def export_bars(
    engine: Engine, actor: Actor, columns: Columns, *, of: Quantity, post_filter: PostFilter, now: datetime
) -> Sheet:
    """The table behind the bars: a row for each bin, predicted label and portion that has posts."""
    require(actor, Permission.export)
    found = look(engine, actor, columns, of=of, post_filter=post_filter)
    _record(engine, actor, f"distribution of {of}", post_filter, now)
    names = (Column("from", CellKind.number), Column("to", CellKind.number), Column("predicted"), Column("portion"))
    edges = of.edges()
    rows: list[Row] = [
        (
            edges[bin_],
            edges[bin_ + 1],
            Label(label).name,
            Portion(portion).name,
            int(found.counts[bin_, label, portion]),
        )
        for bin_, label, portion in np.argwhere(found.counts).tolist()
    ]
    return Sheet((*names, *_COUNTED), iter([rows]))


def export_cells(engine: Engine, actor: Actor, columns: Columns, *, post_filter: PostFilter, now: datetime) -> Sheet:
    """The table behind the triangle: a row for each cell that has posts, by its middle."""
    require(actor, Permission.export)
    found = look(engine, actor, columns, of=Quantity.confidence, post_filter=post_filter)
    _record(engine, actor, "three probabilities", post_filter, now)
    names = tuple(Column(f"p_{label.name}", CellKind.number) for label in Label)
    rows: list[Row] = [
        (*middle_of_cell(across, up), int(found.cells[across, up])) for across, up in np.argwhere(found.cells).tolist()
    ]
    return Sheet((*names, *_COUNTED), iter([rows]))


def middle_of_cell(across: int, up: int) -> tuple[float, float, float]:
    """The three probabilities there, in Label order, rounded; cells at the edge have theirs beside the triangle."""
    violation = (up + 0.5) / UP
    suspicious = (across + 0.5) / ACROSS - violation / 2
    return round(1 - suspicious - violation, 3), round(suspicious, 3), round(violation, 3)


def _record(engine: Engine, actor: Actor, what: str, post_filter: PostFilter, now: datetime) -> None:
    asked = post_filter.to_query()
    if "author" in asked:
        asked["author"] = ["…"]  # not whom: the log outlives what is forgotten
    narrowed = ", ".join(f"{name} {'|'.join(said)}" for name, said in asked.items())
    auditing.record_export(engine, actor, f"{what}; {narrowed}" if narrowed else what, now=now)
