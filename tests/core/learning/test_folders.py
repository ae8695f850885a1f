"""What is written aside takes its place when it is complete, and leaves nothing where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.learning.folders import written_aside


def test_folder_is_there_as_a_whole_in_place_of_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    for content in ("first", "second"):
        with written_aside(folder) as aside:
            assert list(aside.iterdir()) == []
            (aside / content).write_text(content)
            assert not (folder / content).exists()
        assert [path.name for path in tmp_path.rglob("*")] == ["v1", content]


def test_what_breaks_off_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    with written_aside(folder) as aside:
        (aside / "weights").write_text("good")

    def break_off() -> None:
        with written_aside(folder) as aside:
            (aside / "weights").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert (folder / "weights").read_text() == "good"
    assert list(tmp_path.iterdir()) == [folder]
