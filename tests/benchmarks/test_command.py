"""The import command watched from outside, and moderators who decide meanwhile: in small, so that both stay alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import Settings
from tests.benchmarks import deciding
from tests.benchmarks.command import AFTER, BEFORE, import_by_command
from tests.benchmarks.exports import write_export
from tests.benchmarks.figures import BenchmarkFailed
from tests.benchmarks.importing import require_all
from tests.benchmarks.workshop import Options, Workshop

pytestmark = pytest.mark.slow


def test_stages_of_an_import_add_up_to_its_seconds(settings: Settings, tmp_path: Path) -> None:
    export = write_export(tmp_path / "forum.tsv", rows=1_000)
    settings.data_dir.mkdir()
    watched = import_by_command(settings, export.path)
    require_all(watched, export)
    names = list(watched.stages)
    assert (names[0], names[-1]) == (BEFORE, AFTER)
    assert len(names) > 2
    assert sum(watched.stages.values()) == pytest.approx(watched.seconds)
    assert 20 < watched.peak_mib < 400
    again = import_by_command(settings, export.path)
    assert next(iter(again.stages)) == BEFORE  # the run before it is none of this command's


def test_failed_command_fails_the_benchmark_with_its_message(settings: Settings, tmp_path: Path) -> None:
    settings.data_dir.mkdir()
    with pytest.raises(BenchmarkFailed, match=r"exit code 1: .*is not a file"):
        import_by_command(settings, tmp_path / "nothing.tsv")


def test_moderators_decide_while_an_import_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MODERATORS": 2, "FIRST_ROWS": 500, "CALM_S": 2.0, "BETWEEN_S": (0.05, 0.1)}.items():
        monkeypatch.setattr(deciding, name, value)
    options = Options(rows=500, sizes=(500,), import_rows=1_000, labels=(), seeds=())
    figures = {figure.name: figure for figure in deciding.measure(Workshop(tmp_path, options))}
    during = "during the import of new posts", "during the import of a longer export"
    for when in ("no import", *during):
        assert figures[f"{when}: decisions"].value >= 2
        assert figures[f"{when}: decision and new card, longest"].value > 0
    for when in during:
        assert figures[f"{when}: decision and new card, 99th percentile"].note.startswith("target: under 250 ms")
