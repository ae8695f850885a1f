"""The review page: a lead settles what sources disagree about, and says what a source's word is worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.domain import RULES, Role
from db.engine import read
from db.golds import gold_posts
from db.policies import current_policy
from db.tables import check_post, flag, source
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor, wait_until

pytestmark = pytest.mark.browser


def labelled(path: Path, *labels: str) -> str:
    path.write_text(
        "".join(
            json.dumps({"pid": str(n), "text": f"帖子 {n}", "label": label}, ensure_ascii=False) + "\n"
            for n, label in enumerate(labels, 1)
        )
    )
    return str(path)


def gold(served: Served) -> dict[int, str]:
    with read(served.engine) as conn:
        return {found.post_id: found.label.name for found in gold_posts(conn)}


def pile(lead: Visitor, name: str) -> None:
    lead.page.get_by_test_id("stButtonGroup").get_by_text(name).click()
    lead.settle()


def test_lead_settles_with_one_key_undoes_and_makes_a_check_post_and_follows_it_into_the_history(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    served.run("import", labelled(tmp_path / "first.jsonl", "normal", "normal"))
    served.run("import", labelled(tmp_path / "second.jsonl", "violation", "normal"))
    served.run("import", labelled(tmp_path / "llm.jsonl", *["suspicious"] * 3), "--trust", "suggestion")
    assert gold(served) == {2: "normal"}
    lead = visit(served)
    lead.enter(served.add_user("lea", Role.lead), "review")
    page = lead.page
    expect(page.get_by_text("Case 1 of 1")).to_be_visible()
    expect(page.get_by_text("violation 违规 · second.jsonl", exact=False)).to_be_visible()
    page.get_by_text("Hide names").click()
    expect(page.get_by_text("violation 违规 · Source 2", exact=False)).to_be_visible()
    lead.shoot("50-review")
    page.get_by_label("Why").fill("names nobody")
    page.get_by_label("Why").press("Enter")
    page.get_by_text("What waits for your word", exact=False).click()  # the keys are the page's again
    page.keyboard.press("2")
    expect(page.get_by_text("1 post settled as suspicious 疑似.")).to_be_visible()
    assert gold(served) == {1: "suspicious", 2: "normal"}
    page.keyboard.press("u")
    expect(page.get_by_text("Case 1 of 1")).to_be_visible()
    assert gold(served) == {2: "normal"}
    page.keyboard.press("3")
    expect(page.get_by_text("1 post settled as violation 违规.")).to_be_visible()
    page.get_by_role("button", name="Make it a check post").click()
    wait_until(lambda: rows(served.engine, check_post), seconds=20)
    pile(lead, "Check posts")
    expect(page.get_by_text("1 check post is handed out.", exact=False)).to_be_visible()
    lead.shoot("53-check-posts")

    pile(lead, "Sources")
    page.get_by_role("combobox", name="Trust in llm.jsonl", exact=False).click()
    page.get_by_role("option", name="human", exact=True).click()
    wait_until(lambda: rows(served.engine, source, name="llm.jsonl")[0]["trust"] == "human", seconds=20)
    assert gold(served) == {1: "violation", 2: "normal", 3: "suspicious"}

    lead.open("/history?post=1")
    expect(page.get_by_text("check post", exact=False).first).to_be_visible()
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible()
    lead.shoot("54-history")
    lead.assert_clean()


def test_lead_answers_a_flag_judges_one_post_and_puts_another_back(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    posts = tmp_path / "posts.tsv"
    posts.write_text("pid\tcontext\n1\tfirst post here\n2\tquite another one\n3\t<b>third</b> **of all**\n")
    served.run("import", str(posts))
    moderator = visit(served)
    moderator.enter(served.add_user("mo", Role.moderator), "label")
    desk = moderator.page.locator(".desk")
    desk.locator(".text span").first.wait_for()
    moderator.page.locator(".desk[data-painted]").wait_for(timeout=20_000)
    moderator.page.keyboard.press("f")
    moderator.page.keyboard.type("who is ![x](http://evil.example/x.png) this?")
    moderator.page.keyboard.press("Enter")
    flagged = desk.get_attribute("data-painted")
    for _ in range(2):
        moderator.page.locator(".desk[data-painted]").wait_for()
        moderator.page.keyboard.press("x")
        moderator.page.wait_for_timeout(150)
    expect(desk.locator(".unsaved dd")).to_have_text("0", timeout=20_000)

    lead = visit(served)
    lead.enter(served.add_user("lea", Role.lead), "review")
    page = lead.page
    expect(page.get_by_text("Flagged by mo", exact=False)).to_be_visible()
    expect(page.get_by_text("![x](http://evil.example/x.png)", exact=False)).to_be_visible()
    lead.shoot("51-passed-on")
    page.get_by_label("Why").fill("a colleague")
    page.get_by_label("Why").press("Enter")
    page.get_by_role("button", name="Only answer").click()
    expect(page.get_by_text("No open flag.", exact=False)).to_be_visible()
    closed = rows(served.engine, flag)[0]
    assert (str(closed["post_id"]), closed["closed_by"], closed["answer"]) == (flagged, "lea", "a colleague")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="All flags").click()
    header, line = downloaded.value.path().read_text().splitlines()
    assert dict(zip(header.split("\t"), line.split("\t"), strict=True))["answer"] == "a colleague"
    pile(lead, "Cannot be judged")
    expect(page.get_by_text("Case 1 of 2")).to_be_visible()
    page.get_by_role("button", name="Put back in the queue").click()
    expect(page.get_by_text("Case 1 of 1")).to_be_visible()
    page.get_by_role("button", name="violation 违规").click()
    expect(page.get_by_text("None. A post that a moderator cannot judge", exact=False)).to_be_visible()
    assert list(gold(served).values()) == ["violation"]
    lead.assert_clean()


def test_lead_edits_the_rules_and_moderators_get_the_new_list(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    posts = tmp_path / "posts.tsv"
    posts.write_text("pid\tcontext\n1\tfirst post here\n")
    served.run("import", str(posts))
    lead = visit(served)
    lead.enter(served.add_user("lea", Role.lead), "policy")
    page = lead.page
    lead.shoot("52-policy")
    names = page.get_by_label("English")
    page.get_by_role("button", name="Remove").first.click()
    expect(names).to_have_count(len(RULES) - 1)
    page.get_by_role("button", name="Add a rule").click()
    expect(names).to_have_count(len(RULES))
    names.last.fill("spoilers")
    page.get_by_label("Chinese").last.fill("剧透")
    page.get_by_label("Chinese").last.press("Tab")
    page.get_by_label("Cards fetched ahead").fill("7")
    page.get_by_label("Cards fetched ahead").press("Tab")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.", exact=False)).to_be_visible()
    with read(served.engine) as conn:
        chosen = current_policy(conn)
    assert [rule.english for rule in chosen.rules] == [*(rule.english for rule in RULES[1:]), "spoilers"]
    assert chosen.prefetch == 7
    lead.go("Label")
    rules = page.locator(".desk .rules button")
    expect(rules).to_have_count(len(RULES))
    expect(rules.first).to_have_text("4 politics")
    expect(rules.last).to_have_text("= spoilers")
    lead.assert_clean()
