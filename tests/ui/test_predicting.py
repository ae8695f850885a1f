"""`tiebreak predict` on files: nothing is lost, nothing is half written, and memory does not grow with the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.domain import LABEL_NAMES
from core.evaluation import NOTHING
from core.learning.baseline import make_baseline
from core.learning.examples import TrainingExample
from core.settings import PROJECT_DIR, Settings
from core.tsv import split_fields
from tests.conftest import MARKERS, marked_text
from tests.ui.test_cli import Terminal


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a baseline that has learned the three markers; it needs no encoder, and answers at once."""
    folder = tmp_path_factory.mktemp("versions") / "v1-tfidf"
    examples = [TrainingExample(marked_text(n % 3, n), n % 3) for n in range(90)]
    make_baseline(examples, seed=1, snapshot_hash="s", out_dir=folder, measure=lambda partial: NOTHING)
    return str(folder)


@pytest.fixture
def tiebreak(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(settings.home, monkeypatch)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.tsv"
    rows = [f"{n}\t\\N\t{marked_text(n % 3, n)}\n" for n in range(1, 31)]
    path.write_text("pid\thit_word\tcontext\n" + "".join(rows), encoding="utf-8")
    return path


def test_batch_is_written_in_order_with_every_column(
    tiebreak: Terminal, version: str, export: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.tsv"
    done = tiebreak.json("predict", "--model", version, "--batch", str(export), "--out", str(out))
    assert (done["rows"], done["out"], done["base"]) == (30, str(out), None)
    assert done["labels"] == dict.fromkeys(LABEL_NAMES, 10)
    header, *lines = (split_fields(line) for line in out.read_text(encoding="utf-8").splitlines())
    assert header[:4] == ["pid", "hit_word", "context", "predicted_label"]
    assert [line[0] for line in lines] == [str(n) for n in range(1, 31)]
    assert [line[3] for line in lines] == [LABEL_NAMES[n % 3] for n in range(1, 31)]
    assert {line[1] for line in lines} == {None}
    assert all(sum(map(float, line[5:])) == pytest.approx(1, abs=1e-5) for line in lines)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.glob("out*")] == ["out.tsv"]


def test_batch_goes_to_standard_output_as_lines_or_as_one_json_value(
    tiebreak: Terminal, version: str, export: Path
) -> None:
    asked = ("predict", "--model", version, "--batch", str(export))
    lines = tiebreak(*asked, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == tiebreak.json(*asked)
    assert tiebreak(*asked).stdout.startswith("pid\thit_word\tcontext\tpredicted_label\t")


def test_row_that_cannot_be_judged_stops_it_before_anything_is_written(
    tiebreak: Terminal, version: str, export: Path, tmp_path: Path
) -> None:
    with export.open("a", encoding="utf-8") as stream:
        stream.write("31\t\\N\t \n32\n")
    out = tmp_path / "out.jsonl"
    done = tiebreak("predict", "--model", version, "--batch", str(export), "--out", str(out), code=1)
    assert f"{export}, line 32: no text. 1 more line cannot be used." in done.stderr
    assert not out.exists()


def test_file_that_is_read_is_not_written_over_and_one_that_cannot_be_written_is_named(
    tiebreak: Terminal, version: str, export: Path, tmp_path: Path
) -> None:
    before = export.read_bytes()
    asked = ("predict", "--model", version, "--batch", str(export), "--out")
    assert "the file that is read" in tiebreak(*asked, str(export), code=1).stderr
    done = tiebreak(*asked, str(tmp_path / "nowhere" / "out.tsv"), code=1)
    assert "nowhere/out.tsv.partial: No such file or directory." in done.stderr
    assert export.read_bytes() == before


@pytest.mark.slow
def test_reader_of_the_output_may_stop_reading(version: str, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"{marked_text(n % 3, n)}\n" for n in range(9_000)), encoding="utf-8")
    command = f"{sys.executable} -m ui.cli predict --model {version} --batch {path} | head -n 2"
    environ = os.environ | {"TIEBREAK_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT_DIR)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environ, check=False)
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--text", "x", "--out", "y.tsv"), 2, "go with --batch"),
        (("--text", "x", "--base", "starter"), 1, "knows its base encoder"),
        (("--text", "x", "--label-order", "normal"), 2, "two or three labels"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tiebreak: Terminal, version: str, options: tuple[str, ...], code: int, says: str
) -> None:
    assert says in tiebreak("predict", "--model", version, *options, code=code).stderr


def test_interactive_shows_a_bar_for_each_class(tiebreak: Terminal, version: str) -> None:
    done = tiebreak("predict", "--model", version, "--interactive", given=f"今天{MARKERS[2]}去\n\n")
    normal, _suspicious, violation = done.stdout.splitlines()
    assert violation.endswith("<")
    assert violation.count("█") > normal.count("█")
    assert len(violation.split()[2]) == 30


@pytest.mark.training
def test_adapter_of_plain_peft_is_judged_with_and_without_a_base_that_is_called_like_its_own(
    tiebreak: Terminal, settings: Settings, tiny_base: Path, tmp_path: Path
) -> None:
    import shutil

    from tests.core.learning.test_adapters import peft_model

    folder = tmp_path / "checkpoint"
    model = peft_model(tiny_base)
    model.peft_config["default"].base_model_name_or_path = "../../somewhere/tiny"
    model.save_pretrained(folder)
    asked = ("predict", "--model", str(folder), "--text", "今天", "--label-order", "normal,violation,suspicious")
    assert "no encoder here is called so" in tiebreak(*asked, code=1).stderr
    by_path = tiebreak.json(*asked, "--base", str(tiny_base))
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    assert tiebreak.json(*asked) == by_path
    assert "--label-order" in tiebreak(*asked[:-2], code=1).stderr


PEAK = """
import resource, sys
sys.argv = ["tiebreak", *sys.argv[1:]]
from ui.cli import main
try:
    main()
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.alone
def test_memory_does_not_grow_with_the_file(version: str, tmp_path: Path) -> None:
    def peak_mb(rows: int) -> int:
        path, out = tmp_path / "long.tsv", tmp_path / "out.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            stream.write("pid\tcontext\n")
            stream.writelines(f"{n}\t{marked_text(n % 3, n)}\n" for n in range(rows))
        command = [sys.executable, "-c", PEAK, "predict", "--model", version, "--batch", str(path), "--out", str(out)]
        environ = os.environ | {"TIEBREAK_HOME": str(tmp_path / "home"), "PYTHONPATH": str(PROJECT_DIR)}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, check=True)
        with out.open(encoding="utf-8") as lines:
            assert sum(1 for _ in lines) == rows
        return int(done.stdout.rsplit(maxsplit=1)[1])

    few, many = peak_mb(10_000), peak_mb(100_000)
    assert many - few < 20, (few, many)
