"""The list of hit words: what each is worth, which could go, and which pieces of text it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from core.domain import Actor, Label
from core.hit_words import WordFigures, word_figures
from core.permissions import Permission, require
from core.post_filter import PostFilter
from core.services import auditing
from core.services.columns import Columns, view
from core.sheets import CellKind, Column, Row, Sheet
from core.telling import ENOUGH, TellingPiece, telling_pieces
from db import families
from db.engine import read

Ids = npt.NDArray[np.int64]

SURE = 0.9  # probability from which on what the version says counts beside what people said
MOST_VIOLATIONS, MOST_OTHERS = 2_000, 4_000  # texts that are read: more say hardly more, and take seconds
SEED = 23


@dataclass(frozen=True, slots=True)
class Lacking:
    """violations, others: texts that were compared, one of each family; decided: of both, by people."""

    pieces: tuple[TellingPiece, ...]
    violations: int
    others: int
    decided: int

    @property
    def is_enough(self) -> bool:
        return min(self.violations, self.others) >= ENOUGH


def list_words(engine: Engine, actor: Actor, columns: Columns, post_filter: PostFilter) -> list[WordFigures]:
    """Of the posts that the filter leaves; words with the most of them first."""
    require(actor, Permission.look)
    seen = view(engine, actor, columns, post_filter)
    return word_figures(columns.posts, columns.proba, seen.labels, seen.is_chosen)


def lacking_pieces(engine: Engine, actor: Actor, columns: Columns, post_filter: PostFilter) -> Lacking:
    """Pieces that tell violations from other posts and that no hit word holds.

    From texts that people decided, and those that the version is sure of, drawn by chance where there are many; all of
    posts that the filter leaves.
    """
    require(actor, Permission.look)
    seen = view(engine, actor, columns, post_filter)
    labels = seen.labels
    is_decided, sure = labels >= 0, columns.proba >= SURE
    bad = seen.is_chosen & np.where(is_decided, labels == Label.violation, sure[Label.violation])
    good = seen.is_chosen & np.where(is_decided, labels == Label.normal, sure[Label.normal])
    rng = np.random.default_rng(SEED)
    violations, others = _drawn(columns, bad, MOST_VIOLATIONS, rng), _drawn(columns, good, MOST_OTHERS, rng)
    with read(engine) as conn:
        texts = [
            list(families.bodies_of(conn, columns.posts.text_ids[chosen].tolist()).values())
            for chosen in (violations, others)
        ]
    found = telling_pieces(*texts, listed=columns.posts.words)
    decided = int(is_decided[violations].sum() + is_decided[others].sum())
    return Lacking(tuple(found), len(texts[0]), len(texts[1]), decided)


def _drawn(columns: Columns, wanted: npt.NDArray[np.bool_], most: int, rng: np.random.Generator) -> Ids:
    """Positions of one post for each family, at most so many."""
    positions = np.flatnonzero(wanted)
    _families, firsts = np.unique(columns.posts.families[positions], return_index=True)
    return np.asarray(positions[rng.permutation(firsts)[:most]])


# --- to take along ----------------------------------------------------------------------------------------------------


def export_words(engine: Engine, actor: Actor, columns: Columns, *, post_filter: PostFilter, now: datetime) -> Sheet:
    """A row for each word; it is on record."""
    require(actor, Permission.export)
    found = list_words(engine, actor, columns, post_filter)
    auditing.record_export(engine, actor, "hit words as csv", now=now)
    whole, number = CellKind.whole, CellKind.number
    names = (
        Column("word"), Column("posts", whole), Column("alone", whole), Column("decided", whole),
        Column("families", whole), Column("violations", whole), Column("low", number), Column("high", number),
        Column("expected", number), Column("verdict"),
    )  # fmt: skip
    rows: list[Row] = [
        (
            each.word, each.posts, each.alone, each.decided, each.families, each.violations, *each.interval,
            each.expected, each.worth.value,
        )
        for each in found
    ]  # fmt: skip
    return Sheet(names, iter([rows]))


def export_pieces(engine: Engine, actor: Actor, columns: Columns, *, post_filter: PostFilter, now: datetime) -> Sheet:
    """A row for each piece that the list lacks; it is on record."""
    require(actor, Permission.export)
    found = lacking_pieces(engine, actor, columns, post_filter).pieces
    auditing.record_export(engine, actor, "pieces that the hit words lack as csv", now=now)
    names = (
        Column("piece"), Column("violations", CellKind.whole), Column("others", CellKind.whole),
        Column("z", CellKind.number),
    )  # fmt: skip
    return Sheet(names, iter([[(each.piece, each.violations, each.others, each.z) for each in found]]))
