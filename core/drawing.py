"""Drawing by chance that nobody can influence: by a hash of a number, the same whoever asks and whenever."""

from __future__ import annotations

import hashlib


def is_drawn(number: int, *, use: str, share: float) -> bool:
    """Whether the post or family of that number is among that share; draws for different uses are independent."""
    digest = hashlib.blake2b(f"{use} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
