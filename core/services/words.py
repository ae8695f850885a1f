"""The record of hit words: what share of the posts that have one were violations. Counted aside, never for a press."""

from __future__ import annotations

import time

from sqlalchemy import Engine

from core.domain import WordRecord
from db import words
from db.engine import read

LOOK_EVERY_S = 5.0
SHARE_OF_TIME = 0.02  # that counting may take: over hundreds of thousands of decisions it lasts a second


class WordRecords:
    """The records as they were counted last; one of these serves a whole process."""

    def __init__(self) -> None:
        self._records: dict[str, WordRecord] = {}
        self._state: tuple[int, int, int] | None = None

    def of(self, word: str) -> WordRecord | None:
        """None where no post with the word is decided yet."""
        return self._records.get(word)

    def refresh(self, engine: Engine) -> float:
        """Count again if something was decided since; returns after how many seconds to come back."""
        begun = time.monotonic()
        with read(engine) as conn:
            state = words.state(conn)
            if state != self._state:
                self._records, self._state = words.records(conn), state
        return max(LOOK_EVERY_S, (time.monotonic() - begun) / SHARE_OF_TIME)
