"""Families of near-copies: the form that they are recognised by, and which family a text belongs to.

A family is known by the id of its representative, the first text of it. A text belongs where its form is the same as
another's, or at least 0.7 similar to the form of a representative (Jaccard, character 2-grams). Only the representative
counts: in a chain of small changes the last text is no copy of the first.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.buckets import Buckets, Ids, Shared
from core.lookalikes import PlainCharacters
from core.minhash import MIN_LENGTH, N_BANDS, Bands, bands_of
from core.text import EMOTICON

MIN_JACCARD = 0.7
MIN_SHARED_BANDS = 2  # at a similarity of 0.7 all but 0.2 % share as many, at 0.1 five in a million
MAX_LENGTH = 10_000  # characters; a longer form joins exact copies only, for what comparing it would cost
MAX_COMPARED = 16  # representatives with one text, those first that share the most bands
MAX_REMEMBERED = 200_000  # 2-grams: some 20 MB
POSITIONS_AT_ONCE = 1_000
EXACT_ONLY = "="  # stands before forms that join exact copies only; a form has no punctuation otherwise

FormsOf = Callable[[Sequence[int]], Sequence[str]]  # the forms of these ids, in their order
NO_BANDS = bytes(N_BANDS * 4)

_PLAIN = PlainCharacters()
_NUMERALS = "〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺"
# 一 and 三 are words as well: they are digits where four stand together, or as part of what is as long as a number to
# call. How many digits there are says nothing: a phone number replaced by one of another network is the same template.
# Both expressions begin with one class of characters, which the engine then looks for several times faster.
_NUMBER = re.compile(
    f"[0-9{_NUMERALS}](?:[0-9{_NUMERALS}]{{6,}}|(?:(?<=[0-9])|[{_NUMERALS}]{{3,}})(?:[0-9]|[{_NUMERALS}]{{4,}})*)"
)
_LEET = re.compile("[013457oil](?:(?<=[a-z][013457])(?=[a-z])|(?<=[0-9][oil])(?=[0-9]))")
_READ_AS = dict(zip("013457oil", "oieast011", strict=True))


def family_form(text: str) -> str:
    """Return the form by which near-copies of a text are recognised.

    text: what the model reads, without markup.
    Width, case, accents, traditional characters, look-alikes, blanks, punctuation, symbols and emoticons make no
    difference, and a number is 0 whatever it says. Links count by what the model reads of them, the host.
    What is left of fewer than 8 characters then keeps its digits and begins with EXACT_ONLY, for without its numbers
    it would say too little; so does a form of more than 10,000. A text of punctuation alone stays as it is.
    """
    plain = text.replace(EMOTICON, "").translate(_PLAIN)
    read = _LEET.sub(lambda found: _READ_AS[found[0]], plain)
    form = _NUMBER.sub("0", read)
    if MIN_LENGTH <= len(form) <= MAX_LENGTH:
        return form
    return EXACT_ONLY + (read or "".join(text.split()))


def is_exact_only(form: str) -> bool:
    return form.startswith(EXACT_ONLY)


def keys_of(forms: Sequence[str]) -> Ids:
    """Return 64 bits of each form by which equal ones are found, signed as databases have them, (n_forms,)."""
    digests = (hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=8).digest() for form in forms)
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def jaccard(a: str, b: str) -> float:
    """Return how much alike two forms are: what they share of their character 2-grams; equal ones are 1.0."""
    return _jaccard(_pairs_of(a), _pairs_of(b)) if a != b else 1.0


def _pairs_of(form: str) -> frozenset[str]:
    return frozenset(map(str.__add__, form, form[1:]))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0


class Mark(NamedTuple):
    """What near-copies of a text are found by, as it is stored.

    key: 64 bits of its form. bands: 32 little-endian uint32, None for a form that exact copies alone may join.
    """

    key: int
    bands: bytes | None


def marks_of(forms: Sequence[str]) -> list[Mark]:
    """Return the mark of each form; of many at once, for that is several times faster."""
    keys = keys_of(forms).tolist()
    open_ones = [position for position, form in enumerate(forms) if not is_exact_only(form)]
    banded = bands_of([forms[position] for position in open_ones]).astype("<u4")
    bands: dict[int, bytes] = {position: row.tobytes() for position, row in zip(open_ones, banded, strict=True)}
    return [Mark(key, bands.get(position)) for position, key in enumerate(keys)]


@dataclass(frozen=True, slots=True)
class NewTexts:
    """Texts to be matched, by ascending id: (n,), and bands (n, 32). is_open: not only exact copies may join."""

    ids: Ids
    keys: Ids
    bands: Bands
    is_open: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Iterable[tuple[int, Mark]]) -> NewTexts:
        """texts: (id, mark), read one by one into what is much smaller. Raises ValueError where ids do not ascend."""
        ids, keys, bands, is_open = array("q"), array("q"), bytearray(), bytearray()
        for text_id, mark in texts:
            ids.append(text_id)
            keys.append(mark.key)
            bands += mark.bands or NO_BANDS
            is_open.append(mark.bands is not None)
        found = np.array(ids, dtype=np.int64)
        if (np.diff(found) <= 0).any():
            raise ValueError("the ids of new texts do not ascend")
        return cls(
            found,
            np.array(keys, dtype=np.int64),
            np.frombuffer(bands, dtype="<u4").astype(np.uint32, copy=False).reshape(len(found), N_BANDS),
            np.array(is_open, dtype=np.bool_),
        )

    def __getitem__(self, which: npt.NDArray[np.bool_]) -> NewTexts:
        return NewTexts(self.ids[which], self.keys[which], self.bands[which], self.is_open[which])


@dataclass(frozen=True, slots=True)
class Placed:
    """Texts that have a family: the key of each one's form, and its family, both (n_texts,)."""

    keys: Ids
    family_ids: Ids


