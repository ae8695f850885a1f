"""The side of the split that a text stands on: fixed by its content, the same on every machine and in every run."""

from __future__ import annotations

import hashlib

from core.domain import Side

AUDIT_PER_10_000 = 200
EVALUATION_PER_10_000 = 1_800


def side_of(normalised_text: str) -> Side:
    """Return the side of a normalised text: 2 % audit, 18 % evaluation, the rest train.

    By a hash of the text, not by run or draw: what one version was measured on is never trained on by another,
    and copies of a text never stand on both sides.
    """
    digest = hashlib.sha256(b"tiebreak split\x00" + normalised_text.encode("utf-8", "surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") % 10_000
    if place < AUDIT_PER_10_000:
        return Side.audit
    return Side.evaluation if place < AUDIT_PER_10_000 + EVALUATION_PER_10_000 else Side.train
