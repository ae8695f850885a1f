"""Links to the page that shows a post's whole history."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.wording import _
from ui.words import plain

PATH = "/history"


def post_address(post_id: int) -> str:
    return f"{PATH}?post={post_id}"


def post_link(post_id: int, pid: str | None) -> str:
    """As markdown: the post's number in the forum, or its own."""
    return f"[{plain(post_name(post_id, pid))}]({post_address(post_id)})"


def post_name(post_id: int, pid: str | None) -> str:
    return f"#{post_id}" if pid is None else f"pid {pid}"


def post_cell(post_id: int, pid: str | None) -> str:
    """For a column of `post_column`: where the link leads, and behind # what stands in the cell."""
    return f"{post_address(post_id)}#{pid or f'#{post_id}'}"


def post_column(name: str) -> Any:
    return st.column_config.LinkColumn(name, display_text=r"#(.*)$", help=_("Opens the whole history of the post."))
