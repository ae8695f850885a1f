"""Components of our own, each a folder with script, style and markup; registered once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st


@cache
def component(name: str) -> Any:
    """Return the callable that mounts the component of that folder."""
    folder = Path(__file__).parent / name
    part = {kind: (folder / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")}
    return st.components.v2.component(f"tiebreak_{name}", html=part["html"], css=part["css"], js=part["js"])
