"""The label page under a real keyboard: what is pressed is what is saved, and what is saved was on the screen."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from core.clock import utc_now
from core.domain import Actor, Label, Policy, Role
from core.services import annotation
from core.services.rules import change_policy
from core.settings import PROJECT_DIR
from db.tables import decision, flag, lease, post, skip, user
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor, free_port, wait_until
from tests.e2e.keys import PRESS_EVERY, WITNESS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def forum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served installation with the sample forum and its lead."""
    server = Served(tmp_path_factory.mktemp("forum"), free_port())
    server.run("import", str(PROJECT_DIR / "data" / "samples" / "forum.tsv"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def labelling(forum: Served, visit: Callable[[Served], Visitor]) -> Visitor:
    """A fresh moderator in front of the first card."""
    visitor = visit(forum)
    visitor.context.add_init_script(WITNESS)
    visitor.enter(forum.add_user(f"mo-{secrets.token_hex(4)}", Role.moderator), "label")
    wait_for_card(visitor)
    visitor.page.evaluate("window.presses.length = 0")
    return visitor


def desk(visitor: Visitor) -> Locator:
    return visitor.page.locator(".desk")


def wait_for_card(visitor: Visitor) -> int:
    """Wait until a post has been painted; returns its id."""
    visitor.page.locator(".desk[data-painted]").wait_for(timeout=60_000)
    return int(desk(visitor).get_attribute("data-painted") or 0)


def wait_until_saved(visitor: Visitor) -> None:
    expect(desk(visitor).locator(".unsaved dd")).to_have_text("0", timeout=20_000)


def decisions_of(forum: Served, visitor: Visitor) -> list[dict[str, object]]:
    """Rows of this visitor's decisions, in order."""
    mine = visitor.name
    with forum.engine.connect() as conn:
        source_id = conn.exec_driver_sql("SELECT id FROM source WHERE name = ?", (mine,)).scalar()
    return rows(forum.engine, decision, source_id=source_id)


@pytest.mark.alone
@pytest.mark.parametrize("gap_ms", [30, 80])
def test_twenty_quick_presses_save_twenty_decisions_on_the_posts_that_were_shown(
    labelling: Visitor, forum: Served, gap_ms: int
) -> None:
    labelling.page.evaluate(PRESS_EVERY, ["2", 20, gap_ms])
    wait_until_saved(labelling)
    saved = [made["post_id"] for made in decisions_of(forum, labelling)]
    assert saved == labelling.page.evaluate("window.presses")
    assert len(set(saved)) == 20
    assert {made["label"] for made in decisions_of(forum, labelling)} == {1}
    expect(desk(labelling).locator(".today dd")).to_have_text("20")


def test_presses_without_a_gap_save_only_what_was_painted_and_say_what_was_dropped(
    labelling: Visitor, forum: Served
) -> None:
    labelling.page.evaluate(PRESS_EVERY, ["1", 20, 0])
    wait_until_saved(labelling)
    witnessed = [post_id for post_id in labelling.page.evaluate("window.presses") if post_id is not None]
    assert [made["post_id"] for made in decisions_of(forum, labelling)] == witnessed
    assert len(witnessed) < 20
    expect(desk(labelling).locator(".notice")).to_contain_text("counted for nothing")


def test_undo_brings_the_post_back_and_its_next_decision_counts(labelling: Visitor, forum: Served) -> None:
    first = wait_for_card(labelling)
    labelling.page.keyboard.press("3")
    wait_until_saved(labelling)
    labelling.page.keyboard.press("u")
    expect(desk(labelling)).to_have_attribute("data-painted", str(first), timeout=10_000)
    labelling.page.keyboard.press("1")
    wait_until_saved(labelling)
    made = decisions_of(forum, labelling)
    assert [(m["post_id"], m["label"]) for m in made] == [(first, 2), (first, None), (first, 0)]
    assert made[1]["supersedes"] == made[0]["id"]


def test_skipped_post_is_not_decided_and_leaves_the_screen(labelling: Visitor, forum: Served) -> None:
    skipped = wait_for_card(labelling)
    labelling.page.keyboard.press("0")
    expect(desk(labelling)).not_to_have_attribute("data-painted", str(skipped))
    wait_until_saved(labelling)
    assert decisions_of(forum, labelling) == []
    assert [found["outcome"] for found in rows(forum.engine, lease, post_id=skipped)][-1] == "skipped"


@pytest.mark.parametrize(("key", "kind"), [("s", "later"), ("o", "not_me"), ("x", "cannot_judge")])
def test_key_says_to_whom_a_skipped_post_goes_and_undo_brings_it_back(
    labelling: Visitor, forum: Served, key: str, kind: str
) -> None:
    skipped = wait_for_card(labelling)
    mine = {"post_id": skipped, "user_id": rows(forum.engine, user, name=labelling.name)[0]["id"]}
    labelling.page.keyboard.press(key)
    wait_until_saved(labelling)
    assert [found["kind"] for found in rows(forum.engine, skip, **mine)] == [kind]
    labelling.page.keyboard.press("u")
    expect(desk(labelling)).to_have_attribute("data-painted", str(skipped), timeout=10_000)
    wait_until_saved(labelling)
    assert rows(forum.engine, skip, **mine) == []


def test_rule_and_note_go_with_the_decision_and_not_with_the_next(labelling: Visitor, forum: Served) -> None:
    rule = desk(labelling).locator(".rules [aria-pressed=true]")
    labelling.page.keyboard.press("5")
    labelling.page.keyboard.press("8")
    expect(rule).to_have_text("8 pornography or gambling")
    labelling.page.keyboard.press("n")
    labelling.page.keyboard.type("see 2 of the list")  # digits and letters are typed here, and decide nothing
    labelling.page.keyboard.press("Enter")
    expect(desk(labelling).locator(".noted")).to_contain_text("see 2 of the list")
    labelling.page.keyboard.press("3")
    expect(rule).to_have_count(0)
    expect(desk(labelling).locator(".noted")).to_be_hidden()
    wait_for_card(labelling)
    labelling.page.keyboard.press("2")
    wait_until_saved(labelling)
    made = [(m["label"], m["rule"], m["note"]) for m in decisions_of(forum, labelling)]
    assert made == [(2, "pornography_gambling", "see 2 of the list"), (1, None, None)]
    expect(desk(labelling).locator(".recent li").nth(1)).to_contain_text("pornography or gambling · see 2 of the list")


def test_flag_is_raised_with_what_was_written_and_taken_back_by_the_same_key(labelling: Visitor, forum: Served) -> None:
    shown = wait_for_card(labelling)
    labelling.page.keyboard.press("f")
    labelling.page.keyboard.type("same number as yesterday")
    labelling.page.keyboard.press("Enter")
    wait_until_saved(labelling)
    assert [found["note"] for found in rows(forum.engine, flag, post_id=shown)] == ["same number as yesterday"]
    expect(desk(labelling).locator(".noted")).to_contain_text("Flagged for the lead: same number as yesterday")
    labelling.shoot("24-flagged")
    labelling.page.keyboard.press("f")
    wait_until_saved(labelling)
    assert rows(forum.engine, flag, post_id=shown) == []
    labelling.page.keyboard.press("f")
    labelling.page.keyboard.press("Escape")
    expect(desk(labelling).locator("form.writing")).to_be_hidden()
    labelling.page.keyboard.press("1")
    wait_until_saved(labelling)
    assert [m["post_id"] for m in decisions_of(forum, labelling)] == [shown]
    assert rows(forum.engine, flag, post_id=shown) == []
    labelling.assert_clean()


def test_number_pad_other_layouts_and_letters_work_and_repeats_do_not(labelling: Visitor, forum: Served) -> None:
    pressed = [("End", "Numpad1", False), ("é", "Digit2", False), ("3", "Numpad3", False), ("3", "Digit3", True)]
    for key, code, repeat in [*pressed, ("S", "KeyS", False)]:
        wait_for_card(labelling)
        event = f"new KeyboardEvent('keydown', {{key: '{key}', code: '{code}', repeat: {str(repeat).lower()}}})"
        labelling.page.evaluate(f"window.dispatchEvent({event})")
        labelling.page.wait_for_timeout(80)
    wait_until_saved(labelling)
    assert [made["label"] for made in decisions_of(forum, labelling)] == [0, 1, 2]


def test_keys_with_modifiers_and_while_composing_do_nothing(labelling: Visitor, forum: Served) -> None:
    labelling.page.keyboard.press("Control+1")
    labelling.page.keyboard.press("Alt+2")
    labelling.page.evaluate(
        "window.dispatchEvent(new KeyboardEvent('keydown', {key: '1', code: 'Digit1', isComposing: true}))"
    )
    labelling.page.wait_for_timeout(300)
    assert decisions_of(forum, labelling) == []


def test_clicking_a_last_decision_corrects_it(labelling: Visitor, forum: Served) -> None:
    labelling.page.keyboard.press("1")
    wait_until_saved(labelling)
    desk(labelling).locator(".recent .row").first.click()
    labelling.page.keyboard.press("3")
    wait_until_saved(labelling)
    expect(desk(labelling).locator(".recent li").first).to_have_class("violation")
    made = decisions_of(forum, labelling)
    assert [(m["label"], m["supersedes"]) for m in made] == [(0, None), (2, made[0]["id"])]


def test_offline_presses_are_counted_survive_a_reload_and_are_delivered(labelling: Visitor, forum: Served) -> None:
    shown = wait_for_card(labelling)
    labelling.page.route("**/api/label/sync", lambda route: route.abort())
    labelling.page.keyboard.press("2")
    expect(desk(labelling).locator(".unsaved dd")).to_have_text("1")
    expect(desk(labelling).locator(".notice")).to_contain_text("No connection")
    assert decisions_of(forum, labelling) == []
    labelling.page.on("dialog", lambda dialog: dialog.accept())
    labelling.page.reload()
    labelling.settle()
    expect(desk(labelling).locator(".unsaved dd")).to_have_text("1", timeout=20_000)
    labelling.page.unroute("**/api/label/sync")
    wait_until_saved(labelling)
    assert [(m["post_id"], m["label"]) for m in decisions_of(forum, labelling)] == [(shown, 1)]


def test_late_press_is_shown_as_refused_when_somebody_else_has_decided(labelling: Visitor, forum: Served) -> None:
    shown = wait_for_card(labelling)
    other = forum.add_user(f"other-of-{labelling.name}", Role.moderator)
    with forum.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE lease SET ended_at = claimed_at, outcome = 'expired' WHERE post_id = ?", (shown,))
    # The page is not to ask meanwhile: it would be handed the post anew, or another one.
    labelling.page.route("**/api/label/sync", lambda route: route.abort())
    operator = Actor(None, "cli:test", Role.lead)
    # Else the press may be the second opinion that the post waits for.
    change_policy(forum.engine, operator, Policy(second_share=0), now=utc_now())
    annotation.decide_post(forum.engine, operator, user_name=other, post_id=shown, label=Label.violation, now=utc_now())
    labelling.page.keyboard.press("1")
    labelling.page.unroute("**/api/label/sync")
    expect(desk(labelling).locator(".notice")).to_contain_text("somebody else has decided it", timeout=20_000)
    expect(desk(labelling).locator(".unsaved dd")).to_have_text("0")
    assert [m["label"] for m in rows(forum.engine, decision, post_id=shown)] == [2]
    change_policy(forum.engine, operator, Policy(), now=utc_now())


def test_leaving_the_page_returns_its_posts(labelling: Visitor, forum: Served) -> None:
    me = labelling.name
    held = "SELECT count(*) FROM lease JOIN user ON user.id = user_id WHERE name = ? AND ended_at IS NULL"

    def count() -> int:
        with forum.engine.connect() as conn:
            return int(conn.exec_driver_sql(held, (me,)).scalar_one())

    assert count() == 20
    labelling.page.get_by_test_id("stSidebarNav").get_by_role("link").first.click()
    wait_until(lambda: count() == 0, seconds=10)


def test_two_moderators_are_never_shown_the_same_post(
    forum: Served, labelling: Visitor, visit: Callable[[Served], Visitor]
) -> None:
    other = visit(forum)
    other.context.add_init_script(WITNESS)
    other.enter(forum.add_user(f"second-to-{labelling.name}", Role.moderator), "label")
    wait_for_card(other)
    for visitor in (labelling, other):
        visitor.page.evaluate(PRESS_EVERY, ["1", 8, 200])
        wait_until_saved(visitor)
    mine, theirs = ({made["post_id"] for made in decisions_of(forum, v)} for v in (labelling, other))
    assert len(mine) == len(theirs) == 8
    assert mine & theirs == set()


def test_the_card_shows_text_hits_and_reason_but_neither_author_nor_address(labelling: Visitor, forum: Served) -> None:
    shown = wait_for_card(labelling)
    found = rows(forum.engine, post, id=shown)[0]
    words = desk(labelling).inner_text()
    assert str(found["ip"]) not in words
    assert found["author"] is None or str(found["author"]) not in words
    expect(desk(labelling).locator(".reason")).to_contain_text("Shown")
    labelling.page.keyboard.press("h")
    expect(desk(labelling).locator(".original pre")).to_be_visible()
    labelling.page.keyboard.press("?")
    expect(desk(labelling).locator("dialog.help")).to_be_visible()
    labelling.page.keyboard.press("1")
    assert decisions_of(forum, labelling) == []
    labelling.page.keyboard.press("Escape")
    expect(desk(labelling).locator("dialog.help")).to_be_hidden()
    labelling.assert_clean()


def test_page_of_a_disabled_user_is_refused(labelling: Visitor, forum: Served, tmp_path: Path) -> None:
    me = labelling.name
    forum.run("users", "disable", me)
    labelling.page.keyboard.press("1")
    expect(desk(labelling).locator(".notice")).to_contain_text("signed out", timeout=10_000)
    assert decisions_of_name(forum, me) == 0
    labelling.page.get_by_test_id("stSidebarNav").get_by_role("link").first.click()
    expect(labelling.page.get_by_text("You are signed out.")).to_be_visible(timeout=10_000)
    way_back = labelling.page.get_by_test_id("stApp").get_by_role("link", name="Sign in")
    expect(way_back).to_be_visible()
    expect(labelling.page.get_by_text("TypeError")).to_have_count(0)
    with labelling.context.expect_page() as opened:
        way_back.click()
    expect(opened.value.get_by_label("Password")).to_be_visible()
    labelling.assert_clean()


def decisions_of_name(forum: Served, name: str) -> int:
    counted = "SELECT count(*) FROM decision JOIN source ON source.id = source_id WHERE source.name = ?"
    with forum.engine.connect() as conn:
        return int(conn.exec_driver_sql(counted, (name,)).scalar_one())
