"""Guidelines: a lead writes them and chooses examples; a moderator reads them beside the card, and is told of news."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import Actor, Policy, Role
from core.services.rules import change_policy
from db.tables import decision, guidelines_version
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser

FIRST = """# 违规

发布**联系方式**招揽生意：微信、QQ、电话。

| 写法 | 判断 |
|---|---|
| 加微信领返利 | 违规 |

![picture](http://picture.example/x.png) <img src="http://picture.example/y.png">

# 疑似

看不出来意图，交给负责人（X）。
"""
SECOND = FIRST.replace("微信、QQ、电话", "微信、QQ、电话、谐音（薇信、v信）")


def turn_to(visitor: Visitor, view: str) -> None:
    visitor.page.get_by_test_id("stButtonGroup").get_by_text(view, exact=True).click()
    visitor.settle()


def test_lead_writes_guidelines_and_moderators_read_them_beside_the_card(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    texts = ("加微信领取返利每天两百元起步", "昨天去看了画展人不多值得一去", "出售二手自行车一辆八成新自提")
    lines = [f"{n}\t{text}" for n, text in enumerate(texts, 1)]
    (tmp_path / "posts.tsv").write_text("\n".join(["pid\tcontext", *lines]) + "\n")
    change_policy(served.engine, Actor(None, "cli:test", Role.lead), Policy(second_share=0), now=utc_now())
    served.run("import", str(tmp_path / "posts.tsv"))
    lead, moderator = visit(served), visit(served)
    lead.enter(served.add_user("lea", Role.lead), "guidelines")
    expect(lead.page.get_by_text("There are no guidelines yet.", exact=False)).to_be_visible()
    turn_to(lead, "Write")
    lead.page.get_by_label("Text, in Markdown", exact=False).fill(FIRST)
    lead.page.get_by_role("button", name="Save as a new version").click()
    expect(lead.page.get_by_text("Version 1 is saved", exact=False)).to_be_visible()
    lead.shoot("83-guidelines-write")

    moderator.enter(served.add_user("mo", Role.moderator), "label")
    desk, panel = moderator.page.locator(".desk"), moderator.page.locator(".desk .guidelines")
    expect(desk.locator(".changed")).to_be_visible(timeout=20_000)
    moderator.page.keyboard.press("g")
    expect(panel.locator(".body h3").first).to_have_text("违规")
    expect(panel.locator("img")).to_have_count(0)
    expect(panel).to_contain_text('[picture] <img src="http://picture.example/y.png">')
    expect(desk.locator(".changed")).to_be_hidden()
    shown = desk.get_attribute("data-painted")
    moderator.page.keyboard.press("3")  # the keys work on
    expect(panel).to_be_visible()
    expect(desk.locator(".unsaved dd")).to_have_text("0", timeout=20_000)
    (made,) = rows(served.engine, decision)
    assert (str(made["post_id"]), made["label"]) == (shown, 2)
    moderator.page.keyboard.press("Escape")
    expect(panel).to_be_hidden()

    turn_to(lead, "Choose examples")
    lead.page.get_by_label("Post (its pid", exact=False).fill(f"#{shown}")
    lead.page.get_by_label("What it shows").fill("钱和联系方式在一起")
    lead.page.get_by_role("button", name="Add", exact=True).click()
    expect(lead.page.get_by_text("shown as violation 违规", exact=False)).to_be_visible()
    lead.shoot("84-guidelines-examples")
    turn_to(lead, "Write")
    lead.page.get_by_label("Text, in Markdown", exact=False).fill(SECOND)
    lead.page.get_by_label("What changed", exact=False).fill("谐音也算联系方式")
    lead.page.get_by_role("button", name="Save as a new version").click()
    expect(lead.page.get_by_text("Version 2 is saved", exact=False)).to_be_visible()
    assert [each["body"] for each in rows(served.engine, guidelines_version)] == [FIRST.strip(), SECOND.strip()]
    turn_to(lead, "Versions")
    expect(lead.page.get_by_text("+ 发布**联系方式**", exact=False)).to_be_visible()
    lead.shoot("85-guidelines-versions")
    turn_to(lead, "Read")
    expect(lead.page.get_by_role("heading", name="Examples of violation 违规")).to_be_visible()
    lead.shoot("86-guidelines-read")
    lead.assert_clean()

    moderator.page.keyboard.press("1")
    expect(desk.locator(".changed")).to_be_visible(timeout=20_000)
    moderator.shoot("87-guidelines-news")
    desk.locator(".changed button").click()
    expect(panel.locator(".changes")).to_contain_text("Changed since you read version 1")
    expect(panel.locator(".changes")).to_contain_text("谐音也算联系方式")
    expect(panel.locator(".changes .new")).to_contain_text("薇信")
    expect(panel.locator("ol li .fresh")).to_have_text("new")
    moderator.shoot("88-guidelines-panel")
    moderator.page.reload()
    moderator.page.locator(".desk[data-painted]").wait_for(timeout=20_000)
    expect(desk.locator(".changed")).to_be_hidden()
    moderator.assert_clean()
