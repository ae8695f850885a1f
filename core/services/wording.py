"""The wording of a post: what its excerpts make for people, and of that the text for the model."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from core.splits import side_of
from core.text import BETWEEN_EXCERPTS, join_excerpts, model_text, normalised, read_markup, text_hash
from db import texts
from db.engine import write

TEXTS_PER_SWEEP = 5_000


def original_of(excerpts: Sequence[str]) -> str:
    """The excerpts of a post, in the order in which they came, as one text."""
    return excerpts[0] if len(excerpts) == 1 else BETWEEN_EXCERPTS.join(join_excerpts(excerpts))


def text_of(original: str, *, quotes: bool) -> texts.NewText:
    """The text for the model. quotes: by policy, whether the model reads quotations too."""
    body = model_text(read_markup(original), quotes=quotes)
    normal = normalised(body)
    return texts.NewText(text_hash(body), text_hash(normal), body, side_of(normal))


def sweep_unused_texts(engine: Engine, *, after: int = 0) -> None:
    """Remove texts that no post and no decision refers to any more, some at a time."""
    last: int | None = after
    while last is not None:
        with write(engine) as conn:
            last = texts.sweep_unused(conn, after=last, limit=TEXTS_PER_SWEEP)
