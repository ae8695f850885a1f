"""Names that stand for authors and addresses in what leaves the program: the same one each time, and no way back.

A keyed hash (HMAC-SHA256, FIPS 198-1): without the key nobody finds out whose name it is by trying all there are, which
for addresses would take a minute. The key stays in the data folder; with another one, everybody has another name.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

LENGTH = 20  # hexadecimal digits: of a billion authors, two have the same with a probability of one in a million


class Pseudonyms:
    """Names under one key. The same value as an author and as an address has two names."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, kind: str, value: str | None) -> str | None:
        if value is None:
            return None
        return hmac.new(self._key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:LENGTH]


def read_pseudonyms(path: Path) -> Pseudonyms:
    """The installation's own; its key is made at the first time, for its owner's eyes alone."""
    if not path.exists():
        _make_key(path)
    return Pseudonyms(bytes.fromhex(path.read_text(encoding="ascii")))


def _make_key(path: Path) -> None:
    """Written under another name first: of two that make one at once, both read the one that came first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
