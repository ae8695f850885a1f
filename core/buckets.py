"""Buckets: which forms share a band with which representatives, without comparing each with each.

A bucket is one key in one band. Sorted arrays stand here instead of dictionaries: of 200,000 forms there are
6.4 million keys, nearly all of them met once and of no use.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from core.minhash import N_BANDS, Bands

MAX_HOLDERS = 16  # of one bucket, the first ones: where a template has very many near-copies, its first will do

Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Shared = tuple[int, int]  # (number of bands, whose)


class Buckets:
    """The buckets of some forms that more than one of them, or a known representative, may stand in.

    The first to come hold a bucket: known representatives, in the order given, then those of the forms themselves
    that are added. Positions are relative to the bands given first.
    """

    def __init__(self, bands: Bands, *, known: Iterable[tuple[Ids, Bands]]) -> None:
        """known: representatives in pieces of any size, (ids, bands)."""
        numbers, keys, room = _number(bands)
        held, self._known, self._known_ids = _known_holders(keys, known)
        del keys  # done in place and let go, here and below: each is as large as the bands, or nearly
        is_met = room > 1
        is_met[held] = True
        room = room[is_met]
        place = np.cumsum(is_met, dtype=np.int32)
        place -= 1
        for column in numbers.T:
            column[:] = np.where(is_met[column], place[column], np.int32(-1))
        self._numbers = numbers  # (n_forms, N_BANDS), -1 where nobody else stands
        counts = np.bincount(place[held], minlength=len(room))
        del place, is_met, held
        self._known_starts = np.concatenate(([0], np.cumsum(counts)))
        room = np.minimum(room, MAX_HOLDERS - counts)
        self._starts = array("q", np.concatenate(([0], np.cumsum(room, dtype=np.int64))).tobytes())
        self._ends = self._starts[:-1]
        self._holders = array("i", bytes(4 * self._starts[-1]))

    def known_sharing(self, block: slice, *, at_least: int) -> dict[int, list[Shared]]:
        """(bands shared, id) of the known representatives that share so many bands, by position in the block."""
        numbers = self._numbers[block]
        rows, columns = np.nonzero(numbers >= 0)
        met = numbers[rows, columns]
        starts, counts = self._known_starts[met], self._known_starts[met + 1] - self._known_starts[met]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        holders = self._known[np.repeat(starts, counts) + within]
        pairs, times = np.unique(np.repeat(rows, counts) * len(self._known_ids) + holders, return_counts=True)
        pairs, times = pairs[times >= at_least], times[times >= at_least]
        found: dict[int, list[Shared]] = {}
        for pair, count in zip(pairs.tolist(), times.tolist(), strict=True):
            row, holder = divmod(pair, len(self._known_ids))
            found.setdefault(block.start + row, []).append((count, int(self._known_ids[holder])))
        return found

    def numbers_of(self, block: slice) -> Iterator[Sequence[int]]:
        """The buckets of each position in the block."""
        numbers = self._numbers[block]
        is_met = numbers >= 0
        ends = np.cumsum(is_met.sum(axis=1)).tolist()
        met = numbers[is_met].tolist()
        return (met[start:end] for start, end in pairwise([0, *ends]))

    def sharing(self, numbers: Sequence[int], *, at_least: int) -> list[Shared]:
        """(bands shared, position) of the added forms that hold so many of these buckets."""
        met: list[int] = []
        for number in numbers:
            start, end = self._starts[number], self._ends[number]
            if start < end:
                met += self._holders[start:end]
        if at_least > 1 and len(set(met)) == len(met):
            return []  # so it is with most, and a set is built faster than a count
        return [(count, holder) for holder, count in Counter(met).items() if count >= at_least]

    def add(self, position: int, numbers: Sequence[int]) -> None:
        """Let the form at a position hold its buckets, where there is room."""
        for number in numbers:
            end = self._ends[number]
            if end < self._starts[number + 1]:
                self._holders[end] = position
                self._ends[number] = end + 1


def _number(bands: Bands) -> tuple[Numbers, list[npt.NDArray[np.uint32]], npt.NDArray[np.uint8]]:
    """Number the buckets across bands.

    Returns numbers by form and band, the sorted keys of each band, and room in each bucket: for all of its forms,
    for MAX_HOLDERS at most.
    """
    numbers = np.empty(bands.shape, dtype=np.int32)
    keys, sizes = [], []
    first = 0
    for band in range(N_BANDS):
        # Key and position in one word: sorting words is several times faster than sorting positions by key.
        words = bands[:, band].astype(np.uint64) << np.uint64(32) | np.arange(len(bands), dtype=np.uint64)
        words.sort()
        band_keys = (words >> np.uint64(32)).astype(np.uint32)
        is_next = np.concatenate(([False], band_keys[1:] != band_keys[:-1]))[: len(bands)]
        places = np.cumsum(is_next, dtype=np.int32)
        numbers[(words & np.uint64(0xFFFFFFFF)).astype(np.intp), band] = first + places
        sizes.append(np.minimum(np.bincount(places), MAX_HOLDERS).astype(np.uint8))
        keys.append(band_keys[np.concatenate(([True], is_next[1:]))[: len(bands)]])
        first += len(keys[-1])
    return numbers, keys, np.concatenate(sizes)


def _known_holders(
    keys: Sequence[npt.NDArray[np.uint32]], known: Iterable[tuple[Ids, Bands]]
) -> tuple[Numbers, Numbers, Ids]:
    """Buckets that known representatives hold, in order, and for each which one holds it; and the ids of all.

    A bucket has as many holders as may be, the first in the order given.
    """
    filters = [_Filter(band_keys) for band_keys in keys]
    firsts = np.cumsum([0, *map(len, keys)])
    taken = np.zeros(firsts[-1], dtype=np.uint8)  # places in each bucket
    words = array("Q")  # bucket and number of the holder in one word, to be sorted in place
    holder_ids, count = [np.empty(0, dtype=np.int64)], 0
    for ids, bands in known:
        for band, of_band in enumerate(np.ascontiguousarray(bands.T)):
            likely = filters[band].likely(of_band)
            places = np.searchsorted(keys[band], of_band[likely])
            is_met = keys[band][places % max(1, len(keys[band]))] == of_band[likely]
            words.frombytes(_admitted(firsts[band] + places[is_met], likely[is_met] + count, taken).tobytes())
        holder_ids.append(ids)
        count += len(ids)
    by_bucket = np.frombuffer(words, dtype=np.uint64) if words else np.empty(0, dtype=np.uint64)
    by_bucket.sort()
    buckets = (by_bucket >> np.uint64(32)).astype(np.int32)
    return buckets, (by_bucket & np.uint64(0xFFFFFFFF)).astype(np.int32), np.concatenate(holder_ids)


def _admitted(
    buckets: npt.NDArray[np.int64], holders: npt.NDArray[np.int64], taken: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint64]:
    """Bucket and holder in one word for those that find a place, the first to come first; marks the places taken."""
    words = buckets.astype(np.uint64) << np.uint64(32) | holders.astype(np.uint64)
    words.sort()
    buckets = (words >> np.uint64(32)).astype(np.int64)
    met, starts, counts = np.unique(buckets, return_index=True, return_counts=True)
    turns = np.arange(len(words)) - np.repeat(starts, counts) + taken[buckets]
    taken[met] = np.minimum(taken[met] + counts, MAX_HOLDERS)
    return words[turns < MAX_HOLDERS]


class _Filter:
    """Says of most keys that are not among some that they are not (one hash, Bloom 1970).

    Looking a million keys up by bisection takes most of a second, and there are 32 bands.
    """

    def __init__(self, keys: npt.NDArray[np.uint32]) -> None:
        size = 1 << max(10, (16 * len(keys)).bit_length())
        self._mask = np.uint32(size - 1)
        is_taken = np.zeros(size, dtype=np.bool_)
        is_taken[keys & self._mask] = True
        self._bits = np.packbits(is_taken, bitorder="little")

    def likely(self, keys: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        """Positions of the keys that may be among them."""
        low = keys & self._mask
        return np.flatnonzero(self._bits[low >> np.uint32(3)] >> (low & np.uint32(7)).astype(np.uint8) & np.uint8(1))
