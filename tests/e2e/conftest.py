"""A served installation and a real Chromium in front of it; every request that leaves loopback fails the test."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from core.clock import utc_now
from core.domain import Actor, Role
from core.services import accounts
from core.settings import PROJECT_DIR, read_settings
from db.engine import open_engine
from ui.server.cookies import COOKIE

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SCREENSHOTS = PROJECT_DIR / "build" / "screenshots"
PASSWORD = "correct horse battery"
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Served:
    """A running `tiebreak serve` with a home of its own."""

    home: Path
    port: int
    process: subprocess.Popen[str] | None = None
    link: str | None = None
    extra: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine(self):
        return open_engine(read_settings({"TIEBREAK_HOME": str(self.home)}).database_url)

    def start(self) -> None:
        """Start and wait until it serves; remembers the lead's link if one was printed."""
        command = [sys.executable, "-m", "ui.cli", "serve", "--port", str(self.port), *self.extra]
        log = self.home / "serve.log"
        with log.open("a") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=self._environ(), text=True
            )
        wait_until(self.is_serving, seconds=60, why=lambda: log.read_text())
        links = re.findall(r"/invite/\S+", log.read_text())
        self.link = links[-1] if links else None

    def _environ(self) -> dict[str, str]:
        return os.environ | {"TIEBREAK_HOME": str(self.home), "HF_HOME": str(self.home / "hf")} | self.environ

    def is_serving(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def add_user(self, name: str, role: Role) -> str:
        """An account with PASSWORD, made by a link as people make theirs; returns its name."""
        now = utc_now()
        operator = Actor(None, "cli:test", Role.lead)
        token = accounts.invite(self.engine, operator, role=role, now=now)
        accounts.accept_invitation(self.engine, token, name=name, password=PASSWORD, now=now)
        return name

    def run(self, *args: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        """A `tiebreak` command on the same installation."""
        command = [sys.executable, "-m", "ui.cli", *args]
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command, env=self._environ(), capture_output=True, text=True, check=check, **options
        )


def wait_until(
    holds: Callable[[], object], *, seconds: float, why: Callable[[], str] = lambda: "", step: float = 0.1
) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true within {seconds} s. {why()}")
        time.sleep(step)


def free_port() -> int:
    """Drawn from below those that the system gives to outgoing connections: nobody takes it before the server does."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def served(tmp_path: Path, migrated: Path) -> Iterator[Served]:
    """A running installation without anybody and anything in it."""
    server = Served(tmp_path, free_port())
    (tmp_path / "data").mkdir()
    shutil.copy(migrated, tmp_path / "data" / "tiebreak.db")  # saves the migrations, which tests of their own run
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        missing = "Chromium is not installed; install it (apt install chromium) to have the browser tests run"
        if os.environ.get("TIEBREAK_NEEDS_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        # A home of its own: Chromium would leave settings in the user's.
        home = str(tmp_path_factory.mktemp("chromium"))
        places = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, env=os.environ | places)
        yield launched
        launched.close()


@dataclass
class Visitor:
    """One person's browser."""

    context: BrowserContext
    page: Page
    server: Served
    name: str = ""
    left_loopback: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.server.url + path)
        self.settle()

    def settle(self) -> None:
        """Wait until Streamlit has run the page and is connected."""
        ready = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
        self.page.locator(ready).wait_for(timeout=30_000)

    def sign_up(self, link: str, name: str) -> None:
        self.name = name
        self.page.goto(self.server.url + link)
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password (at").fill(PASSWORD)
        self.page.get_by_label("The same again").fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        self.settle()

    def sign_in(self, name: str) -> None:
        self.name = name
        self.page.goto(self.server.url + "/signin")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.settle()

    def enter(self, name: str, page: str) -> None:
        """Signed in as the form does it, without the form, and straight to a page: most tests are about neither."""
        self.name = name
        now = utc_now()
        secret, _ = accounts.sign_in(self.server.engine, name=name, password=PASSWORD, address="test", now=now)
        self.context.add_cookies([{"name": COOKIE, "value": secret, "url": self.server.url}])
        self.open(f"/{page}")

    def go(self, title: str) -> None:
        self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
        self.page.get_by_role("heading", name=title, exact=True, level=1).wait_for(timeout=30_000)
        self.settle()

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for size, view in (("desktop", DESKTOP), ("phone", PHONE)):
            self.page.set_viewport_size(view)  # type: ignore[arg-type]
            self.page.wait_for_timeout(400)
            self.page.screenshot(path=SCREENSHOTS / f"{name}-{size}.png")
        self.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        self.page.wait_for_timeout(600)  # charts are drawn anew

    def assert_clean(self) -> None:
        """No request beyond this machine, no script error, no exception on the page."""
        assert self.left_loopback == []
        assert self.errors == []
        assert self.page.get_by_test_id("stException").count() == 0


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[Served], Visitor]]:
    """Open a browser of one's own on a server; checked and closed at the end of the test."""
    visitors: list[Visitor] = []

    def make(server: Served) -> Visitor:
        context = browser.new_context(viewport=DESKTOP, locale="en-GB")  # type: ignore[arg-type]
        visitor = Visitor(context, context.new_page(), server)
        context.on("request", lambda request: note_request(visitor, request.url))
        visitor.page.on("pageerror", lambda error: visitor.errors.append(str(error)))
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        visitor.context.close()
        assert visitor.left_loopback == []


def note_request(visitor: Visitor, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost"):
        visitor.left_loopback.append(url)
