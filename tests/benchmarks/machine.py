"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

from core.settings import PROJECT_DIR

LIBRARIES = ("tiebreak", "torch", "transformers", "peft", "scikit-learn", "numpy", "sqlalchemy")


def device() -> dict[str, Any]:
    """The device that models run on; asked in a process of its own, because torch is slow to load and large."""
    asked = [sys.executable, "-m", "core.learning.device"]
    found: dict[str, Any] = json.loads(subprocess.run(asked, cwd=PROJECT_DIR, check=True, capture_output=True).stdout)
    return found


def versions() -> dict[str, str]:
    own = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return own | {name: importlib.metadata.version(name) for name in LIBRARIES}


def described() -> str:
    """A sentence for tables of figures: when, on what, and how fast that is at something that everybody knows."""
    begun = time.perf_counter()
    sum(range(20_000_000))
    seconds = time.perf_counter() - begun
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors ({platform.machine()}), load {load()}; adding "
        f"20 million integers in Python takes {seconds:.2f} s.\n"
    )


def load() -> float:
    """Processes that want to run, over the last minute: more than there are cores, and times are too long."""
    return round(os.getloadavg()[0], 2)
