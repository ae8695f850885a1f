"""Near-copies in the browser: compared beside the card, judged and taken back at once, split off, listed, exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Route, expect

from core.domain import Role
from db.tables import decision, family_place, post
from tests.conftest import rows
from tests.e2e.conftest import DESKTOP, PHONE, SCREENSHOTS, Served, Visitor, wait_until

pytestmark = pytest.mark.browser

SPAM = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结五百元，在家轻松做"
FIRST = SPAM.format(13800000000)
MARKED_UP = "&lt;img&gt;"  # what a browser would take for a tag, once it is read


@pytest.fixture
def forum(served: Served, tmp_path: Path) -> Served:
    """A template of six posts (the second says the very same, the third is worded otherwise), and nothing else."""
    texts = [FIRST, FIRST + "！", FIRST.replace("轻松", "开心")]
    texts += [SPAM.format(13900000000 + n) for n in range(2)] + [FIRST + MARKED_UP]
    path = tmp_path / "spam.tsv"
    path.write_text("pid\thit_word\tcontext\n" + "".join(f"{n}\t兼职\t{text}\n" for n, text in enumerate(texts, 101)))
    served.run("import", str(path))
    return served


@pytest.fixture
def labelling(forum: Served, visit: Callable[[Served], Visitor]) -> Visitor:
    visitor = visit(forum)
    visitor.enter(forum.add_user("mo", Role.moderator), "label")
    visitor.page.locator(".desk[data-painted='1']").wait_for(timeout=60_000)
    return visitor


def desk(visitor: Visitor) -> Locator:
    return visitor.page.locator(".desk")


def compare(visitor: Visitor) -> Locator:
    """Press A; returns the panel once it lists copies."""
    visitor.page.keyboard.press("a")
    panel = desk(visitor).locator(".family")
    panel.locator("li").first.wait_for(timeout=10_000)
    visitor.page.wait_for_timeout(100)  # a frame, so that it counts as seen
    return panel


def labels(forum: Served) -> dict[int, int]:
    """post to the label that stands on it."""
    made = rows(forum.engine, decision)
    replaced = {found["supersedes"] for found in made}
    return {m["post_id"]: m["label"] for m in made if m["id"] not in replaced and m["label"] is not None}


def shoot(visitor: Visitor, name: str) -> None:
    """At both sizes, light and dark."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for size, view in (("desktop", DESKTOP), ("phone", PHONE)):
            visitor.page.set_viewport_size(view)  # type: ignore[arg-type]
            visitor.page.wait_for_timeout(500)
            visitor.page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}-{size}.png")
    visitor.page.emulate_media(color_scheme="light")
    visitor.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    visitor.page.wait_for_timeout(500)


def test_near_copies_are_compared_decided_at_once_and_taken_back_by_one_key(labelling: Visitor, forum: Served) -> None:
    expect(desk(labelling).locator(".copies > span")).to_have_text("and 5 near-copies")
    panel = compare(labelling)
    expect(panel.locator(".now")).to_have_text("1, 2 or 3 now decides this post and 5 near-copies; A or Esc leaves.")
    expect(panel.locator(".telling")).to_contain_text("In 2 copies numbers, links or names differ:")
    expect(panel.locator(".telling code").first).to_have_text("13800000000")
    assert [found.get_attribute("data-post") for found in panel.locator("li").all()] == ["4", "5", "2", "3", "6"]
    third = panel.locator("li[data-post='3']")
    assert third.locator(".gone").all_inner_texts() == ["轻松"]
    assert third.locator(".new").all_inner_texts() == ["开心"]
    expect(panel.locator("li[data-post='6'] .new")).to_have_text("<img>")
    assert panel.locator("img").count() == 0
    shoot(labelling, "30-near-copies")

    labelling.page.keyboard.press("3")
    expect(desk(labelling).locator(".notice span")).to_have_text(
        "6 posts decided as violation; U undoes all.", timeout=10_000
    )
    assert labels(forum) == dict.fromkeys(range(1, 7), 2)
    expect(desk(labelling).locator(".recent .more")).to_have_text("+5")
    expect(desk(labelling).locator(".today dd")).to_have_text("1")
    expect(panel).to_be_hidden()
    shoot(labelling, "31-near-copies-decided")

    labelling.page.keyboard.press("u")
    expect(desk(labelling)).to_have_attribute("data-painted", "1", timeout=10_000)
    assert labels(forum) == {}
    expect(desk(labelling).locator(".copies > span")).to_have_text("and 5 near-copies")
    labelling.assert_clean()


def test_panel_is_left_by_the_keyboard_and_then_a_press_decides_the_post_alone(
    labelling: Visitor, forum: Served
) -> None:
    panel = compare(labelling)
    labelling.page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    labelling.page.evaluate("window.dispatchEvent(new KeyboardEvent('keydown', {key: 'Process', code: 'KeyA'}))")
    panel.locator("li").first.wait_for()
    labelling.page.keyboard.press("a")
    expect(panel).to_be_hidden()
    labelling.page.keyboard.press("1")
    wait_until(lambda: labels(forum) == {1: 0}, seconds=10)
    labelling.assert_clean()


