"""Where people reach the app: said by the server while it runs, asked for by commands that make links."""

from __future__ import annotations

from core.settings import Settings

USUAL = "http://127.0.0.1:8501"


def record_address(settings: Settings, address: str) -> None:
    partial = settings.address_file.with_suffix(".partial")
    partial.write_text(address, encoding="utf-8")
    partial.rename(settings.address_file)


def forget_address(settings: Settings, address: str) -> None:
    """Unless another server on the same installation has written its own since."""
    if recorded_address(settings) == address:
        settings.address_file.unlink(missing_ok=True)


def recorded_address(settings: Settings) -> str:
    """The address of the running server; where a fresh one would be if none runs."""
    try:
        return settings.address_file.read_text(encoding="utf-8").strip() or USUAL
    except OSError:
        return USUAL
