"""Which posts a view is about: one filter for all pages of the analyst's room, and the words of an address for it.

A page reads it with `PostFilter.from_query` from the address's parameters and writes it back with `to_query`, so that a
view can be sent to a colleague. `core.services.columns.chosen` says which posts of the pool's columns fit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, IntEnum
from typing import TypeVar

from core.domain import Label, Side
from core.errors import BadInput
from core.wording import _


class Portion(IntEnum):
    """What has become of a post; each is in one portion. leased: on somebody's card, and not decided."""

    undecided = 0
    leased = 1
    decided = 2


KEYS = ("import", "since", "until", "word", "author", "family", "label", "predicted", "side", "portion")

Named = TypeVar("Named", bound=Enum)


@dataclass(frozen=True, slots=True)
class PostFilter:
    """Conditions that all hold; empty ones ask nothing. Of several values of one, any does.

    imports: run ids of those that brought the post. since, until: days (UTC, both included) on which that import was
    published. words: hit words. author: by name. family_sizes: fewest and most posts of the family, None for no
    most. labels: as decided last. predicted: the version's most likely label.
    """

    imports: tuple[int, ...] = ()
    since: date | None = None
    until: date | None = None
    words: tuple[str, ...] = ()
    author: str | None = None
    family_sizes: tuple[int, int | None] | None = None
    labels: tuple[Label, ...] = ()
    predicted: tuple[Label, ...] = ()
    sides: tuple[Side, ...] = ()
    portions: tuple[Portion, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == PostFilter()

    @classmethod
    def from_query(cls, query: Mapping[str, Sequence[str]], *, beside: Collection[str] = ()) -> PostFilter:
        """Read the parameters of an address, by name all values in their order; beside: names that are the page's own.

        Raises BadInput for a name or a value that says nothing: a view that was sent is never silently another one.
        """
        for name in query:
            if name not in KEYS and name not in beside:
                known = ", ".join((*KEYS, *beside))
                raise BadInput(
                    _("The address says {name!r}, which is no condition; there are: {known}.").format(
                        name=name[:40], known=known
                    )
                )
        found = cls(
            imports=tuple(_number("import", said) for said in query.get("import", ())),
            since=_only(query, "since", _day),
            until=_only(query, "until", _day),
            words=tuple(query.get("word", ())),
            author=_only(query, "author", lambda _name, said: said),
            family_sizes=_only(query, "family", _sizes),
            labels=tuple(_member(Label, "label", said) for said in query.get("label", ())),
            predicted=tuple(_member(Label, "predicted", said) for said in query.get("predicted", ())),
            sides=tuple(_member(Side, "side", said) for said in query.get("side", ())),
            portions=tuple(_member(Portion, "portion", said) for said in query.get("portion", ())),
        )
        if found.since and found.until and found.until < found.since:
            raise BadInput(
                _("The filter ends on {until}, before it begins on {since}; exchange the two days.").format(
                    since=found.since, until=found.until
                )
            )
        return found

    def to_query(self) -> dict[str, list[str]]:
        """The parameters that `from_query` reads; conditions that ask nothing are left out."""
        said = {
            "import": [str(run_id) for run_id in self.imports],
            "since": [self.since.isoformat()] if self.since else [],
            "until": [self.until.isoformat()] if self.until else [],
            "word": list(self.words),
            "author": [self.author] if self.author else [],
            "family": [_range(*self.family_sizes)] if self.family_sizes else [],
            "label": [label.name for label in self.labels],
            "predicted": [label.name for label in self.predicted],
            "side": [side.name for side in self.sides],
            "portion": [portion.name for portion in self.portions],
        }
        return {name: values for name, values in said.items() if values}


Value = TypeVar("Value")


def _only(query: Mapping[str, Sequence[str]], name: str, read: Callable[[str, str], Value]) -> Value | None:
    values = query.get(name, ())
    if len(values) > 1:
        raise BadInput(
            _("The address says {name!r} {count} times; once is enough.").format(name=name, count=len(values))
        )
    return read(name, values[0]) if values and values[0] else None


def _number(name: str, said: str) -> int:
    if not (said.isascii() and said.isdigit() and int(said) > 0):
        raise BadInput(
            _("{value!r} is no number for {name!r}; write it like {example}.").format(
                value=said[:40], name=name, example=f"{name}=3"
            )
        )
    return int(said)


def _day(_name: str, said: str) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError as err:
        raise BadInput(_("{day!r} is not a day; write it like 2026-03-01.").format(day=said[:20])) from err


def _sizes(name: str, said: str) -> tuple[int, int | None]:
    """`2-10`, or `2-` for two and more."""
    least, dash, most = said.partition("-")
    if not dash:
        raise BadInput(
            _("{value!r} is no range of sizes; write it like {example}.").format(value=said[:40], example="family=2-10")
        )
    found = (_number(name, least), _number(name, most) if most else None)
    if found[1] is not None and found[1] < found[0]:
        raise BadInput(
            _("{value!r} is no range of sizes; write it like {example}.").format(value=said[:40], example="family=2-10")
        )
    return found


def _range(least: int, most: int | None) -> str:
    return f"{least}-{'' if most is None else most}"


def _member(kind: type[Named], name: str, said: str) -> Named:
    if said not in kind.__members__:
        raise BadInput(
            _("{value!r} is not known for {name!r}; there are: {known}.").format(
                value=said[:40], name=name, known=", ".join(kind.__members__)
            )
        )
    return kind[said]
