"""Files as the benchmarks read them, small enough for tests."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.benchmarks.simulated import FILES
from tests.conftest import marked_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files in COLD's shape, whose posts say what they are."""
    for number, name in enumerate(FILES):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, ["", "split", "topic", "label", "TEXT"])
            out.writeheader()
            for n in range(1_200):
                kind = n % 3
                topic = "gender" if kind == 1 else "race"
                text = marked_text(kind, 10_000 * number + n) + marked_text(kind, 10_000 * number + n + 5_000)
                out.writerow({"": n, "split": name, "topic": topic, "label": int(kind > 0), "TEXT": text})
    return tmp_path
