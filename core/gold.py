"""The gold label of a post: derived from what its sources say, never typed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from core.domain import Label, SourceKind


@dataclass(frozen=True, slots=True)
class Vote:
    """The standing decision of one source."""

    kind: SourceKind
    label: Label


def gold_label(votes: Iterable[Vote]) -> Label | None:
    """Return the current truth of a post, or None while its sources disagree.

    People outrank files; among equals the agreeing majority counts, and a single voice is a majority of one.
    """
    by_kind: dict[SourceKind, Counter[Label]] = {}
    for vote in votes:
        by_kind.setdefault(vote.kind, Counter())[vote.label] += 1
    heard = by_kind.get(SourceKind.person) or by_kind.get(SourceKind.file)
    if not heard:
        return None
    (label, count), *others = heard.most_common()
    return None if others and others[0][1] == count else label
