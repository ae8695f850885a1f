"""Settings of one installation, read once from the environment at the entry point and passed down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

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
    def tokens_dir(self) -> Path:
        """What tokenizers made of the pool's texts; made anew where it is missing."""
        return self.data_dir / "tokens"

    @property
    def pseudonyms_file(self) -> Path:
        """The key of the names that stand for authors in what is exported; made when first needed."""
        return self.data_dir / "pseudonyms.key"

    @property
    def columns_dir(self) -> Path:
        """The pool as arrays, for looking at all of it at once; made anew where they are missing."""
        return self.data_dir / "columns"

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


@dataclass(frozen=True, slots=True)
class Oidc:
    """A team's own sign-in provider (OpenID Connect). label: its name on the button of the sign-in page."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)  # None: a public client, proved by PKCE alone
    label: str
    hosts: frozenset[str]  # that requests may go to


def read_oidc(environ: Mapping[str, str]) -> Oidc | None:
    """Return the sign-in provider that the environment names; None where it names none.

    Raises SettingsError for half a configuration and for one that would send secrets readable.
    """
    issuer, client_id = environ.get("TIEBREAK_OIDC_ISSUER") or "", environ.get("TIEBREAK_OIDC_CLIENT_ID") or ""
    if not issuer and not client_id:
        return None
    if not issuer or not client_id:
        raise SettingsError("TIEBREAK_OIDC_ISSUER and TIEBREAK_OIDC_CLIENT_ID come together; set both or none.")
    parts = urlsplit(issuer)
    is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.hostname is None or parts.scheme not in (("https", "http") if is_local else ("https",)):
        raise SettingsError(f"TIEBREAK_OIDC_ISSUER is {issuer!r}; an address that begins with https:// is needed.")
    also = (environ.get("TIEBREAK_OIDC_HOSTS") or "").lower().replace(",", " ").split()
    return Oidc(
        issuer,
        client_id,
        _read_secret(environ.get("TIEBREAK_OIDC_CLIENT_SECRET_FILE")),
        environ.get("TIEBREAK_OIDC_LABEL") or parts.hostname,
        frozenset({parts.hostname, *also}),
    )


def _read_secret(path: str | None) -> str | None:
    if not path:
        return None
    try:
        secret = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise SettingsError(f"TIEBREAK_OIDC_CLIENT_SECRET_FILE is {path!r}, which cannot be read ({err}).") from err
    if not secret:
        raise SettingsError(f"TIEBREAK_OIDC_CLIENT_SECRET_FILE is {path!r}, which is empty.")
    return secret


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
