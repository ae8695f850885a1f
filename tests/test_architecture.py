"""The arrows of the architecture: who may import whom, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODEL_LIBRARIES = {"torch", "transformers", "peft", "accelerate", "datasets", "evaluate"}
PURE = (
    *("selection", "families", "lookalikes", "minhash", "buckets", "differences", "splits", "metrics", "agreement"),
    *("tsv", "text", "markup", "labels", "labelled", "json_arrays", "exchange", "gold", "overlaps", "drafts", "blocks"),
    *("people", "forum", "guidelines", "anchoring", "batches", "training_files", "html_page", "version_report"),
    *("calibration", "resampling", "comparison", "evaluation", "thresholds", "exploration", "sheets"),
    *("prevalence", "growth", "workload", "hit_words", "telling", "proportions", "week_report"),
    *("columns", "distributions", "post_filter"),
    *("prevalence", "growth", "workload", "hit_words", "telling", "proportions"),
    *("columns", "distributions", "post_filter", "trust", "drift"),
)
ENTRANCES = tuple(f"core.{name}" for name in "learning worker trainer pretrainer standalone context loading".split())
FOUNDATION = ("domain", "errors", "settings", "wording")


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def imports_of(path: Path, *, at_run_time: bool = True) -> Iterator[str]:
    """Dotted names that the file imports anywhere, except for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(id(inner) for part in node.body for inner in ast.walk(part))
    for node in ast.walk(tree):
        if at_run_time and id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reaches(path: Path, *targets: str) -> set[str]:
    return {name for name in imports_of(path) for t in targets if name == t or name.startswith(t + ".")}


def test_nothing_in_core_or_db_imports_the_user_interface() -> None:
    assert {str(p): found for p in modules("core", "db") if (found := reaches(p, "ui", "streamlit", "starlette"))} == {}


def test_only_learning_imports_the_model_libraries() -> None:
    others = [p for p in modules("core", "db", "ui") if "learning" not in p.parts]
    assert {str(p): found for p in others if (found := reaches(p, *MODEL_LIBRARIES))} == {}


def test_learning_knows_neither_database_nor_services() -> None:
    found = {
        str(p): names for p in modules("core/learning") if (names := reaches(p, "db", "core.services", "sqlalchemy"))
    }
    assert found == {}


def test_services_never_import_learning_or_the_worker() -> None:
    found = {str(p): names for p in modules("core/services") if (names := reaches(p, *ENTRANCES))}
    assert found == {}


def test_the_database_layer_imports_only_the_pure_and_the_foundation_of_core() -> None:
    allowed = tuple(f"core.{name}" for name in (*PURE, *FOUNDATION))
    for path in modules("db"):
        assert {n for n in imports_of(path) if n.startswith("core.") and not n.startswith(allowed)} == set(), path


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_touch_no_database_and_no_service(name: str) -> None:
    path = ROOT / "core" / f"{name}.py"
    if path.exists():
        assert reaches(path, "db", "core.services", "core.learning", "sqlalchemy") == set()


@pytest.mark.parametrize("name", FOUNDATION)
def test_the_foundation_imports_nothing_of_ours_but_itself(name: str) -> None:
    found = {n for n in imports_of(ROOT / "core" / f"{name}.py") if n.split(".")[0] in ("core", "db", "ui")}
    assert {n for n in found if not n.startswith(tuple(f"core.{f}" for f in FOUNDATION))} == set()


def test_sql_lives_in_db_alone() -> None:
    allowed = {"sqlalchemy.Engine", "sqlalchemy.Connection"}
    for path in modules("core", "ui"):
        assert {n for n in reaches(path, "sqlalchemy")} <= allowed, path


def test_no_file_hides_a_package_when_streamlit_puts_ui_on_the_path() -> None:
    assert not (ROOT / "ui" / "core.py").exists()
    assert not (ROOT / "ui" / "db.py").exists()


def test_only_the_source_folders_of_the_design_exist() -> None:
    allowed = {"ui", "core", "db", "data", "models", "tests", "docs", "build", "tiebreak.egg-info"}
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith((".", "__"))}
    assert folders <= allowed
