"""Guidelines: Markdown that a lead writes, as HTML that holds nothing but text, and what changed between versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from html import escape
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

MOST_CHARACTERS = 50_000
UNCHANGED_AROUND = 1  # lines beside a change, for its place to be found

_WEB = re.compile(r"https?://[^\s]+", re.IGNORECASE)
LineKind = Literal["same", "new", "gone", "gap"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison. gap: lines that are the same in both are left out here."""

    kind: LineKind
    text: str


def to_html(body: str) -> str:
    """Headings, lists, tables, emphasis and links to the web; raw HTML is text, and of a picture its words are left."""
    return str(_markdown().render(body))


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.validateLink = _is_web_address  # type: ignore[method-assign]
    markdown.add_render_rule("image", _words_of_image)
    markdown.add_render_rule("heading_open", _open_heading)
    markdown.add_render_rule("heading_close", _close_heading)
    markdown.add_render_rule("link_open", _open_link)
    return markdown


def _is_web_address(url: str) -> bool:
    return _WEB.fullmatch(url) is not None


def _words_of_image(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return escape(f"[{tokens[index].content}]")


def _open_heading(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return f"<{_below_title(tokens[index].tag)}>"


def _close_heading(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return f"</{_below_title(tokens[index].tag)}>\n"


def _below_title(tag: str) -> str:
    """h1 becomes h3: what shows the guidelines has a title, and perhaps a page around it."""
    return f"h{min(6, int(tag[1:]) + 2)}"


def _open_link(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    address = escape(str(tokens[index].attrs.get("href", "")), quote=True)
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">'


def changes(old: str, new: str) -> tuple[Line, ...]:
    """Line by line, from an older text to a newer one; empty when they are the same."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return ()
    blocks = list(SequenceMatcher(None, before, after, autojunk=False).get_opcodes())
    last = len(blocks) - 1
    return tuple(
        line
        for place, block in enumerate(blocks)
        for line in _lines(block, before, after, is_first=place == 0, is_last=place == last)
    )


def _lines(
    block: tuple[str, int, int, int, int], before: list[str], after: list[str], *, is_first: bool, is_last: bool
) -> Iterator[Line]:
    tag, old_start, old_end, new_start, new_end = block
    if tag != "equal":
        yield from (Line("gone", text) for text in before[old_start:old_end])
        yield from (Line("new", text) for text in after[new_start:new_end])
        return
    same = after[new_start:new_end]
    head = same[:UNCHANGED_AROUND] if not is_first else []
    tail = same[max(len(head), len(same) - UNCHANGED_AROUND) :] if not is_last else []
    yield from (Line("same", text) for text in head)
    if len(head) + len(tail) < len(same):
        yield Line("gap", "")
    yield from (Line("same", text) for text in tail)
