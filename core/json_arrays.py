"""A JSON array as a stream of its elements, however large the file and however broken one of them.

Only strings and brackets are looked at: each element is cut out as it stands and read by whoever asked, so that a
broken one costs itself and not the rest of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from core.errors import BadInput
from core.wording import _

MAX_ELEMENT_CHARACTERS = 16_000_000
_BLANKS = " \t\r\n\ufeff"
_OUTSIDE = re.compile(r'["\[\]{},]')
_INSIDE = re.compile(r'["\[\]{}]')
_STRING = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it stands in the file. line: where it begins, from 1. problem: why it cannot be read."""

    line: int
    raw: str
    problem: str | None = None


def split_array(chunks: Iterable[str]) -> Iterator[Element]:
    """Cut an array into its elements. What follows a broken one is found again at the next comma between elements.

    Raises BadInput when the text does not begin with a bracket.
    """
    scanner, draft = _Scanner(), _Draft(1)
    has_begun = has_ended = False
    for chunk in chunks:
        place = 0
        if not has_begun:
            place = len(chunk) - len(chunk.lstrip(_BLANKS))
            draft.line += chunk.count("\n", 0, place)
            if place == len(chunk):
                continue
            if chunk[place] != "[":
                raise BadInput(_("The file is no JSON array: it does not begin with a bracket."))
            has_begun, place = True, place + 1
        while not has_ended and (end := scanner.find_end(chunk, place)) is not None:
            draft.add(chunk[place:end])
            has_ended = chunk[end] == "]"
            if not (has_ended and draft.is_blank and not draft.follows_comma):
                yield draft.finish()
            draft, place = _Draft(draft.line, follows_comma=True), end + 1
        draft.add(chunk[place:])
    if has_ended and not draft.is_blank:
        yield draft.finish(_("text after the end of the array"))
    if has_begun and not has_ended:
        yield from _cut_off(draft, is_whole=scanner.is_between)


def _cut_off(draft: _Draft, *, is_whole: bool) -> Iterator[Element]:
    """What is left when the file ends before the array does."""
    if not draft.is_blank and not is_whole:
        yield draft.finish(_("the file ends inside this record"))
        return
    if not draft.is_blank:
        yield draft.finish()
    yield Element(draft.line, "", _("the file ends before the array does: it is cut off"))


@dataclass(slots=True)
class _Scanner:
    """Where in an element we are; kept from chunk to chunk."""

    depth: int = 0
    in_string: bool = False
    is_escaped: bool = False

    @property
    def is_between(self) -> bool:
        return not (self.depth or self.in_string)

    def find_end(self, chunk: str, place: int) -> int | None:
        """The place of the comma or bracket behind the current element, None when it goes on in the next chunk."""
        while place < len(chunk):
            if self.in_string:
                place = self._through_string(chunk, place)
                continue
            found = (_INSIDE if self.depth else _OUTSIDE).search(chunk, place)
            if found is None:
                return None
            place, mark = found.end(), found[0]
            if mark == '"':
                self.in_string = True
            elif mark in "[{":
                self.depth += 1
            elif self.depth:
                self.depth -= 1
            elif mark != "}":  # one too many belongs to a broken element
                return found.start()
        return None

    def _through_string(self, chunk: str, place: int) -> int:
        if self.is_escaped:  # by a backslash that ended the chunk before
            self.is_escaped = False
            return place + 1
        found = _STRING.match(chunk, place)
        end = found.end() if found else place
        if end < len(chunk):
            self.in_string = chunk[end] != '"'
            self.is_escaped = self.in_string
        return end + 1


@dataclass(slots=True)
class _Draft:
    """The element that is being cut out. line: the one reached so far."""

    line: int
    follows_comma: bool = False
    begins: int = 0
    size: int = 0
    parts: list[str] = field(default_factory=list)

    @property
    def is_blank(self) -> bool:
        return not self.parts

    def add(self, part: str) -> None:
        if self.is_blank:
            body = part.lstrip(_BLANKS)
            self.line += part.count("\n", 0, len(part) - len(body))
            self.begins, part = self.line, body
        self.line += part.count("\n")
        self.size += len(part)
        if part and (self.is_blank or self.size <= MAX_ELEMENT_CHARACTERS):
            self.parts.append(part)

    def finish(self, problem: str | None = None) -> Element:
        if self.size > MAX_ELEMENT_CHARACTERS:
            problem = _("the record is longer than 16 MB")
        if self.is_blank:
            problem = problem or _("nothing stands between two commas")
        return Element(self.begins or self.line, "".join(self.parts), problem)
