"""MinHash on character 2-grams: forms that are much alike agree in some of their 32 bands.

Two forms of Jaccard similarity j agree in a band with probability j^4: at 0.7 in about 8 of 32, at 0.1 in none.
Bands are stored, so they must come out the same for ever: everything here is integer arithmetic on constants that
follow from one name. That, and speed on short texts, is why it is numpy and no library: those hash one text at a
time through sets of tokens, and none promises its digests to the next version.
MinHash: Broder 1997; bands: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

N_BANDS, ROWS = 32, 4
MIN_LENGTH = 8  # characters; below, one edit changes too much of a form to tell it from another

Bands = npt.NDArray[np.uint32]  # (n_forms, N_BANDS)

_CHARACTERS_AT_ONCE = 64_000  # more leave the processor's cache: half the speed


def _constants(count: int, *, name: bytes) -> npt.NDArray[np.uint32]:
    """So many numbers that follow from the name alone (splitmix64; numpy's generators may change)."""
    state = int.from_bytes(hashlib.sha256(name).digest()[:8], "little")
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) % 2**64
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) % 2**64
        numbers.append((mixed ^ mixed >> 31) >> 32)
    return np.array(numbers, dtype=np.uint32)


_MULTIPLIERS = _constants(N_BANDS * ROWS, name=b"tiebreak minhash multipliers") | np.uint32(1)  # odd: a permutation
_OFFSETS = _constants(N_BANDS * ROWS, name=b"tiebreak minhash offsets")


def bands_of(forms: Sequence[str]) -> Bands:
    """Return the 32 band keys of each form, (n_forms, 32).

    Raises ValueError for a form of fewer than 8 characters.
    """
    bands = np.empty((len(forms), N_BANDS), dtype=np.uint32)
    for block in _blocks(forms):
        bands[block] = _bands_of_block(forms[block])
    return bands


def _blocks(forms: Sequence[str]) -> Iterator[slice]:
    """Slices of about so many characters, at least one form each."""
    start = characters = 0
    for position, form in enumerate(forms):
        if len(form) < MIN_LENGTH:
            raise ValueError(f"a form of {len(form)} characters has no bands; {MIN_LENGTH} are needed")
        if characters and characters + len(form) > _CHARACTERS_AT_ONCE:
            yield slice(start, position)
            start, characters = position, 0
        characters += len(form)
    if characters:
        yield slice(start, len(forms))


def _bands_of_block(forms: Sequence[str]) -> Bands:
    pairs, starts = _pairs(forms)
    bands = np.empty((N_BANDS, len(forms)), dtype=np.uint32)
    permuted = np.empty_like(pairs)
    for band in range(N_BANDS):
        key = np.zeros(len(forms), dtype=np.uint32)
        for place in range(band * ROWS, (band + 1) * ROWS):
            np.multiply(pairs, _MULTIPLIERS[place], out=permuted)
            np.add(permuted, _OFFSETS[place], out=permuted)
            key = _mixed(key ^ np.minimum.reduceat(permuted, starts))
        bands[band] = key
    return bands.T


def _pairs(forms: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
    """Character 2-grams of all forms in a row as mixed numbers, and where each form's begin.

    No form is without any (MIN_LENGTH): reduceat has no answer for an empty stretch.
    """
    codes = np.frombuffer("".join(forms).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
    ends = np.cumsum(np.fromiter(map(len, forms), dtype=np.intp, count=len(forms)))
    is_within = np.ones(len(codes) - 1, dtype=np.bool_)
    is_within[ends[:-1] - 1] = False  # from the end of one form to the beginning of the next
    pairs = _mixed(_mixed(codes[:-1]) + codes[1:])[is_within]
    starts = np.concatenate(([0], ends[:-1] - np.arange(1, len(forms))))
    return pairs, starts


def _mixed(numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """MurmurHash3's finalizer: one to one, every bit depends on every other; 0 is moved first, for it maps to 0."""
    mixed = numbers + np.uint32(0x9E3779B9)
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed
