"""Labels as files write them: by name in English or Chinese, or by number where the caller says what it means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from core.domain import LABEL_NAMES, Label
from core.errors import BadInput
from core.wording import _

_NAMES = {label.name: label.name for label in Label} | {label.chinese: label.name for label in Label}
_NAMES |= {"正常": "normal", "可疑": "suspicious", "疑似违规": "suspicious"}
_INTEGER = re.compile(r"([0-9]{1,9})(?:\.0{1,9})?")  # 2.0: what pandas makes of integers beside gaps


def parse_label(value: object) -> str:
    """Return the label's English name. Raises BadInput for anything unknown; integers are never guessed."""
    text = str(value).strip()
    name = _NAMES.get(text.lower())
    if name is None:
        known = ", ".join(f"{label.name} ({label.chinese})" for label in Label)
        said = (
            _("unknown label {text!r}; known are {known}. Numbers mean different things in different files; use names.")
            if text.isdigit()
            else _("unknown label {text!r}; known are {known}.")
        )
        raise BadInput(said.format(text=text[:40], known=known))
    return name


def read_label(value: object, order: Sequence[str] = ()) -> str:
    """Return the English name of a file's label. order: the names that 0, 1, … mean in this file; none if empty."""
    number = _INTEGER.fullmatch(str(value).strip())
    if number is None:
        return parse_label(value)
    if not order:
        try:
            return parse_label(value)
        except BadInput as err:
            raise BadInput(
                _("{reason} Or say what 0, 1, 2 mean here: on the import page, or --label-order {order}.").format(
                    reason=err, order=",".join(LABEL_NAMES)
                )
            ) from err
    place = int(number[1])
    if place >= len(order):
        meant = ", ".join(f"{n} = {name}" for n, name in enumerate(order))
        raise BadInput(
            _("unknown label {number!r}; the order given says {meant}.").format(number=number[0], meant=meant)
        )
    return order[place]


def parse_order(names: Sequence[str]) -> tuple[str, ...]:
    """Return the English names that the integers from 0 on mean; empty when no order is given.

    Raises BadInput unless at least two labels are named, each once.
    """
    order = tuple(parse_label(name) for name in names)
    if order and (len(order) < 2 or len(set(order)) < len(order)):
        raise BadInput(
            _(
                "The label order {names!r} does not name two or three labels once each; write for "
                "example {order}, meaning 0, 1, 2."
            ).format(names=", ".join(names), order=",".join(LABEL_NAMES))
        )
    return order


def majority(labels: Iterable[str]) -> str | None:
    """The label that more said than any other; None when there is none, or two lead together."""
    (first, count), *others = Counter(labels).most_common() or [("", 0)]
    return None if not count or (others and others[0][1] == count) else first
