"""Which browser somebody uses, in the words that people know it by."""

from __future__ import annotations

# In this order: most browsers also claim to be those that stand further below.
BROWSERS = (
    ("MicroMessenger/", "WeChat"), ("QQBrowser/", "QQ Browser"), ("EdgA/", "Edge"), ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Vivaldi/", "Vivaldi"), ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"), ("Firefox/", "Firefox"), ("CriOS/", "Chrome"), ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("HarmonyOS", "HarmonyOS"), ("Android", "Android"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_named(user_agent: str) -> str:
    """`Firefox on Linux`; empty for what is no browser that we know. Versions and models say more than is needed."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if browser and system else browser or system
