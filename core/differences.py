"""Differences between a representative and a near-copy: what to mark beside the card, and what to point out first."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, takewhile

from core.people import name_across

MAX_CELLS = 1_000_000  # parts of one text times the other's; beyond, what differs is marked as one stretch

_PART = re.compile(r"[0-9A-Za-z]+|.", re.DOTALL)

# A link before a name before a number: each takes what belongs to it, so that a number in a link is no difference of
# its own. Blanks and hyphens in a number are how people read it out.
_TELLING = re.compile(
    r"(?P<link>(?:https?://|www\.)[^\s\[\]<>\"'，。；！？、（）《》]{1,500}"
    r"|(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?![a-z0-9-])(?:/[!-~]{0,200})?)"
    r"|(?:用户名?|昵称|[账帐]号|公众号|微信号?|qq群?|[vw]x)\s?[:是]\s?(?P<named>[a-z0-9_.-]{2,30}|\w{1,20})"
    r"|(?P<name>@(?:[a-z0-9_.-]{2,30}|\w{1,20})|(?<![a-z0-9_-])(?=[0-9_-]{0,29}[a-z])[a-z0-9_-]{5,30}(?![a-z0-9_-]))"
    r"|(?P<number>\d(?:[ .,-]?\d){0,39}|[〇零一二三四五六七八九幺]{4,40})",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"https?://(?:www\.)?|www\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Difference:
    """A stretch of one text, a[a_start:a_end], that is b[b_start:b_end] in the other; one of them may be empty."""

    a_start: int
    a_end: int
    b_start: int
    b_end: int


def differences(a: str, b: str) -> tuple[Difference, ...]:
    """Return the stretches in which two texts differ, in order; what lies between them is the same in both.

    A number or a Latin word differs as a whole: digits that two numbers share by chance say nothing.
    """
    parts_a, parts_b = _PART.findall(a), _PART.findall(b)
    start = _common(parts_a, parts_b)
    rest_a, rest_b = parts_a[start:], parts_b[start:]
    end = _common(rest_a[::-1], rest_b[::-1])
    rest_a, rest_b = rest_a[: len(rest_a) - end], rest_b[: len(rest_b) - end]
    if not rest_a and not rest_b:
        return ()
    if len(rest_a) * len(rest_b) > MAX_CELLS:
        stretches: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(rest_a), 0, len(rest_b))]
    else:
        stretches = SequenceMatcher(None, rest_a, rest_b, autojunk=False).get_opcodes()
    first = sum(map(len, parts_a[:start]))
    places_a, places_b = _places(rest_a, first), _places(rest_b, first)
    return tuple(
        Difference(places_a[a_start], places_a[a_end], places_b[b_start], places_b[b_end])
        for tag, a_start, a_end, b_start, b_end in stretches
        if tag != "equal"
    )


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """How many parts both begin with."""
    return sum(1 for _ in takewhile(bool, map(str.__eq__, a, b)))


def _places(parts: Sequence[str], first: int) -> list[int]:
    """Where each part begins in its text, and where the last one ends."""
    return list(accumulate(map(len, parts), initial=first))


def telling_differences(a: str, b: str) -> tuple[str, ...]:
    """Return the numbers, links and names that only one of two texts has: a's in order, then b's.

    Near-copies that differ in such a thing may need decisions of their own. Width, case, and blanks or hyphens in a
    number make no difference here. A name of a person counts where the other text has another one in its place.
    """
    of_a, of_b = dict.fromkeys(_telling(a)), dict.fromkeys(_telling(b))
    for ours, theirs in _exchanged_names(a, b):
        of_a.setdefault(ours), of_b.setdefault(theirs)
    return (*(token for token in of_a if token not in of_b), *(token for token in of_b if token not in of_a))


def _exchanged_names(a: str, b: str) -> Iterator[tuple[str, str]]:
    for found in differences(a, b):
        ours = name_across(a, found.a_start, found.a_end)
        theirs = name_across(b, found.b_start, found.b_end)
        if ours and theirs and found.a_start < found.a_end and found.b_start < found.b_end:
            yield ours, theirs


def links_of(original: str) -> tuple[str, ...]:
    """Return where the links of a post as it came in lead to, in order; the model reads only their labels and hosts."""
    tokens = (found[0] for found in _TELLING.finditer(unicodedata.normalize("NFKC", original)) if found["link"])
    return tuple(dict.fromkeys(_address(token.partition("[")[0].partition("]")[0]) for token in tokens))


def _address(link: str) -> str:
    return _SCHEME.sub("", link.lower()).rstrip("/.")


def _telling(text: str) -> Iterator[str]:
    for found in _TELLING.finditer(unicodedata.normalize("NFKC", text)):
        token = found["named"] or found[0]
        if found["number"]:
            yield "".join(map(_digit, token))
        elif found["link"]:
            yield _address(token)
        else:
            yield token.casefold()


def _digit(character: str) -> str:
    """一 is 1; of what stands between digits only the point says something."""
    value = unicodedata.numeric(character, None)
    return str(int(value)) if value is not None else character.strip(" ,-")
