"""The list of hit words: what each is worth, which could go, and which pieces of text it lacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from core.domain import Actor, Label
from core.hit_words import WordFigures, word_figures
from core.permissions import Permission, require
from core.post_filter import PostFilter
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


def list_words(engine: Engine, actor: Actor, columns: Columns) -> list[WordFigures]:
    """Those with the most posts first."""
    require(actor, Permission.look)
    return word_figures(columns.posts, columns.proba, view(engine, actor, columns, PostFilter()).labels)


def lacking_pieces(engine: Engine, actor: Actor, columns: Columns) -> Lacking:
    """Pieces that tell violations from other posts and that no hit word holds.

    From texts that people decided, and those that the version is sure of, drawn by chance where there are many.
    """
    require(actor, Permission.look)
    labels = view(engine, actor, columns, PostFilter()).labels
    is_decided, sure = labels >= 0, columns.proba >= SURE
    bad = np.where(is_decided, labels == Label.violation, sure[Label.violation])
    good = np.where(is_decided, labels == Label.normal, sure[Label.normal])
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


def words_sheet(found: list[WordFigures]) -> Sheet:
    whole, number = CellKind.whole, CellKind.number
    columns = (
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
    return Sheet(columns, iter([rows]))


def pieces_sheet(found: tuple[TellingPiece, ...]) -> Sheet:
    columns = (
        Column("piece"), Column("violations", CellKind.whole), Column("others", CellKind.whole),
        Column("z", CellKind.number),
    )  # fmt: skip
    return Sheet(columns, iter([[(each.piece, each.violations, each.others, each.z) for each in found]]))
