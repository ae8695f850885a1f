"""Drafts: what the rows of a file say about one post, before anything is known of the database.

Most of an import's work is here, and none of it needs anybody else's: several processes share it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.families import Mark, family_form, marks_of
from core.markup import BETWEEN_EXCERPTS, read_markup
from core.splits import side_of
from core.text import join_excerpts, model_text, normalised, text_hash
from core.tsv import ExportRow

# Named tuples, not dataclasses: millions of them are made, and travel between processes.


class DraftText(NamedTuple):
    """What the model reads. hash: of the body; normal_hash: of its normalised form, which also draws the side."""

    hash: str
    normal_hash: str
    body: str
    side: str


class DraftHit(NamedTuple):
    """An excerpt with its hit word ('' when the export names none); fingerprint: of the excerpt, signed 64 bits."""

    line: int
    word: str
    excerpt: str
    fingerprint: int


class Judgement(NamedTuple):
    """The label of a row, and the text that stood beside it."""

    line: int
    label: str
    text: DraftText


class Draft(NamedTuple):
    """One post as a part of the file has it. key: its pid, or the normal_hash of a text without one.

    hits: distinct ones. repeats: rows that brought none. original and text: made of all excerpts.
    """

    key: str
    pid: str | None
    hits: tuple[DraftHit, ...]
    repeats: int
    original: str
    text: DraftText
    author: str | None
    author_id: str | None
    ip: str | None
    extra: dict[str, str]
    judgements: tuple[Judgement, ...]


def draft_posts(rows: Iterable[ExportRow], *, quotes: bool) -> list[Draft]:
    """Group rows by post, in the order in which the posts come up.

    quotes: whether the model reads quotations too.
    """
    groups: dict[str, list[ExportRow]] = {}
    for row in rows:
        groups.setdefault(row.pid or text_of(row.text, quotes=quotes).normal_hash, []).append(row)
    return [_draft(key, group, quotes=quotes) for key, group in groups.items()]


def _draft(key: str, rows: list[ExportRow], *, quotes: bool) -> Draft:
    hits = _distinct_hits(rows)
    original = original_of([hit.excerpt for hit in hits])
    first = rows[0]
    extra = first.extra
    if any(row.extra != extra for row in rows):
        extra = {name: value for row in reversed(rows) for name, value in row.extra.items()}
    return Draft(
        key,
        first.pid,
        hits,
        len(rows) - len(hits),
        original,
        text_of(original, quotes=quotes),
        next((row.author for row in rows if row.author is not None), None),
        next((row.author_id for row in rows if row.author_id is not None), None),
        next((row.ip for row in rows if row.ip is not None), None),
        extra,
        tuple(
            Judgement(row.line, row.label, text_of(row.text, quotes=quotes)) for row in rows if row.label is not None
        ),
    )


def _distinct_hits(rows: list[ExportRow]) -> tuple[DraftHit, ...]:
    """Of copies without a pid the first makes the post; the others judge it and bring no excerpt."""
    found: dict[tuple[str, int], DraftHit] = {}
    for row in rows if rows[0].pid else rows[:1]:
        word, fingerprint = row.hit_word or "", fingerprint_of(row.text)
        if (word, fingerprint) not in found:
            found[word, fingerprint] = DraftHit(row.line, word, row.text, fingerprint)
    return tuple(found.values())


def fingerprint_of(excerpt: str) -> int:
    """64 bits tell the excerpts of one post apart."""
    return int.from_bytes(hashlib.sha256(excerpt.encode()).digest()[:8], "big", signed=True)


def original_of(excerpts: Sequence[str]) -> str:
    """The post as it came in, of its excerpts in order."""
    return excerpts[0] if len(excerpts) == 1 else BETWEEN_EXCERPTS.join(join_excerpts(excerpts))


def text_of(original: str, *, quotes: bool) -> DraftText:
    body = model_text(read_markup(original), quotes=quotes)
    normal = normalised(body)
    return DraftText(text_hash(body), text_hash(normal), body, side_of(normal).value)


def marks_by_hash(texts: Iterable[DraftText]) -> dict[str, Mark]:
    """What near-copies of these texts are found by; of many at once, for that is several times faster."""
    bodies = {text.hash: text.body for text in texts}
    return dict(zip(bodies, marks_of([family_form(body) for body in bodies.values()]), strict=True))
