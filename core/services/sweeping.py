"""Sweeping: texts that nothing refers to any more."""

from __future__ import annotations

from sqlalchemy import Engine

from db import texts
from db.engine import write

TEXTS_PER_SWEEP = 5_000


def sweep_unused_texts(engine: Engine, *, after: int = 0) -> None:
    """Remove texts that no post and no decision refers to any more, some at a time.

    Twice: a representative goes when the other texts of its family are gone.
    """
    for _ in range(2):
        last: int | None = after
        while last is not None:
            with write(engine) as conn:
                last = texts.sweep_unused(conn, after=last, limit=TEXTS_PER_SWEEP)
