"""Token ids of texts on disk: each text is tokenised once for a tokenizer, however many versions read it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.integer]

KEYS, ENDS = "keys", "ends"  # uint64 each: whose ids, and where in the file of ids they end


class TokenCache:
    """Three files that are only ever appended to, ids first and keys last: what a killed process left half is dropped.

    A text is known by the first 64 bits of its hash. An id takes two bytes, four in a vocabulary beyond 65,536.
    """

    def __init__(self, folder: Path, *, vocabulary: int) -> None:
        """folder: named after the tokenizer and the length that it cuts at; others beside it are removed."""
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        self._type: npt.DTypeLike = np.uint16 if vocabulary <= 1 << 16 else np.uint32
        self._ids_path = folder / f"ids-{np.dtype(self._type).itemsize * 8}"
        self._paths = {name: folder / name for name in (KEYS, ENDS)}
        keys, ends = (_numbers_in(path) for path in self._paths.values())
        there = self._ids_path.stat().st_size // np.dtype(self._type).itemsize if self._ids_path.exists() else 0
        whole = min(len(keys), int(np.searchsorted(ends, there, side="right")))
        self._cut(whole, int(ends[whole - 1]) if whole else 0)
        self._ends = ends[:whole]
        self._order = np.argsort(keys[:whole], kind="stable")
        self._sorted = keys[:whole][self._order]

    def _cut(self, rows: int, ids: int) -> None:
        """Drop what was written of a batch that is not whole."""
        for path, size in (
            *((path, rows * 8) for path in self._paths.values()),
            (self._ids_path, ids * np.dtype(self._type).itemsize),
        ):
            with path.open("ab") as file:
                file.truncate(size)

    def find(self, keys: npt.NDArray[np.uint64]) -> list[Ids | None]:
        """The ids of each text that was known when the cache was opened; None for others."""
        if not len(self._sorted):
            return [None] * len(keys)
        places = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        is_known = self._sorted[places] == keys
        rows = self._order[places]
        begins = np.where(rows > 0, self._ends[rows - 1], 0)
        stored = np.memmap(self._ids_path, dtype=self._type, mode="r")
        return [
            np.array(stored[begin:end]) if known else None
            for known, begin, end in zip(is_known, begins.tolist(), self._ends[rows].tolist(), strict=True)
        ]

    def add(self, keys: npt.NDArray[np.uint64], encoded: Sequence[Sequence[int]]) -> list[Ids]:
        """Append the ids of texts; returns them as they are stored. To be found by the next process that opens it."""
        lengths = np.fromiter(map(len, encoded), dtype=np.uint64, count=len(encoded))
        flat = np.fromiter((one for ids in encoded for one in ids), dtype=self._type, count=int(lengths.sum()))
        begun = self._ids_path.stat().st_size // flat.itemsize
        ends = lengths.cumsum() + np.uint64(begun)
        for path, values in ((self._ids_path, flat), (self._paths[ENDS], ends), (self._paths[KEYS], keys)):
            with path.open("ab") as file:
                file.write(values.tobytes())
        return np.split(flat, lengths.cumsum()[:-1].astype(np.int64)) if len(encoded) else []


def key_of(text_hash: str) -> int:
    return int(text_hash[:16], 16)


def _numbers_in(path: Path) -> npt.NDArray[np.uint64]:
    return np.fromfile(path, dtype=np.uint64) if path.exists() else np.empty(0, dtype=np.uint64)
