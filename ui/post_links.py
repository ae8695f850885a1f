"""Links to the page that shows a post's whole history."""

from __future__ import annotations

from ui.words import plain

PATH = "/history"


def post_address(post_id: int) -> str:
    return f"{PATH}?post={post_id}"


def post_link(post_id: int, pid: str | None) -> str:
    """As markdown: the post's number in the forum, or its own."""
    return f"[{plain(post_name(post_id, pid))}]({post_address(post_id)})"


def post_name(post_id: int, pid: str | None) -> str:
    return f"#{post_id}" if pid is None else f"pid {pid}"
