"""Drawing posts by chance that nobody can influence: by a hash of the post, the same whoever asks and whenever."""

from __future__ import annotations

import hashlib


def is_drawn(post_id: int, *, use: str, share: float) -> bool:
    """Whether the post is among that share of all; draws for different uses are independent of one another."""
    digest = hashlib.blake2b(f"{use} {post_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
