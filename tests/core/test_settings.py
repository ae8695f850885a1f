"""Settings are read from the mapping given, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import PROJECT_DIR, read_settings


def test_silent_environment_gives_the_project_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEBREAK_HOME", "/nowhere")
    settings = read_settings({})
    assert settings.home == PROJECT_DIR
    assert settings.database_url == f"sqlite:///{PROJECT_DIR / 'data' / 'tiebreak.db'}"
    assert settings.hub_cache == Path("~/.cache/huggingface/hub").expanduser()


def test_empty_variables_are_silent_ones() -> None:
    silent = dict.fromkeys(("TIEBREAK_HOME", "TIEBREAK_DATABASE_URL", "HF_HOME", "HF_HUB_CACHE"), "")
    assert read_settings(silent) == read_settings({})


def test_everything_that_is_written_lies_in_the_home(tmp_path: Path) -> None:
    settings = read_settings({"TIEBREAK_HOME": str(tmp_path)})
    written = (
        settings.uploads_dir,
        settings.backups_dir,
        settings.logs_dir,
        settings.versions_dir,
        settings.database_path,
    )
    assert all(path.is_relative_to(tmp_path) for path in written)


def test_reading_settings_makes_no_folder(tmp_path: Path) -> None:
    read_settings({"TIEBREAK_HOME": str(tmp_path / "home")})
    assert list(tmp_path.iterdir()) == []


def test_home_may_begin_with_a_tilde_or_be_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert read_settings({"TIEBREAK_HOME": "~/here"}).home == tmp_path / "here"
    assert read_settings({"TIEBREAK_HOME": "here"}).home == tmp_path / "here"


def test_database_may_lie_elsewhere_than_the_home(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'x.db'}"
    settings = read_settings({"TIEBREAK_HOME": str(tmp_path / "home"), "TIEBREAK_DATABASE_URL": url})
    assert settings.database_path == tmp_path / "elsewhere" / "x.db"


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"HF_HOME": "/a"}, "/a/hub"),
        ({"HF_HUB_CACHE": "/b"}, "/b"),
        ({"HF_HOME": "/a", "HF_HUB_CACHE": "/b"}, "/b"),
    ],
)
def test_hub_cache_is_where_huggingface_would_look(environ: dict[str, str], cache: str) -> None:
    assert read_settings(environ).hub_cache == Path(cache)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret@host/db",
        "postgresql://host/db?user=u&password=secret",
        "postgresql://host/db?password=secret@1",
    ],
)
def test_refused_database_is_named_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="TIEBREAK_DATABASE_URL") as caught:
        read_settings({"TIEBREAK_DATABASE_URL": url})
    assert "secret" not in str(caught.value)
