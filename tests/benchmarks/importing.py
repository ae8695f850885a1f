"""Import: `tiebreak import` of exports of several sizes, each beside its bare rows going into a bare table."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.aside import Call, call_aside
from tests.benchmarks.command import Watched, import_by_command
from tests.benchmarks.exports import COLUMNS, Damage, Export, write_export
from tests.benchmarks.figures import BenchmarkFailed, Figure, target
from tests.benchmarks.workshop import Workshop

REFERENCE_ROWS = 630_000  # of the reference forum, about
MOST_TIMES_FLOOR = 10  # at that size
MOST_MEGABYTES = 400
INDEXING = "indexing for search"  # after publishing: deciding has begun by then, so it is shown apart
MOST_GROWTH = 1.25  # of the seconds a row, from that size to the largest


@dataclass(frozen=True, slots=True)
class Sized:
    """The import of one size, and the floor measured just before and just after it."""

    export: Export
    imported: Watched
    floors: tuple[Call, Call]

    @property
    def import_s(self) -> float:
        return self.imported.seconds - self.imported.stages.get(INDEXING, 0.0)

    @property
    def floor_s(self) -> float:
        return (self.floors[0].seconds + self.floors[1].seconds) / 2

    @property
    def times_floor(self) -> float:
        return self.import_s / self.floor_s


def measure(workshop: Workshop) -> list[Figure]:
    measured = [_measure_size(workshop, rows) for rows in workshop.options.sizes]
    figures = [figure for sized in measured for figure in _figures(sized)]
    return figures + _growth(measured)


def _measure_size(workshop: Workshop, rows: int) -> Sized:
    """Write the export, import it, and leave nothing of it behind: large ones fill the disk."""
    settings = workshop.home(f"import-{rows}")
    export = write_export(settings.data_dir / "export.tsv", rows=rows)
    before = _floor(export)
    imported = import_by_command(settings, export.path)
    require_all(imported, export)
    after = _floor(export)
    shutil.rmtree(settings.home)
    return Sized(export, imported, (before, after))


def require_all(imported: Watched, export: Export) -> None:
    """A figure for an import that lost rows would be worth nothing."""
    found = tuple(imported.counts[name] for name in ("rows", "rejected", "posts_added"))
    if found != (export.rows, export.rejected, export.posts):
        raise BenchmarkFailed(
            f"The export has {export.rows:,} rows, {export.rejected:,} of them broken, and {export.posts:,} posts; "
            f"the import made {imported.counts} of it."
        )


def _floor(export: Export) -> Call:
    database = export.path.with_name("bare.db")
    call = call_aside(read_bare, export.path, database)
    database.unlink()
    if call.value != export.rows - export.broken.get(Damage.fields, 0):
        raise BenchmarkFailed(f"The bare reader found {call.value:,} rows of {export.rows:,}.")
    return call


def read_bare(export: Path, database: Path) -> int:
    """Read the export with the csv module and store its fields as they are; returns how many rows.

    Rows that have not as many fields as the table are left out: it would not take them.
    """
    width = len(COLUMNS)
    with (
        closing(sqlite3.connect(database)) as conn,
        export.open(encoding="utf-8", errors="replace", newline="") as lines,
    ):
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(f"CREATE TABLE bare ({', '.join(COLUMNS)})")
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\")
        next(rows)
        with conn:
            whole = (row for row in rows if len(row) == width)
            conn.executemany(f"INSERT INTO bare VALUES ({', '.join('?' * width)})", whole)
        return int(conn.execute("SELECT count(*) FROM bare").fetchone()[0])


# --- figures ---------------------------------------------------------------------------------------------------------


def _figures(sized: Sized) -> list[Figure]:
    export, imported, floor_s = sized.export, sized.imported, sized.floor_s
    size = f"{export.rows:,} rows"
    each = " and ".join(f"{call.seconds:.2f}" for call in sized.floors)
    at_reference = target(sized.times_floor <= MOST_TIMES_FLOOR, f"at most {MOST_TIMES_FLOOR}")
    floor = max(sized.floors, key=lambda call: call.peak_mib)
    in_memory = target(imported.peak_mib * 2**20 < MOST_MEGABYTES * 1e6, f"under {MOST_MEGABYTES} MB")
    return [
        Figure(f"{size}: posts", export.posts, "posts", f"{export.megabytes:.1f} MB, {export.rejected:,} broken rows"),
        Figure(f"{size}: tiebreak import", sized.import_s, "s", "the whole command but for the index for search"),
        Figure(f"{size}: tiebreak import, speed", export.rows / sized.import_s, "rows/s"),
        Figure(f"{size}: csv and executemany", floor_s, "s", f"mean of {each}, before and after"),
        Figure(f"{size}: csv and executemany, speed", export.rows / floor_s, "rows/s"),
        Figure(f"{size}: times csv and executemany", sized.times_floor, "×", _only(at_reference, export.rows)),
        Figure(f"{size}: tiebreak import, peak memory", imported.peak_mib, "MiB", in_memory),
        Figure(f"{size}: csv and executemany, peak memory", floor.peak_mib, "MiB", _before(floor)),
        *(Figure(f"{size}: stage {name}", seconds, "s") for name, seconds in imported.stages.items()),
    ]


def _before(call: Call) -> str:
    return f"{call.peak_before_mib:.0f} MiB before it began"


def _only(note: str, rows: int) -> str:
    return note if rows == REFERENCE_ROWS else ""


def _growth(measured: list[Sized]) -> list[Figure]:
    """How much longer a row takes in the largest export than in one of the reference's size."""
    reference = next((sized for sized in measured if sized.export.rows == REFERENCE_ROWS), measured[0])
    largest = max(measured, key=lambda sized: sized.export.rows)
    if largest is reference:
        return []
    from_rows, to_rows = reference.export.rows, largest.export.rows
    growth = (largest.import_s / to_rows) / (reference.import_s / from_rows)
    floor_growth = (largest.floor_s / to_rows) / (reference.floor_s / from_rows)
    promise = _only(target(growth <= MOST_GROWTH, f"at most {MOST_GROWTH}"), from_rows)
    note = "; ".join(filter(None, (f"csv and executemany: {floor_growth:.2f}", promise)))
    return [Figure(f"seconds a row, {to_rows:,} against {from_rows:,} rows", growth, "×", note)]
