"""Freed memory that the C library keeps, and gives back when asked."""

from __future__ import annotations

import ctypes

import numpy as np
import psutil
import pytest

from core.learning import memory
from core.learning.memory import EVERY_S, Leftovers

PIECES, PIECE_BYTES = 2_000, 100_000  # less than what the C library asks the system for one by one


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps and gives back")
def test_freed_memory_between_what_is_kept_goes_back_to_the_system_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: clock[0])
    leftovers = Leftovers()
    pieces = [np.ones(PIECE_BYTES, dtype=np.int8) for _ in range(PIECES)]
    kept = pieces[::50]
    del pieces
    full = psutil.Process().memory_info().rss
    clock[0] += EVERY_S
    leftovers.give_back()
    assert psutil.Process().memory_info().rss > full - PIECES * PIECE_BYTES // 4, "not yet"
    clock[0] += 0.1
    leftovers.give_back()
    assert psutil.Process().memory_info().rss < full - PIECES * PIECE_BYTES // 2
    assert len(kept) == PIECES // 50
