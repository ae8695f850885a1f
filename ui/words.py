"""How things are said on pages: names as they are, counts with their nouns, sizes."""

from __future__ import annotations

MARKUP = "\\`*_{}[]()<>#+-!|~$:"


def plain(text: str) -> str:
    """A name or a message as it is, for places that read markdown: nothing in it is markup."""
    return "".join(f"\\{character}" if character in MARKUP else character for character in text)


def counted(count: int, word: str) -> str:
    """`1 post`, `2,000 posts`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def counted_doing(count: int, word: str, verb: str) -> str:
    """`1 post stays`, `2,000 posts stay`."""
    return f"{counted(count, word)} {verb}{'s' if count == 1 else ''}"


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
