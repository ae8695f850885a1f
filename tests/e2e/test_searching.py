"""The search page: words and conditions narrow the list, a lead decides many at once and takes it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.domain import Role
from db.engine import read
from db.search import Query, find
from tests.e2e.conftest import Served, Visitor, wait_until

pytestmark = pytest.mark.browser


def decided(served: Served) -> list[str]:
    with read(served.engine) as conn:
        found = find(conn, Query(is_decided=True), version_id=None, limit=50)
    return [each.label.name for each in found if each.label]


def bring(served: Served, folder: Path) -> None:
    lines = [f"{n}\tau{n}\t微信\t加微信 {'甲乙丙丁戊己'[n % 6] * 8} 第{n}号" for n in range(1, 7)]
    lines.append("7\tau7\t\t![x](http://evil.example/x.png) <b>天气</b>")
    (folder / "posts.tsv").write_text("\n".join(["pid\tauthor\thit_word\tcontext", *lines]) + "\n")
    served.run("import", str(folder / "posts.tsv"))


def test_lead_finds_posts_by_two_characters_decides_them_together_and_undoes_it(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    bring(served, tmp_path)
    lead = visit(served)
    lead.enter(served.add_user("lea", Role.lead), "search")
    page = lead.page
    page.get_by_label("Text").fill("微信")
    page.get_by_label("Text").press("Enter")
    table = page.get_by_test_id("stDataFrame")
    expect(table.locator("canvas td").filter(has_text="加微信")).to_have_count(6, timeout=15_000)
    lead.shoot("60-search")
    box = table.locator("canvas").first.bounding_box()
    assert box
    page.mouse.click(box["x"] + 12, box["y"] + 16)  # the box in the header chooses all
    expect(page.get_by_text("Chosen: 6 posts.")).to_be_visible()
    page.get_by_role("button", name="All violation 违规").click()
    expect(page.get_by_text("6 posts decided as violation.")).to_be_visible()
    assert decided(served) == ["violation"] * 6
    lead.shoot("61-search-decided")
    page.get_by_role("button", name="Undo all of it").click()
    wait_until(lambda: decided(served) == [], seconds=20)
    page.get_by_label("Text").fill("微")
    page.get_by_label("Text").press("Enter")
    expect(page.get_by_text("is too short", exact=False)).to_be_visible()
    lead.assert_clean()


def test_moderator_searches_without_authors_and_without_deciding_many(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    bring(served, tmp_path)
    moderator = visit(served)
    moderator.enter(served.add_user("mo", Role.moderator), "search")
    page = moderator.page
    expect(page.get_by_test_id("stDataFrame").locator("canvas td").filter(has_text="天气")).to_have_count(1)
    expect(page.get_by_test_id("stDataFrame").locator("canvas td").filter(has_text="au7")).to_have_count(0)
    page.get_by_text("More conditions").click()
    expect(page.get_by_label("Hit word")).to_be_visible()
    expect(page.get_by_label("Author")).to_have_count(0)
    expect(page.get_by_text("Choose rows to decide them together.")).to_have_count(0)
    page.get_by_label("Hit word").fill("没有")
    page.get_by_label("Hit word").press("Enter")
    expect(page.get_by_text("No post is like that.", exact=False)).to_be_visible()
    moderator.assert_clean()
