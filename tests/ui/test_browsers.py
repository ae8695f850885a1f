"""Browsers in words, from what they say of themselves."""

from __future__ import annotations

import pytest

from ui.server.browsers import browser_named

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("says", "named"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 15; K) {WEBKIT} Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari on iPhone"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on macOS"),
        (f"Mozilla/5.0 (Linux; Android 15) {WEBKIT} Chrome/140.0 MicroMessenger/8.0", "WeChat on Android"),
        ("curl/8.5.0", ""),
        ("", ""),
    ],
)
def test_browser_is_named_with_its_system_and_without_its_version(says: str, named: str) -> None:
    assert browser_named(says) == named
