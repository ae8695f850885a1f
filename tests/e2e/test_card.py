"""The card beside its text: hit words with their record, siblings, the way to the forum, and what each sets for
themselves; nothing that a post names is ever fetched."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import Actor, Label, Policy, Role
from core.services import annotation
from core.services.rules import change_policy
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser

OPERATOR = Actor(None, "cli:test", Role.lead)
SPAM = "加微信领取返利每天两百元起步日结"
TALK = "昨天去看了画展人不多值得一去推荐大家"


@pytest.fixture
def trap() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, and every request line that came to it."""
    caught: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    visitor, _ = server.accept()
                except OSError:
                    return
                with visitor:
                    caught.append(visitor.recv(400).decode(errors="replace"))

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], caught


def forum(port: int) -> str:
    """One post that names pictures and addresses; two others of its author, one of them in its thread."""
    bait = (
        f"[img]http://127.0.0.1:{port}/pixel.png[/img]请看[url=http://127.0.0.1:{port}/go]点这里[/url]加微信领返利，"
        f'详情 http://www.spam.example/join?a=1 <img src="http://127.0.0.1:{port}/raw.png"> '
        f"![md](http://127.0.0.1:{port}/md.png)"
    )
    rows = [
        ("1", "坏人", "7", "微信", SPAM), ("2", "好人", "7", "微信", TALK), ("3", "坏人", "7", "微信", bait),
        ("4", "坏人", "8", "", "出售二手自行车一辆八成新自提"),
    ]  # fmt: skip
    return "\n".join(["pid\tauthor\ttid\thit_word\tcontext", *("\t".join(row) for row in rows)]) + "\n"


def test_card_shows_what_belongs_to_the_post_and_fetches_nothing_that_it_names(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path, trap: tuple[int, list[str]]
) -> None:
    port, caught = trap
    (tmp_path / "forum.tsv").write_text(forum(port))
    there = f"{served.url}/healthz?tid={{tid}}&pid={{pid}}"
    change_policy(served.engine, OPERATOR, Policy(forum_link=there, second_share=0), now=utc_now())
    served.run("import", str(tmp_path / "forum.tsv"))
    served.add_user("mo", Role.moderator)
    for post_id, label in ((1, Label.violation), (2, Label.normal), (4, Label.normal)):
        annotation.decide_post(served.engine, OPERATOR, user_name="mo", post_id=post_id, label=label, now=utc_now())
    moderator = visit(served)
    page = moderator.page
    page.wait_for_timeout(6_000)  # the record is counted aside, every five seconds
    moderator.enter("mo", "label")
    desk = page.locator(".desk")
    page.locator(".desk[data-painted='3']").wait_for(timeout=20_000)

    expect(desk.locator(".hits")).to_have_text("微信 1 of 2 violations")
    expect(desk.locator(".text mark")).to_have_text("微信")
    links = desk.locator(".text .link")
    expect(links.first).to_have_text("点这里 → 127.0.0.1")
    expect(links.nth(1).locator(".host")).to_have_text("www.spam.example")
    expect(desk.locator(".text a, .text img")).to_have_count(0)
    links.first.click()
    assert len(moderator.context.pages) == 1
    moderator.shoot("80-card")

    page.keyboard.press("t")
    panel = desk.locator(".siblings")
    expect(panel.locator(".now").first).to_have_text("By the same author · 2 others here · ● 1 normal · ■ 1 violation")
    expect(panel.locator("li.here")).to_contain_text("post 3 · the post above")
    expect(panel).not_to_contain_text("坏人")  # the policy shows no names
    moderator.shoot("81-siblings")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()

    with moderator.context.expect_page() as opened:
        page.keyboard.press("l")
    assert opened.value.url == f"{served.url}/healthz?tid=7&pid=3"
    assert opened.value.evaluate("document.referrer + (window.opener === null)") == "true"
    opened.value.close()

    page.keyboard.press("z")
    expect(desk.locator(".text")).to_have_css("font-size", "21.6px")
    page.keyboard.press("d")
    page.locator(".desk.dark[data-painted='3']").wait_for(timeout=20_000)
    expect(desk.locator(".text")).to_have_css("font-size", "21.6px")
    page.keyboard.press("t")
    expect(panel.locator("li.here")).to_be_visible()
    desk.locator(".own summary").click()
    moderator.shoot("82-card-dark")
    desk.locator("select.breaks").select_option("20")
    key = page.evaluate("Object.keys(localStorage).find((name) => name.startsWith('tiebreak-own:'))")
    assert key
    hour_ago = "const own = JSON.parse(localStorage[key]); own.since = Date.now() - 3_600_000; own.last = Date.now();"
    page.evaluate(f"key => {{ {hour_ago} localStorage[key] = JSON.stringify(own); }}", key)
    page.reload()
    page.locator(".desk[data-painted='3']").wait_for(timeout=20_000)
    expect(desk.locator(".break")).to_be_hidden()
    page.keyboard.press("3")
    expect(desk.locator(".break")).to_contain_text(re.compile("You have decided for 60 minutes"))
    expect(desk.locator(".unsaved dd")).to_have_text("0", timeout=20_000)
    desk.locator(".break button").click()
    expect(desk.locator(".break")).to_be_hidden()
    moderator.assert_clean()
    assert caught == []
