"""Sweeping: texts that nothing refers to any more."""

from __future__ import annotations

from sqlalchemy import Engine

from db import texts
from db.engine import in_turns, read

TEXTS_PER_SWEEP = 5_000


def sweep_unused_texts(engine: Engine, *, after: int = 0) -> None:
    """Remove texts that no post and no decision refers to any more, some at a time.

    Twice: a representative goes when the other texts of its family are gone.
    """
    for _ in range(2):
        last: int | None = after
        while last is not None:
            with read(engine) as conn:
                unused, end = texts.find_unused(conn, after=last, limit=TEXTS_PER_SWEEP)
            if unused:  # mostly there are none, and looking for them must keep nobody from writing
                with in_turns(engine) as conn:
                    unused, end = texts.find_unused(conn, after=last, limit=TEXTS_PER_SWEEP)
                    texts.remove(conn, unused)
            last = end
