"""The forum that posts come from: which thread a post stands in, and where it can be read there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from core.errors import BadInput
from core.wording import _

THREAD_COLUMNS = ("tid", "thread_id", "threadid", "thread", "topic_id")  # the first that an export has
MOST_TEMPLATE = 500  # characters
EXAMPLE = "https://forum.example/forum.php?mod=redirect&goto=findpost&ptid={tid}&pid={pid}"  # of a Discuz! forum

_PLACE = re.compile(r"\{[^{}]*\}")
_NO_ADDRESS = re.compile(r"[\s\x00-\x1f\x7f\\\"'<>`]")


def thread_of(extra: Mapping[str, str]) -> str | None:
    """The thread that the further columns of a post name, whatever the case of the column's name; 0 is none."""
    if not extra:
        return None
    by_name = {name.strip().lower(): value for name, value in reversed(list(extra.items()))}
    named = next((by_name[name].strip() for name in THREAD_COLUMNS if name in by_name), "")
    return named if named.strip("0") else None


def refuse_unsafe_template(template: str) -> None:
    """Raises BadInput unless the template can only lead to one http or https host, with {pid} or {tid} behind it."""
    shown = template[:80]
    try:
        parts = urlsplit(template)
        host, _port = parts.hostname, parts.port
    except ValueError as err:
        raise BadInput(
            _("{address} is not an address; one like {example} was expected.").format(
                address=repr(shown), example=EXAMPLE
            )
        ) from err
    if parts.scheme not in ("http", "https") or not host or len(template) > MOST_TEMPLATE:
        raise BadInput(
            _("{address} is not an http or https address; one like {example} was expected.").format(
                address=repr(shown), example=EXAMPLE
            )
        )
    if _NO_ADDRESS.search(template) or "@" in parts.netloc or "{" in parts.netloc or "}" in parts.netloc:
        raise BadInput(
            _("{address} does not lead to one host, whatever the post; one like {example} was expected.").format(
                address=repr(shown), example=EXAMPLE
            )
        )
    places = set(_PLACE.findall(template))
    if not places or places - {"{pid}", "{tid}"} or re.search(r"[{}]", _PLACE.sub("", template)):
        raise BadInput(
            _("{address} needs pid or tid in braces, and no other braces; one like {example} was expected.").format(
                address=repr(shown), example=EXAMPLE
            )
        )


def link_to(template: str, *, pid: str | None, thread: str | None) -> str | None:
    """The post's address in the forum; None when there is no template, or the post lacks what it asks for."""
    given = {"{pid}": pid, "{tid}": thread}
    if not template or any(place in template and not value for place, value in given.items()):
        return None
    return _PLACE.sub(lambda place: quote(given[place[0]] or "", safe=""), template)
