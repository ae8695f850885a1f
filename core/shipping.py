"""Models on their way in and out, in the foreground: base encoders from a hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.encoders import Encoder, local_encoders
from core.loading import encoder_places
from core.settings import Settings

if TYPE_CHECKING:
    from core.learning.hub import Offer


def list_bases(settings: Settings) -> list[Encoder]:
    """Return the encoders on this machine; the first is taken where none is named."""
    return local_encoders(**encoder_places(settings))


def look_up_base(settings: Settings, name: str) -> Offer:
    """Ask the hub what it has under that name; the one thing here, with pull_base, that uses the network."""
    from core.learning import hub

    return hub.look_up(name, base_dir=settings.models_dir / "base")


def pull_base(settings: Settings, offer: Offer, report: Callable[[int, int], None]) -> Encoder:
    """Download what look_up_base found into models/base. report: bytes that are here, bytes in all."""
    from core.learning import hub

    return hub.pull(offer, base_dir=settings.models_dir / "base", report=report)
