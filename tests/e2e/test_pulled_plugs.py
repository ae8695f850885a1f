"""The label page while all around it is pulled out: what it shows as saved is, and the rest is kept and delivered."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from core.clock import utc_now
from core.domain import Role
from core.services import accounts
from core.settings import PROJECT_DIR
from db.tables import decision, lease
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor, free_port
from tests.e2e.keys import WITNESS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def forum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("plugs"), free_port())
    server.run("import", str(PROJECT_DIR / "data" / "samples" / "forum.tsv"))
    server.start()
    yield server
    server.stop()


def press(page: Page, keys: str) -> list[int]:
    """Press each key once its card is there; returns the posts that were on the screen."""
    posts = []
    for key in keys:
        page.locator(".desk[data-painted]").wait_for(timeout=60_000)
        posts.append(int(page.locator(".desk").get_attribute("data-painted") or 0))
        page.keyboard.press(key)
    return posts


def expect_unsaved(page: Page, count: int) -> None:
    expect(page.locator(".desk .unsaved dd")).to_have_text(str(count), timeout=60_000)


def saved(server: Served) -> list[int]:
    return [made["post_id"] for made in rows(server.engine, decision) if made["press_id"]]


def test_presses_outlive_a_second_tab_a_cut_network_a_closed_tab_a_killed_server_a_signed_out_session_and_a_crash(
    forum: Served, visit: Callable[[Served], Visitor]
) -> None:
    visitor = visit(forum)
    visitor.context.add_init_script(WITNESS)
    visitor.enter(forum.add_user("mo", Role.moderator), "label")
    page = visitor.page
    made = press(page, "12")
    expect_unsaved(page, 0)
    assert saved(forum) == made

    second = visitor.context.new_page()  # another tab of the same person has cards of its own
    second.goto(f"{forum.url}/label")
    second.locator(".desk[data-painted]").wait_for(timeout=60_000)
    assert second.locator(".desk").get_attribute("data-painted") != page.locator(".desk").get_attribute("data-painted")
    made += press(second, "1")
    expect_unsaved(second, 0)
    page.bring_to_front()
    made += press(page, "2")
    expect_unsaved(page, 0)
    assert saved(forum) == made
    second.close()

    visitor.context.set_offline(True)  # the network is cut, and comes back
    made += press(page, "31")
    expect_unsaved(page, 2)
    expect(page.locator(".desk .notice")).to_contain_text("No connection")
    assert saved(forum) == made[:-2]
    visitor.context.set_offline(False)
    expect_unsaved(page, 0)
    assert saved(forum) == made

    visitor.context.set_offline(True)  # the tab is closed before it comes back
    made += press(page, "2")
    expect_unsaved(page, 1)
    page.close()
    visitor.context.set_offline(False)
    page = visitor.page = visitor.context.new_page()
    visitor.open("/label")
    page.locator(".desk[data-painted]").wait_for(timeout=60_000)
    expect_unsaved(page, 0)
    assert saved(forum) == made

    assert forum.process is not None
    forum.process.kill()  # presses go on while nobody serves
    forum.process.wait(timeout=30)
    made += press(page, "123")
    expect_unsaved(page, 3)
    assert saved(forum) == made[:-3]
    forum.start()
    expect_unsaved(page, 0)
    assert saved(forum) == made

    accounts.sign_out(forum.engine, secret_of(visitor), now=utc_now())  # the session ends under the page
    made += press(page, "3")
    expect(page.locator(".desk .notice")).to_contain_text("signed out", timeout=20_000)
    expect_unsaved(page, 1)
    assert saved(forum) == made[:-1]
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    visitor.enter("mo", "label")
    page.locator(".desk[data-painted]").wait_for(timeout=60_000)
    expect_unsaved(page, 0)
    assert saved(forum) == made
    assert len(set(made)) == len(made)

    with forum.engine.begin() as conn:  # a laptop sleeps past its leases, and nobody else has taken the posts
        conn.exec_driver_sql("UPDATE lease SET ended_at = claimed_at, outcome = 'expired' WHERE ended_at IS NULL")
    made += press(page, "1")
    expect_unsaved(page, 0)
    assert saved(forum) == made
    assert rows(forum.engine, lease, post_id=made[-1])[-1]["outcome"] == "decided"
    assert visitor.errors == []

    page.locator(".desk[data-painted]").wait_for(timeout=60_000)  # the browser crashes, and is opened again at once
    on_screen = page.locator(".desk").get_attribute("data-painted")
    reopened = visitor.context.new_page()
    crash(page)
    page = visitor.page = reopened
    page.goto(f"{forum.url}/label")
    page.locator(".desk[data-painted]").wait_for(timeout=60_000)
    assert page.locator(".desk").get_attribute("data-painted") == on_screen
    made += press(page, "1")
    expect_unsaved(page, 0)
    assert saved(forum) == made


def crash(page: Page) -> None:
    """Kill the process that draws the page: it has worked more than those of empty pages."""
    assert page.context.browser is not None
    processes = page.context.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    drawing = max((each for each in processes if each["type"] == "renderer"), key=lambda each: each["cpuTime"])
    with page.expect_event("crash", timeout=20_000):
        os.kill(drawing["id"], signal.SIGKILL)


def secret_of(visitor: Visitor) -> str:
    return next(str(cookie["value"]) for cookie in visitor.context.cookies() if cookie["name"] == "tiebreak_session")
