"""What changed: between two versions over the same posts, and by week of import within one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from sqlalchemy import Engine

from core.calibration import Ids
from core.columns import Selection
from core.comparison import Gap, gaps
from core.distributions import (
    Counts,
    Floats32,
    Quantity,
    Small,
    blocks,
    labels_in_blocks,
    lowest,
    values,
)
from core.domain import Actor, Label
from core.drift import (
    FEWEST,
    coarse,
    fine_bins,
    fine_counts,
    groups_of,
    kolmogorov_smirnov,
    population_stability,
    stability,
)
from core.errors import Conflict
from core.permissions import Permission, require
from core.post_filter import PostFilter
from core.services import auditing, trusting
from core.services.columns import Columns, View, view
from core.sheets import Batch, CellKind, Column, Row, Sheet
from core.wording import _
from db import columns as rows
from db import posts
from db.engine import read

STEP = 5_000  # posts that an export reads at once
SEED = 13  # of the intervals: the same comparison says the same each time it is looked at


@dataclass(frozen=True, slots=True)
class Change:
    """Of the chosen posts that both versions have scored. first, second: (BINS,) of the quantity.

    psi, ks: of the second beside the first; None for fewer posts than would make them honest. flips: (n_labels,
    n_labels), posts by predicted label, the first version's first.
    """

    of: Quantity
    posts: int
    first: Counts
    second: Counts
    psi: float | None
    ks: float | None
    flips: Counts


@dataclass(frozen=True, slots=True)
class FlippedPost:
    """change: half the sum of what the three probabilities changed by, 0 to 1."""

    post_id: int
    pid: str | None
    text: str
    was: tuple[float, float, float]
    now: tuple[float, float, float]
    change: float


@dataclass(frozen=True, slots=True)
class Week:
    """Posts of the imports of a week that the version has scored. shares: by predicted label. begins: a Monday, UTC.

    psi: beside all weeks together; None for fewer posts than would make it honest.
    """

    begins: date
    posts: int
    shares: tuple[float, float, float]
    psi: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Two versions on the judged texts that both have scored; gaps: by figure, the second above the first."""

    is_random: bool
    texts: int
    gaps: dict[str, Gap]


def _both(engine: Engine, actor: Actor, first: Columns, second: Columns, post_filter: PostFilter) -> View:
    """The view of posts that both have scored.

    The filter's predicted label is the second's. Raises Conflict where the two are not of the same posts.
    """
    seen = view(engine, actor, second, post_filter)
    if len(first.posts) != len(second.posts):
        raise Conflict(_("The posts have changed meanwhile; open the page again."))
    seen.is_chosen[:] &= ~(np.isnan(first.proba[0]) | np.isnan(second.proba[0]))
    return seen


def change(
    engine: Engine, actor: Actor, first: Columns, second: Columns, *, of: Quantity, post_filter: PostFilter
) -> Change:
    require(actor, Permission.look)
    seen = _both(engine, actor, first, second, post_filter)
    fine = [fine_counts(each.proba, quantity=of, chosen=seen.is_chosen) for each in (first, second)]
    count = int(seen.is_chosen.sum())
    is_enough = count >= FEWEST
    labels = [labels_in_blocks(each.proba) for each in (first, second)]
    cells = _pairs_of(labels[0], labels[1])[seen.is_chosen]
    return Change(
        of,
        count,
        coarse(fine[0]),
        coarse(fine[1]),
        population_stability(*fine) if is_enough else None,
        kolmogorov_smirnov(*fine) if is_enough else None,
        np.bincount(cells, minlength=len(Label) ** 2).reshape(len(Label), len(Label)),
    )


def _pairs_of(first: Small, second: Small) -> Small:
    return np.asarray(first * np.int8(len(Label)) + second)


