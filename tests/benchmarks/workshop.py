"""Where benchmarks work: options, a temporary folder, and the export and the pool that several of them need."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from core.settings import Settings, read_settings
from db.engine import migrate, open_engine
from tests.benchmarks.aside import Call, call_aside
from tests.benchmarks.exports import Export, write_export
from tests.core.services.conftest import import_file


@dataclass(frozen=True, slots=True)
class Options:
    """rows: of the export behind queue and labelling, and texts for families. sizes: of exports to import, in rows.

    import_rows: of the export that is imported, or whose posts are scored, while moderators decide. labels and seeds:
    of the comparison on COLD. posts: in the forum that is kept for desk, team and search. starts: pools for selecting.
    look_posts: in the forums that looking is measured on.
    """

    rows: int
    sizes: tuple[int, ...]
    import_rows: int
    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    posts: int = 175_000
    starts: int = 10
    look_posts: tuple[int, ...] = (175_000, 4_000_000)


@dataclass(frozen=True, slots=True)
class Imported:
    """An export that was imported into a database of its own."""

    export: Export
    settings: Settings
    call: Call


@dataclass(frozen=True, slots=True)
class Workshop:
    """folder: on the file system where the product keeps its database by default, gone afterwards."""

    folder: Path
    options: Options
    _imported: dict[int, Imported] = field(default_factory=dict)

    def home(self, name: str) -> Settings:
        """An installation without anything in it yet."""
        home = self.folder / name
        settings = read_settings({"TIEBREAK_HOME": str(home), "HF_HOME": str(home / "hf")})
        settings.data_dir.mkdir(parents=True)
        return settings

    def imported(self, rows: int) -> Imported:
        """A synthetic export of so many rows, imported in a process of its own; once for all benchmarks."""
        if rows not in self._imported:
            export = write_export(self.folder / f"export-{rows}.tsv", rows=rows)
            settings = self.home(f"imported-{rows}")
            fresh_database(settings).dispose()
            call = call_aside(_import, settings.database_url, export.path)
            self._imported[rows] = Imported(export, settings, call)
        return self._imported[rows]

    def pool(self, name: str, *, rows: int | None = None) -> Settings:
        """A copy of an imported export's database in a home of its own."""
        settings = self.home(name)
        shutil.copy(self.imported(rows or self.options.rows).settings.database_path, settings.database_path)
        return settings


def fresh_database(settings: Settings) -> Engine:
    engine = open_engine(settings.database_url)
    migrate(engine, backups_dir=settings.backups_dir)
    return engine


def _import(database_url: str, export: Path) -> dict[str, object]:
    """Import the export; returns the counts. Called in a process of its own."""
    engine = open_engine(database_url)
    result = import_file(engine, export).result
    engine.dispose()
    return result
