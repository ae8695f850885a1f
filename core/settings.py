"""Settings of one installation, read once from the environment at the entry point and passed down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import SettingsError

PROJECT_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Settings:
    """Where an installation keeps its things. Shipped files are found beside the source, whatever home is."""

    home: Path
    database_url: str
    hub_cache: Path

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def uploads_dir(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def inbox_dir(self) -> Path:
        """Where the operator lays files to be imported without a browser's upload."""
        return self.data_dir / "inbox"

    @property
    def backups_dir(self) -> Path:
        return self.data_dir / "backups"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def address_file(self) -> Path:
        """While the app is served: where people reach it."""
        return self.data_dir / "address"

    @property
    def versions_dir(self) -> Path:
        return self.models_dir / "versions"

    @property
    def starter_dir(self) -> Path:
        return PROJECT_DIR / "models" / "starter"

    @property
    def samples_dir(self) -> Path:
        return PROJECT_DIR / "data" / "samples"

    @property
    def database_path(self) -> Path:
        return Path(self.database_url.removeprefix("sqlite:///"))


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that the environment asks for; embedded defaults where it is silent.

    TIEBREAK_HOME: folder with data/ and models/ of the installation (default: the project folder).
    TIEBREAK_DATABASE_URL: sqlite:///PATH (default: data/tiebreak.db in the home).
    HF_HUB_CACHE, HF_HOME: where already downloaded encoders lie (huggingface_hub's own meaning).
    Raises SettingsError for a database that is not a SQLite file.
    """
    home = Path(environ.get("TIEBREAK_HOME") or PROJECT_DIR).expanduser().resolve()
    url = environ.get("TIEBREAK_DATABASE_URL") or f"sqlite:///{home / 'data' / 'tiebreak.db'}"
    if not url.startswith("sqlite:///") or url == "sqlite:///" or ":memory:" in url:
        raise SettingsError(
            f"TIEBREAK_DATABASE_URL begins with {url.partition(':')[0]!r}; only a SQLite file is supported so far. "
            "Use sqlite:///PATH or leave the variable unset."
        )
    hub_home = Path(environ.get("HF_HOME") or "~/.cache/huggingface")
    return Settings(home, url, Path(environ.get("HF_HUB_CACHE") or hub_home / "hub").expanduser())
