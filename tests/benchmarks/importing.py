"""Import: an export into a fresh database, beside its bare rows into a bare table; and memory for a longer file."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.benchmarks.aside import call_aside
from tests.benchmarks.exports import COLUMNS
from tests.benchmarks.figures import BenchmarkFailed, Figure
from tests.benchmarks.workshop import Imported, Workshop

LONGER = 4


def measure(workshop: Workshop) -> list[Figure]:
    rows = workshop.options.rows
    once = workshop.imported(rows)
    bare = call_aside(read_bare, once.export, workshop.folder / "bare.db")
    longer = workshop.imported(LONGER * rows)
    for imported, expected in ((once, rows), (longer, LONGER * rows)):
        _require_all(imported, expected)
    if bare.value != rows:
        raise BenchmarkFailed(f"The bare reader found {bare.value:,} rows of {rows:,}.")
    return _figures(rows, once, longer, bare.seconds)


def _figures(rows: int, once: Imported, longer: Imported, bare_s: float) -> list[Figure]:
    seconds, megabytes = once.call.seconds, once.export.stat().st_size / 1e6
    before, grown = once.call.peak_before_mib, longer.call.peak_mib - once.call.peak_mib
    return [
        Figure("rows", rows, "", f"of {once.posts:,} posts, {megabytes:.1f} MB"),
        Figure("import", seconds, "s"),
        Figure("import, speed", rows / seconds, "rows/s"),
        Figure(
            "csv and executemany into a bare table", bare_s, "s", f"the import takes {seconds / bare_s:.0f} times it"
        ),
        Figure(f"import of {LONGER} times the rows, speed", LONGER * rows / longer.call.seconds, "rows/s"),
        Figure("peak memory", once.call.peak_mib, "MiB", f"{before:.0f} MiB before it began"),
        Figure(f"peak memory, {LONGER} times the rows", longer.call.peak_mib, "MiB", f"{grown:+.1f} MiB"),
    ]


def _require_all(imported: Imported, rows: int) -> None:
    """A figure for an import that lost rows would be worth nothing."""
    counts = imported.call.value
    accounted = counts["posts_added"] + counts["hits_added"] + counts["repeats"]
    if (accounted, counts["rejected"], counts["posts_added"]) != (rows, 0, imported.posts):
        raise BenchmarkFailed(f"Of {rows:,} rows of {imported.posts:,} posts the import made {counts}.")


def read_bare(export: Path, database: Path) -> int:
    """Read the export with the csv module and store its fields as they are; returns how many rows."""
    with closing(sqlite3.connect(database)) as conn, export.open(encoding="utf-8", newline="") as lines:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(f"CREATE TABLE bare ({', '.join(COLUMNS)})")
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\")
        next(rows)
        with conn:
            conn.executemany(f"INSERT INTO bare VALUES ({', '.join('?' * len(COLUMNS))})", rows)
        return int(conn.execute("SELECT count(*) FROM bare").fetchone()[0])
