"""The desk under a keyboard, in Chromium, in front of the served app: from a key to the next card painted, beside the
same on an empty page; presses in quick succession, and a key that is held."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from sqlalchemy import select

from core.clock import utc_now
from core.domain import LABEL_NAMES, Role
from core.services import accounts
from db.engine import read
from db.tables import decision, source
from tests.benchmarks.figures import BenchmarkFailed, Figure, Skipped, percentile_ms, target
from tests.benchmarks.forum import copied_forum
from tests.benchmarks.workshop import Workshop
from tests.e2e.conftest import CHROMIUM, DESKTOP, FLAGS, PASSWORD, Served, free_port
from tests.e2e.keys import EMPTY_PAGE, PAINTS, PRESS_EVERY, WITNESS
from ui.server.cookies import COOKIE

PRESSES = 200
QUICK, GAPS_MS = 20, (30, 80)
THINKING_MS = (80, 250)  # between two presses, so that they meet the screen's frames anywhere
MOST_MS = {50: 20, 95: 50}  # by percentile


def measure(workshop: Workshop) -> list[Figure]:
    if CHROMIUM is None:
        raise Skipped("Chromium is not installed (apt install chromium)")
    server = Served(copied_forum(workshop, "desk").home, free_port())
    server.start()
    try:
        with _browser() as context:
            desk = _Desk.open(context, server)
            empty = context.new_page()
            empty.set_content(EMPTY_PAGE)
            before = _paints(empty, PRESSES // 2)
            desk.page.bring_to_front()
            paints = desk.press_many(PRESSES)
            empty.bring_to_front()
            after = _paints(empty, PRESSES // 2)
            desk.page.bring_to_front()
            quick = [_quick(desk, gap) for gap in GAPS_MS]
            held = _held(desk)
    finally:
        server.stop()
    return [
        *_figures("key to next card painted", paints, f"{PRESSES} presses, all saved", MOST_MS),
        *_figures("key to paint of an empty page", [*before, *after], "half of them before, half after", {}),
        *quick,
        held,
    ]


def _figures(name: str, paints: list[float], note: str, most: dict[int, int]) -> list[Figure]:
    figures = []
    for percentile, called in ((50, "median"), (95, "95th percentile")):
        found = percentile_ms([paint / 1_000 for paint in paints], percentile)
        said = target(found <= most[percentile], f"{most[percentile]} ms ({called})") if percentile in most else note
        figures.append(Figure(f"{name}: {called}", found, "ms", said))
    return figures


@contextmanager
def _browser() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        places = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, env=os.environ | places)
        yield launched.new_context(viewport=DESKTOP, locale="en-GB")  # type: ignore[arg-type]
        launched.close()


@dataclass(frozen=True, slots=True)
class _Desk:
    """A moderator's page, and what the database holds of that moderator."""

    page: Page
    server: Served
    name: str

    @classmethod
    def open(cls, context: BrowserContext, server: Served) -> _Desk:
        name = server.add_user("mo", Role.moderator)
        secret, _ = accounts.sign_in(server.engine, name=name, password=PASSWORD, address="benchmark", now=utc_now())
        context.add_cookies([{"name": COOKIE, "value": secret, "url": server.url}])
        page = context.new_page()
        page.add_init_script(WITNESS)
        page.goto(f"{server.url}/label")
        page.locator(".desk[data-painted]").wait_for(timeout=60_000)
        page.locator(".desk").evaluate(PAINTS)
        return cls(page, server, name)

    def press_many(self, count: int) -> list[float]:
        """Press 1, 2 or 3 as soon as a card has been read for a moment; returns milliseconds from key to paint."""
        self.page.evaluate("window.presses.length = 0")
        keys = [str(1 + number % 3) for number in range(count)]
        for number, key in enumerate(keys):
            self.page.keyboard.press(key)
            self.page.wait_for_function("count => window.paints.length >= count", arg=number + 1)
            self.page.wait_for_timeout(random.uniform(*THINKING_MS))
        self.require_saved([LABEL_NAMES[int(key) - 1] for key in keys])
        return self.page.evaluate("window.paints")

    def require_saved(self, labels: list[str]) -> None:
        """The newest decisions are exactly those on the posts that were on the screen, with these labels."""
        self.wait_until_saved()
        shown = self.page.evaluate("window.presses")
        if self.saved()[-len(labels) :] != list(zip(shown, labels, strict=True)):
            raise BenchmarkFailed(f"What was pressed, {shown} as {labels}, is not what was saved: {self.saved()}")

    def wait_until_saved(self) -> None:
        expect(self.page.locator(".desk .unsaved dd")).to_have_text("0", timeout=30_000)

    def saved(self) -> list[tuple[int, str]]:
        made = (
            select(decision.c.post_id, decision.c.label)
            .join(source, source.c.id == decision.c.source_id)
            .where(source.c.name == self.name)
            .order_by(decision.c.id)
        )
        with read(self.server.engine) as conn:
            return [(post_id, LABEL_NAMES[label]) for post_id, label in conn.execute(made)]


def _paints(page: Page, count: int) -> list[float]:
    page.evaluate("window.paints.length = 0")
    for number in range(count):
        page.keyboard.press("1")
        page.wait_for_function("count => window.paints.length >= count", arg=number + 1)
        page.wait_for_timeout(random.uniform(*THINKING_MS))
    return page.evaluate("window.paints")


def _quick(desk: _Desk, gap_ms: int) -> Figure:
    desk.page.wait_for_timeout(500)
    before = len(desk.saved())
    desk.page.evaluate("window.presses.length = 0")
    desk.page.evaluate(PRESS_EVERY, ["2", QUICK, gap_ms])
    desk.wait_until_saved()
    made, shown = desk.saved()[before:], desk.page.evaluate("window.presses")
    is_met = made == [(post_id, "suspicious") for post_id in shown]
    name = f"{QUICK} presses, one each {gap_ms} ms, saved for the posts that were on the screen"
    return Figure(name, len(made), "", target(is_met and len(made) == QUICK, str(QUICK)))


def _held(desk: _Desk) -> Figure:
    desk.page.wait_for_timeout(500)
    before = len(desk.saved())
    for _ in range(QUICK):
        desk.page.keyboard.down("1")  # without an `up` between them, they are the repeats of a held key
        desk.page.wait_for_timeout(30)
    desk.page.keyboard.up("1")
    desk.wait_until_saved()
    count = len(desk.saved()) - before
    return Figure("posts labelled by a key that is held", count, "", target(count == 1, "1"))