def test_press_before_the_near_copies_are_seen_counts_for_nothing(labelling: Visitor, forum: Served) -> None:
    waiting: list[Route] = []
    labelling.page.route("**/api/label/family*", lambda route: waiting.append(route))
    labelling.page.keyboard.press("a")
    labelling.page.wait_for_timeout(400)
    labelling.page.keyboard.press("1")
    expect(desk(labelling).locator(".notice span")).to_contain_text("counted for nothing")
    waiting[0].continue_()
    desk(labelling).locator(".family li").first.wait_for()
    assert labels(forum) == {}
    labelling.page.wait_for_timeout(100)
    labelling.page.keyboard.press("2")
    wait_until(lambda: labels(forum) == dict.fromkeys(range(1, 7), 1), seconds=10)


def test_without_a_connection_the_panel_says_so_and_the_post_can_be_decided_alone(
    labelling: Visitor, forum: Served
) -> None:
    labelling.page.route("**/api/label/family*", lambda route: route.abort())
    labelling.page.keyboard.press("a")
    panel = desk(labelling).locator(".family")
    expect(panel.locator(".now")).to_have_text("The near-copies could not be fetched. No connection to Tiebreak.")
    labelling.page.unroute("**/api/label/family*")
    labelling.page.keyboard.press("a")
    compare(labelling)
    labelling.page.keyboard.press("a")
    labelling.page.keyboard.press("2")
    wait_until(lambda: labels(forum) == {1: 1}, seconds=10)


def test_copy_is_split_off_by_two_clicks_and_is_not_decided_along(labelling: Visitor, forum: Served) -> None:
    panel = compare(labelling)
    button = panel.locator("li[data-post='4'] button")
    button.dblclick()
    expect(button).to_have_text("split off for good?")
    assert {place["representative_id"] for place in rows(forum.engine, family_place)} == {1}
    shoot(labelling, "32-split-off")
    labelling.page.wait_for_timeout(500)
    button.focus()
    if button.inner_text() == "split off":  # the screenshots took the focus away
        button.click()
        labelling.page.wait_for_timeout(500)
    labelling.page.keyboard.press("Enter")
    expect(panel.locator("li[data-post='4']")).to_have_count(0)
    expect(panel.locator(".now")).to_contain_text("this post and 4 near-copies")
    expect(desk(labelling).locator(".copies > span")).to_have_text("and 4 near-copies")
    labelling.page.wait_for_timeout(100)
    labelling.page.keyboard.press("3")
    wait_until(lambda: labels(forum) == dict.fromkeys((1, 2, 3, 5, 6), 2), seconds=10)
    labelling.assert_clean()


def test_lead_reads_the_families_their_posts_and_exports_them(
    labelling: Visitor, forum: Served, visit: Callable[[Served], Visitor]
) -> None:
    compare(labelling)
    labelling.page.keyboard.press("3")
    wait_until(lambda: len(labels(forum)) == 6, seconds=10)
    lead = visit(forum)
    lead.enter(forum.add_user("lea", Role.lead), "families")
    page = lead.page
    expect(page.get_by_text("Judgements that they take, once a family: 1.", exact=False)).to_be_visible()
    cells = page.get_by_test_id("stDataFrame").first
    expect(cells.locator("canvas td", has_text="violation 6")).to_have_count(1)
    expect(cells.locator("canvas td", has_text="mo 6 (5 by the family)")).to_have_count(1)
    cells.click(position={"x": 15, "y": 52})
    expect(page.get_by_text("Family of 6 posts")).to_be_visible()
    lead.settle()
    members = page.get_by_test_id("stDataFrame").nth(1)
    expect(members.locator("canvas td", has_text="by family")).to_have_count(5)
    shoot(lead, "33-families")
    link = page.get_by_role("link", name="Export all families (TSV)")
    exported = lead.context.request.get(forum.url + (link.get_attribute("href") or ""))
    assert exported.headers["content-type"].startswith("text/tab-separated-values")
    lines = [line.split("\t") for line in exported.text().splitlines()]
    assert [line[:2] + line[4:7] for line in lines[1:]] == [
        ["1", "6", "101", str(n), "violation"] for n in range(101, 107)
    ]
    assert [line[7] for line in lines[1:3]] == [found["original"] for found in rows(forum.engine, post)[:2]]
    lead.assert_clean()


def test_page_of_families_is_empty_before_an_import_and_is_not_for_moderators(
    served: Served, visit: Callable[[Served], Visitor]
) -> None:
    analyst = visit(served)
    analyst.enter(served.add_user("ana", Role.analyst), "families")
    expect(analyst.page.get_by_text("There are no near-copies yet.", exact=False)).to_be_visible()
    analyst.assert_clean()
    moderator = visit(served)
    moderator.sign_in(served.add_user("mo", Role.moderator))
    expect(moderator.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Families")).to_have_count(0)
    moderator.assert_clean()
