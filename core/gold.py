"""The gold label of a post: derived from what its sources say, never typed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from core.domain import Label, SourceKind, SourceTrust


@dataclass(frozen=True, slots=True)
class Vote:
    """The standing decision of one source."""

    kind: SourceKind
    label: Label
    trust: SourceTrust = SourceTrust.human
    settles: bool = False


def gold_label(votes: Iterable[Vote]) -> Label | None:
    """Return the current truth of a post, or None while its sources disagree.

    votes: in the order in which they were said. What a lead settled last stands above everything, then trusted sources,
    then people, then files; among equals the agreeing majority counts, and a single voice is a majority of one.
    Suggestions are not heard.
    """
    heard: dict[int, Counter[Label]] = {}
    settled: Label | None = None
    for vote in votes:
        if vote.trust is SourceTrust.suggestion:
            continue
        if vote.settles:
            settled = vote.label
        else:
            heard.setdefault(_rank(vote), Counter())[vote.label] += 1
    if settled is not None or not heard:
        return settled
    (label, count), *others = heard[min(heard)].most_common()
    return None if others and others[0][1] == count else label


def _rank(vote: Vote) -> int:
    """0 is heard first."""
    if vote.trust is SourceTrust.trusted:
        return 0
    return 1 if vote.kind is SourceKind.person else 2
