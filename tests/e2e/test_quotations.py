"""Quotations on the label page: folded to one line, opened by a click or a key, and never markup."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from core.domain import Role
from tests.e2e.conftest import Served, Visitor, free_port

pytestmark = pytest.mark.browser

QUOTED = "他们说这家的利息很低，当天就能到账，只要一张身份证就可以办，<b>不用担保</b>，有需要的人可以私聊我"
HEADER = "[size=2][url=forum.php?pid=1][color=#999999]甲 发表于 2026-1-1[/color][/url][/size]"
ANSWER = "我的回答：别信，先去银行问问。"
NOTE = "本帖最后由 乙 于 2026-1-2 10:00 编辑"


@pytest.fixture(scope="module")
def forum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Posts that quote and answer, and posts that are nothing but a quotation.

    No two are near-copies: in families they would be two cards, and the second moderator would wait for the first.
    """
    server = Served(tmp_path_factory.mktemp("quotations"), free_port())
    escaped = QUOTED.replace("<", "&lt;").replace(">", "&gt;")
    answer = f"[i=s] {NOTE} [/i]\\\n[quote]{HEADER}\\\n{escaped}[/quote]\\\n{ANSWER}"
    words = random.Random(1)
    tails = ["".join(chr(words.randrange(0x4E00, 0x9000)) for _ in range(120)) for _ in range(200)]
    path = server.home / "quotations.tsv"
    rows = [
        f"{n}\t私聊\t{answer}{tails[n - 1]}\n{n + 1}\t身份证\t[quote]{escaped}{tails[n]}[/quote]\n"
        for n in range(1, 200, 2)
    ]
    path.write_text("pid\thit_word\tcontext\n" + "".join(rows), encoding="utf-8")
    server.run("import", str(path))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def text(forum: Served, visit: Callable[[Served], Visitor]) -> Iterator[Locator]:
    """The text of a card with an answer."""
    visitor = visit(forum)
    visitor.enter(forum.add_user(f"mo-{free_port()}", Role.moderator), "label")
    skip_until(visitor.page, has_answer=True)
    yield visitor.page.locator(".desk .text")
    visitor.assert_clean()


def skip_until(page: Page, *, has_answer: bool) -> None:
    """Skip cards until one with an answer, or one without, is on the screen."""
    page.locator(".desk[data-painted]").wait_for(timeout=60_000)
    while page.locator(".desk .note").is_visible() is not has_answer:
        shown = page.locator(".desk .facts").inner_text()
        page.keyboard.press("0")
        expect(page.locator(".desk .facts")).not_to_have_text(shown)
        page.locator(".desk[data-painted]").wait_for()


def test_quotation_is_folded_to_its_beginning_and_the_hit_that_it_hides(text: Locator) -> None:
    expect(text.locator("details")).to_have_count(1)
    expect(text.locator("blockquote")).to_be_hidden()
    expect(text.locator("summary")).to_contain_text("quotation甲 发表于 2026-1-1 他们说这家的利息很低")
    expect(text.locator("summary mark")).to_have_text("私聊")
    mark, line = text.locator("summary mark").bounding_box(), text.locator("summary").bounding_box()
    assert mark is not None
    assert line is not None
    assert mark["x"] + mark["width"] <= line["x"] + line["width"]  # not behind the ellipsis
    assert line["height"] < 40
    expect(text).to_contain_text(ANSWER)
    expect(text.locator(".note")).to_have_text(NOTE)


def test_key_opens_and_folds_and_a_click_opens_one(text: Locator) -> None:
    for opened in ("q", "Q"):
        text.page.keyboard.press(opened)
        expect(text.locator("blockquote")).to_be_visible()
        expect(text.locator("summary .beginning")).to_be_hidden()
        text.page.keyboard.press("q")
        expect(text.locator("blockquote")).to_be_hidden()
    text.locator("summary").click()
    expect(text.locator("blockquote")).to_be_visible()


def test_quoted_markup_is_text(text: Locator) -> None:
    text.page.keyboard.press("q")
    expect(text.locator("blockquote")).to_contain_text("<b>不用担保</b>")
    assert text.locator("b").count() == 0


def test_next_card_is_folded_again_unless_it_is_nothing_but_a_quotation(text: Locator) -> None:
    text.page.keyboard.press("q")
    skip_until(text.page, has_answer=False)
    expect(text.locator("blockquote")).to_be_visible()
    skip_until(text.page, has_answer=True)
    expect(text.locator("blockquote")).to_be_hidden()