def flipped_posts(
    engine: Engine,
    actor: Actor,
    first: Columns,
    second: Columns,
    *,
    was: Label,
    now: Label,
    post_filter: PostFilter,
    page: int,
    page_size: int = 20,
) -> tuple[int, list[FlippedPost]]:
    """(how many posts the first version took for one label and the second takes for the other, one page from 1).

    Those that changed most come first.
    """
    require(actor, Permission.look)
    found = _flipped(engine, actor, first, second, was, now, post_filter)
    last = page * page_size
    shown = found[lowest(-_changes(first, second, found), last)][last - page_size : last]
    return len(found), _posts_at(engine, first, second, shown)


def _flipped(
    engine: Engine, actor: Actor, first: Columns, second: Columns, was: Label, now: Label, post_filter: PostFilter
) -> Ids:
    seen = _both(engine, actor, first, second, post_filter)
    is_it = (labels_in_blocks(first.proba) == was) & (labels_in_blocks(second.proba) == now)
    return np.flatnonzero(seen.is_chosen & is_it)


def _changes(first: Columns, second: Columns, positions: Ids) -> Floats32:
    gap = np.abs(first.proba[:, positions] - second.proba[:, positions])
    return np.asarray(gap.sum(axis=0) / 2)


def _posts_at(engine: Engine, first: Columns, second: Columns, positions: Ids) -> list[FlippedPost]:
    ids = second.posts.post_ids[positions].tolist()
    with read(engine) as conn:
        there = posts.posts_by_id(conn, ids)
    said = zip(
        ids,
        first.proba[:, positions].T.tolist(),
        second.proba[:, positions].T.tolist(),
        _changes(first, second, positions).tolist(),
        strict=True,
    )
    return [
        FlippedPost(
            post_id,
            there[post_id].pid,
            there[post_id].text,
            (was[0], was[1], was[2]),
            (now[0], now[1], now[2]),
            changed,
        )
        for post_id, was, now, changed in said
        if post_id in there
    ]


def weeks(engine: Engine, actor: Actor, columns: Columns, *, of: Quantity, post_filter: PostFilter) -> list[Week]:
    """Weeks in which imports brought posts that are chosen and scored, in order."""
    require(actor, Permission.look)
    seen = view(engine, actor, columns, post_filter)
    with read(engine) as conn:
        mondays = {run: day - timedelta(days=day.weekday()) for run, day in rows.days_of_imports(conn).items()}
    chosen = seen.is_chosen & ~np.isnan(columns.proba[0])
    if not chosen.any():
        return []
    listed = sorted(set(mondays.values()))
    number = np.zeros(max(mondays) + 1, dtype=np.int64)
    for run, monday in mondays.items():
        number[run] = listed.index(monday)
    by_group, by_label = _by_week(columns, number, len(listed), of, chosen)
    whole = by_group.sum(axis=0)
    return [
        Week(
            monday,
            int(labels.sum()),
            (*(labels / labels.sum()).tolist(),),
            stability(whole, groups) if labels.sum() >= FEWEST else None,
        )
        for monday, groups, labels in zip(listed, by_group, by_label, strict=True)
        if labels.sum()
    ]


def _by_week(columns: Columns, number: Ids, count: int, of: Quantity, chosen: Selection) -> tuple[Counts, Counts]:
    """((n_weeks, n_groups), (n_weeks, n_labels)) of posts. number: of the week by import."""
    groups = groups_of(fine_counts(columns.proba, quantity=of, chosen=chosen))
    n_groups, n_labels = int(groups.max()) + 1, len(Label)
    by_group, by_label = np.zeros(count * n_groups, dtype=np.int64), np.zeros(count * n_labels, dtype=np.int64)
    labels = labels_in_blocks(columns.proba)
    for block in blocks(len(chosen)):
        kept = np.flatnonzero(chosen[block])
        week = number[columns.posts.imports[block][kept]]
        found = groups[fine_bins(values(columns.proba[:, block][:, kept], of), of)]
        by_group += np.bincount(week * n_groups + found, minlength=len(by_group))
        by_label += np.bincount(week * n_labels + labels[block][kept], minlength=len(by_label))
    return by_group.reshape(count, n_groups), by_label.reshape(count, n_labels)


