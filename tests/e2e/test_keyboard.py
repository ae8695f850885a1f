"""The label page without a mouse: every control is reached by Tab in the order that it is read, seen, and works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.domain import Role
from db.tables import decision
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser

# What Tab can reach in the desk, in the order of the document; numbered, so that a walk can be compared with it.
NUMBER = """(desk) => {
  const can = "button:not(:disabled), summary, select, input, a[href]";
  const all = [...desk.querySelectorAll(can)].filter((e) => e.checkVisibility({ visibilityProperty: true }));
  all.forEach((e, index) => e.setAttribute("data-number", index));
  return all.map((e) => (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent).trim());
}"""
FOCUSED = """(desk) => {
  const e = desk.getRootNode().activeElement;
  const number = e?.getAttribute("data-number") ?? null;
  const style = e && getComputedStyle(e);
  const hasOutline = style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const isSeen = style && (hasOutline || style.boxShadow !== "none");
  return { number: number === null ? null : Number(number), isSeen: Boolean(isSeen) };
}"""
MOST = 120  # presses of Tab, the navigation beside the page among them


def walk(page: Page) -> tuple[list[int], list[int]]:
    """(numbers of what Tab reaches in the desk, in order; those whose focus cannot be seen)."""
    reached: list[int] = []
    unseen: list[int] = []
    for _ in range(MOST):
        page.keyboard.press("Tab")
        found = desk(page).evaluate(FOCUSED)
        if found["number"] is None:
            if reached:
                return reached, unseen
            continue
        reached.append(found["number"])
        if not found["isSeen"]:
            unseen.append(found["number"])
    raise AssertionError(f"Tab does not leave the desk: {reached[-10:]}")


def tab_to(page: Page, text: str, *, key: str = "Tab") -> None:
    for _ in range(MOST):
        page.keyboard.press(key)
        if text in focused(page):
            return
    raise AssertionError(f"Tab does not reach {text!r}")


def focused(page: Page) -> str:
    """What stands on the control of the desk that has the focus."""
    return str(desk(page).evaluate("(desk) => desk.getRootNode().activeElement?.textContent ?? ''"))


def desk(page: Page) -> Locator:
    return page.locator(".desk")


def painted(page: Page) -> int:
    page.locator(".desk[data-painted]").wait_for(timeout=60_000)
    return int(page.locator(".desk").get_attribute("data-painted") or 0)


@pytest.fixture
def moderator(served: Served, visit: Callable[[Served], Visitor], tmp_path: Path) -> Visitor:
    texts = ("加微信返利日结", "今天天气真好啊", "楼主说得很对", "出售二手自行车")
    lines = [f"{n}\t微信\t{text} {n}" for n, text in enumerate(texts, 1)]
    (tmp_path / "posts.tsv").write_text("\n".join(["pid\thit_word\tcontext", *lines]) + "\n")
    served.run("import", str(tmp_path / "posts.tsv"))
    visitor = visit(served)
    visitor.enter(served.add_user("mo", Role.moderator), "label")
    painted(visitor.page)
    return visitor


def test_tab_reaches_every_control_in_the_order_that_it_is_read_and_shows_where_it_is(moderator: Visitor) -> None:
    page = moderator.page
    page.keyboard.press("1")  # so that there is something in the list beside the card
    expect(desk(page).locator(".unsaved dd")).to_have_text("0", timeout=20_000)
    painted(page)
    names = desk(page).evaluate(NUMBER)
    assert len(names) > 20
    assert [name for name in names if not name] == []
    reached, unseen = walk(page)
    assert reached == list(range(len(names))), [names[number] for number in set(range(len(names))) ^ set(reached)]
    assert [names[number] for number in unseen] == []
    moderator.assert_clean()


def test_post_is_decided_and_corrected_by_tab_enter_and_space_alone(moderator: Visitor, served: Served) -> None:
    page = moderator.page
    first = painted(page)
    tab_to(page, "violation")
    page.keyboard.press("Enter")
    expect(desk(page).locator(".unsaved dd")).to_have_text("0", timeout=20_000)
    second = painted(page)
    assert second != first
    assert "violation" in focused(page)  # where it was, for the next post
    tab_to(page, "normal", key="Shift+Tab")
    page.keyboard.press("Space")
    expect(desk(page).locator(".today dd")).to_have_text("2", timeout=20_000)
    made = [(m["post_id"], m["label"]) for m in rows(served.engine, decision)]
    assert made == [(first, 2), (second, 0)]

    entry = desk(page).locator(f".recent li[data-post='{first}']")
    words = entry.locator(".row").inner_text().split("\n")[-1]
    tab_to(page, words)
    page.keyboard.press("Enter")
    expect(entry).to_have_class("violation chosen")
    assert words in focused(page)  # the list was drawn anew around it
    tab_to(page, "suspicious")
    page.keyboard.press("Enter")
    expect(entry).to_have_class("suspicious", timeout=20_000)
    assert words in focused(page)
    assert rows(served.engine, decision)[-1]["supersedes"] == 1

    tab_to(page, "help", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(desk(page).locator(".help")).to_be_visible()
    assert desk(page).evaluate("(desk) => desk.getRootNode().activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(desk(page).locator(".help")).to_be_hidden()
    assert "help" in focused(page)  # back where it was opened
    moderator.assert_clean()