@dataclass(frozen=True, slots=True)
class Representatives:
    """Ids of representatives, (n,), and the bands of their forms, (n, 32); those of EXACT_ONLY forms have none."""

    ids: Ids
    bands: Bands


@dataclass(frozen=True, slots=True)
class Matched:
    """The family of each new text, (n_new,): its own id where it founds one. founded: what later texts may join."""

    family_ids: Ids
    founded: Representatives


def match(
    new: NewTexts,
    *,
    placed: Iterable[Placed] = (),
    representatives: Iterable[Representatives] = (),
    forms_of: FormsOf,
) -> Matched:
    """Return the family of each new text, as if they came one by one in this order.

    A text goes to the family of an equal form, else to that of the most similar representative, and of equally
    similar ones to the first; else it founds a family. So it makes no difference into which blocks texts are cut, as
    long as each block is matched against all that the ones before it left.
    placed, representatives: all texts known so far, by ascending id, in pieces of any size, so that they need not be
    in memory together; where equal forms stand in several families, the first counts.
    forms_of: asked for the forms of those texts, new and known, that may be similar to another, for up to 1,000 new
    texts at once.
    Memory: some arrays over the 32 buckets of each new text, and 20 bytes for each known one.
    """
    keys, first, key_numbers = np.unique(new.keys, return_index=True, return_inverse=True)
    family_ids = new.ids[first]  # of each distinct form
    is_known = _take_places(family_ids, keys, placed)
    is_open = ~is_known & new.is_open[first]
    numbers = np.flatnonzero(is_open)[np.argsort(first[is_open])]  # of distinct forms, in the order given
    open_ids, bands = new.ids[first[numbers]], new.bands[first[numbers]]
    family_ids[numbers] = _lead(open_ids, bands, representatives, forms_of)
    is_founder = family_ids[numbers] == open_ids
    founded = Representatives(open_ids[is_founder], bands[is_founder])
    return Matched(family_ids[key_numbers], founded)


def _take_places(family_ids: Ids, keys: Ids, placed: Iterable[Placed]) -> npt.NDArray[np.bool_]:
    """Write the families of the known forms among the keys, which are sorted; returns which are known."""
    is_known = np.zeros(len(keys), dtype=np.bool_)
    for piece in placed:
        places = np.searchsorted(keys, piece.keys)
        places[places == len(keys)] = 0
        is_met = keys[places] == piece.keys if len(keys) else np.zeros(len(piece.keys), dtype=np.bool_)
        met, first = np.unique(places[is_met], return_index=True)
        is_news = ~is_known[met]
        family_ids[met[is_news]] = piece.family_ids[is_met][first[is_news]]
        is_known[met] = True
    return is_known


def _lead(ids: Ids, bands: Bands, representatives: Iterable[Representatives], forms_of: FormsOf) -> Ids:
    """The family of each text; no form is equal to another or to a known one.

    Leader clustering (Hartigan 1975): one pass, each joins a leader or becomes one.
    """
    buckets = Buckets(bands, known=((piece.ids, piece.bands) for piece in representatives))
    comparison = _Comparison()
    family_ids = ids.copy()
    new_forms: dict[int, str] = {}  # of the few that have buckets enough in common with any other
    for block in _blocks(len(ids)):
        known = {
            position: _likeliest(found)
            for position, found in buckets.known_sharing(block, at_least=MIN_SHARED_BANDS).items()
        }
        numbers_by_position = dict(enumerate(buckets.numbers_of(block), start=block.start))
        new = [int(ids[at]) for at, numbers in numbers_by_position.items() if len(numbers) >= MIN_SHARED_BANDS]
        asked = sorted({*new, *(holder for found in known.values() for _, holder in found)})
        form_of = dict(zip(asked, forms_of(asked), strict=True)) if asked else {}
        new_forms |= {identity: form_of[identity] for identity in new}
        for position, numbers in numbers_by_position.items():
            met = known.get(position, [])
            met += [(count, int(ids[at])) for count, at in buckets.sharing(numbers, at_least=MIN_SHARED_BANDS)]
            leader = None
            if met:
                likeliest = {each: form_of.get(each) or new_forms[each] for _, each in _likeliest(met)}
                leader = comparison.most_similar(new_forms[int(ids[position])], likeliest)
            if leader is None:
                buckets.add(position, numbers)
            else:
                family_ids[position] = leader
    return family_ids


def _likeliest(found: list[Shared]) -> list[Shared]:
    """Those to compare, of (bands shared, id)."""
    return sorted(found, key=lambda shared: (-shared[0], shared[1]))[:MAX_COMPARED]


def _blocks(length: int) -> Iterator[slice]:
    return (slice(start, min(start + POSITIONS_AT_ONCE, length)) for start in range(0, length, POSITIONS_AT_ONCE))


class _Comparison:
    """Compares forms; remembers the 2-grams of representatives, for they are met again and again."""

    def __init__(self) -> None:
        self._pairs: dict[str, frozenset[str]] = {}
        self._size = 0

    def most_similar(self, form: str, others: Mapping[int, str]) -> int | None:
        """The id of the other form, by id, that is similar enough, and the most; of several the smallest."""
        pairs = _pairs_of(form)
        distance, identity = min((-_jaccard(pairs, self._pairs_of(other)), number) for number, other in others.items())
        return identity if -distance >= MIN_JACCARD else None

    def _pairs_of(self, form: str) -> frozenset[str]:
        pairs = self._pairs.get(form)
        if pairs is None:
            pairs = _pairs_of(form)
            self._size += len(pairs)
            if self._size > MAX_REMEMBERED:
                self._pairs.clear()
                self._size = len(pairs)
            self._pairs[form] = pairs
        return pairs