def compare_judged(engine: Engine, actor: Actor, first: Columns, second: Columns) -> Judged:
    """On the texts that both are measured on; no gaps for fewer than would make them honest."""
    require(actor, Permission.look)
    ours, theirs = trusting.trust_both(engine, actor, first, second)
    common, mine, its = np.intersect1d(ours.post_ids, theirs.post_ids, return_indices=True)
    found = (
        gaps(
            ours.truth[mine],
            ours.said[mine],
            theirs.said[its],
            families=np.arange(len(common)),
            sizes=ours.sizes[mine],
            rng=np.random.default_rng(SEED),
        )
        if len(common) >= FEWEST
        else {}
    )
    return Judged(ours.is_random and theirs.is_random, len(common), found)


# --- leaving the program ----------------------------------------------------------------------------------------------


def export_change(
    engine: Engine,
    actor: Actor,
    first: Columns,
    second: Columns,
    *,
    of: Quantity,
    post_filter: PostFilter,
    now: datetime,
) -> Sheet:
    """The table behind the two distributions."""
    require(actor, Permission.export)
    found = change(engine, actor, first, second, of=of, post_filter=post_filter)
    auditing.record_export(engine, actor, f"change of {of}", now=now)
    names = (
        *(Column(name, CellKind.number) for name in ("from", "to")),
        *(Column(name, CellKind.whole) for name in ("posts_first", "posts_second")),
    )
    edges = of.edges()
    counted = zip(edges, edges[1:], found.first.tolist(), found.second.tolist(), strict=False)
    return Sheet(names, iter([list(counted)]))


def export_flips(
    engine: Engine, actor: Actor, first: Columns, second: Columns, *, post_filter: PostFilter, now: datetime
) -> Sheet:
    """Every post whose predicted label is another one by the second version, in order of id."""
    require(actor, Permission.export)
    seen = _both(engine, actor, first, second, post_filter)
    labels = [labels_in_blocks(each.proba) for each in (first, second)]
    flipped = np.flatnonzero(seen.is_chosen & (labels[0] != labels[1]))
    auditing.record_export(engine, actor, "posts whose predicted label changed", now=now)
    names = (
        Column("post", CellKind.whole), Column("pid"), Column("was"), Column("now"), Column("change", CellKind.number),
        *(Column(f"{when}_p_{label.name}", CellKind.number) for when in ("was", "now") for label in Label),
        Column("text"),
    )  # fmt: skip
    return Sheet(names, _flip_rows(engine, first, second, flipped))


def _flip_rows(engine: Engine, first: Columns, second: Columns, flipped: Ids) -> Iterator[Batch]:
    for start in range(0, len(flipped), STEP):
        some: list[Row] = [
            (
                each.post_id, each.pid, Label(int(np.argmax(each.was))).name, Label(int(np.argmax(each.now))).name,
                each.change, *each.was, *each.now, each.text,
            )
            for each in _posts_at(engine, first, second, flipped[start : start + STEP])
        ]  # fmt: skip
        yield some


def export_weeks(
    engine: Engine, actor: Actor, columns: Columns, *, of: Quantity, post_filter: PostFilter, now: datetime
) -> Sheet:
    """The table behind the weeks."""
    require(actor, Permission.export)
    found = weeks(engine, actor, columns, of=of, post_filter=post_filter)
    auditing.record_export(engine, actor, f"weeks of {of}", now=now)
    names = (
        Column("week"), Column("posts", CellKind.whole), *(Column(label.name, CellKind.number) for label in Label),
        Column("psi"),
    )  # fmt: skip
    listed: list[Row] = [
        (week.begins.isoformat(), week.posts, *week.shares, None if week.psi is None else f"{week.psi:.4f}")
        for week in found
    ]
    return Sheet(names, iter([listed] if listed else []))
