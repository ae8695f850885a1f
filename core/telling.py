"""Pieces of text that violations have and other posts have not: what a list of hit words might lack.

Log-odds ratio with an informative Dirichlet prior: Monroe, Colaresi and Quinn 2008, "Fightin' Words", equations 15 to
22, on texts that have a piece or have not, so that one post with a piece ten times counts once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

SHORTEST, LONGEST = 2, 4  # characters
PRIOR_TEXTS = 10.0  # that the prior weighs
HALF = 0.5
LEAST_Z = 5.0  # of a hundred thousand pieces of equal odds, about one in thirty times one reaches it by chance
FEWEST_TEXTS = 5
ENOUGH = 20  # texts of each kind
ALIKE = 0.9  # of the texts with a piece: so many have the longer one too, and it is shown instead


@dataclass(frozen=True, slots=True)
class TellingPiece:
    """violations, others: texts of either kind that have it. z: standard deviations of the log-odds from nothing."""

    piece: str
    violations: int
    others: int
    z: float


def telling_pieces(
    violations: Sequence[str], others: Sequence[str], *, listed: Collection[str], most: int = 50
) -> list[TellingPiece]:
    """The most telling first; none that a listed word holds or that holds one.

    violations, others: one text of each family. Empty with fewer than ENOUGH of either.
    """
    if min(len(violations), len(others)) < ENOUGH:
        return []
    bad, good = _texts_with(violations), _texts_with(others)
    words = [word.casefold() for word in listed if word]
    found = [
        TellingPiece(piece, count, good[piece], z)
        for piece, count in bad.items()
        if count >= FEWEST_TEXTS
        and (z := _z(count, good[piece], len(violations), len(others))) >= LEAST_Z
        and not any(word in piece or piece in word for word in words)
    ]
    found.sort(key=lambda each: (-each.z, -len(each.piece), each.piece))
    return list(_longest(found))[:most]


def _texts_with(texts: Iterable[str]) -> Counter[str]:
    """In how many texts each piece stands."""
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update(set(_pieces(text.casefold())))
    return counted


def _pieces(text: str) -> Iterator[str]:
    """Runs of letters and digits in every length asked for; pieces of digits alone say nothing in words."""
    for length in range(SHORTEST, LONGEST + 1):
        for start in range(len(text) - length + 1):
            piece = text[start : start + length]
            if piece.isalnum() and not piece.isdigit():
                yield piece


def _z(bad: int, good: int, bad_texts: int, good_texts: int) -> float:
    """The log-odds ratio of having a piece, in its standard deviations."""
    share = (bad + good + HALF) / (bad_texts + good_texts + 2 * HALF)  # never all: that would have endless odds
    in_bad, in_good = bad + PRIOR_TEXTS * share, good + PRIOR_TEXTS * share
    odds = math.log(in_bad / (bad_texts + PRIOR_TEXTS - in_bad))
    odds -= math.log(in_good / (good_texts + PRIOR_TEXTS - in_good))
    return odds / math.sqrt(1 / in_bad + 1 / in_good)


def _longest(found: Sequence[TellingPiece]) -> Iterator[TellingPiece]:
    """Without pieces that hardly ever stand outside a longer one that is told too."""
    for each in found:
        if not any(
            each.piece in other.piece and other.piece != each.piece and other.violations >= ALIKE * each.violations
            for other in found
        ):
            yield each
