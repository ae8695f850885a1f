"""My work and Agreement: what two people said of the same posts, seen by each and by the lead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import Actor, Policy, Role
from core.services.rules import change_policy
from db.tables import decision
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser


def label_all(visitor: Visitor, keys: dict[int, str]) -> None:
    """Press the key for each post as it comes."""
    desk = visitor.page.locator(".desk")
    for _ in keys:
        visitor.page.locator(".desk[data-painted]").wait_for(timeout=60_000)
        visitor.page.keyboard.press(keys[int(desk.get_attribute("data-painted") or 0)])
        visitor.page.wait_for_timeout(120)
    expect(desk.locator(".unsaved dd")).to_have_text("0", timeout=20_000)


def test_two_people_judge_the_same_posts_and_both_they_and_the_lead_see_how_they_agree(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    texts = ("加微信返利日结", "今天天气真好啊", "楼主说得很对", "出售二手自行车")
    lines = [f"{n}\t{text} {n}" for n, text in enumerate(texts, 1)]
    (tmp_path / "posts.tsv").write_text("\n".join(["pid\tcontext", *lines]) + "\n")
    change_policy(served.engine, Actor(None, "cli:test", Role.lead), Policy(second_share=1.0), now=utc_now())
    served.run("import", str(tmp_path / "posts.tsv"))
    for name, keys in (("mo", {1: "3", 2: "1", 3: "1", 4: "2"}), ("mi", {1: "3", 2: "1", 3: "1", 4: "1"})):
        moderator = visit(served)
        moderator.enter(served.add_user(name, Role.moderator), "label")
        label_all(moderator, keys)
    assert len(rows(served.engine, decision)) == 8

    moderator.go("My work")
    page = moderator.page
    metrics = page.get_by_test_id("stMetric")
    expect(metrics.filter(has_text="Today")).to_contain_text("4")
    others = metrics.filter(has_text="Others say the same")
    expect(others).to_contain_text("–")  # what was said today tells nothing before tomorrow
    with served.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE decision SET decided_at = datetime(decided_at, '-1 day')")
    moderator.open("/own")
    expect(others).to_contain_text("75%")
    moderator.shoot("70-my-work")
    table = page.get_by_test_id("stDataFrame").last
    table.hover()
    expect(page.get_by_role("button", name="Fullscreen").last).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)  # it would go past the audit log
    box = table.locator("canvas").first.bounding_box()
    assert box
    page.mouse.click(box["x"] + 12, box["y"] + 50)  # the first row's box: the latest decision
    page.get_by_role("button", name="suspicious 疑似").click()
    expect(page.get_by_role("button", name="suspicious 疑似")).to_have_count(0)
    expect(others).to_contain_text("75%")  # all day as it stood at midnight
    made = rows(served.engine, decision)[-1]
    assert (made["label"], made["supersedes"]) == (1, 8)
    moderator.assert_clean()

    lead = visit(served)
    lead.enter(served.add_user("lea", Role.lead), "agreement")
    metrics = lead.page.get_by_test_id("stMetric")
    twice = metrics.filter(has_text="Posts judged twice")
    expect(twice).to_be_visible()
    lead.shoot("71-agreement")
    lead.page.get_by_text("drawn to measure by").click()
    lead.settle()
    lead.assert_clean()


def test_who_has_done_nothing_is_told_what_would_stand_there(
    served: Served, visit: Callable[[Served], Visitor]
) -> None:
    lead = visit(served)
    lead.enter(served.add_user("lea", Role.lead), "own")
    expect(lead.page.get_by_text("None yet. The Label page brings posts.")).to_be_visible()
    lead.go("Agreement")
    expect(lead.page.get_by_text("No post has been judged by two people yet.", exact=False)).to_be_visible()
    lead.assert_clean()
