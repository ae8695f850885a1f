"""The label page's script against a scripted server: what it does when answers are late, lost, or unwelcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, TimeoutError

from core.settings import PROJECT_DIR
from ui.label_words import card_words, guidelines_words

pytestmark = pytest.mark.browser

FOLDER = PROJECT_DIR / "ui" / "components" / "label"
PAGE = """<!doctype html><meta charset=utf-8><div id=p>%s</div><script type=module>
const words = %s;
import mount from '/label.js';
const labels = ['normal', 'suspicious', 'violation'].map((name) => ({name, chinese: name}));
const parentElement = document.querySelector('#p');
window.mount = (user, has_posts = true) => mount({
  parentElement, data: {user, csrf: 'c' + user, want: 3, labels, rules: [], reasons: {}, has_posts, ...words},
  key: 'label'});
window.mount(1);
</script>"""
WORDS = json.dumps({"words": card_words(), "guidelines_words": guidelines_words()})
Asked = dict[str, Any]
Answer = Callable[[Asked, int], dict[str, Any] | int | str]


def card(lease_id: int, *, text_id: int | None = None) -> dict[str, Any]:
    post_id = lease_id + 10
    segments = [{"kind": "text", "text": f"post {post_id}", "host": None}]
    return {
        "lease_id": lease_id, "post_id": post_id, "pid": None, "text_id": text_id or post_id, "segments": segments,
        "original": "o", "author": None, "hits": [], "reason": "random", "model": None,
        "copies": 0, "flag": None, "blind": False,
    }  # fmt: skip


def answer(**given: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"acked": [], "refused": [], "cards": [], "front": [], "lost": [], "recent": []}
    return empty | {"left": 9, "today": 0} | given


def saved(asked: Asked) -> dict[str, Any]:
    return answer(acked=[press["press_id"] for press in asked["presses"]])


def refused(asked: Asked, **given: Any) -> dict[str, Any]:
    return answer(refused=[press | {"reason": "REFUSED"} for press in asked["presses"]], **given)


class Desk:
    """The page with the component, and every request that it makes."""

    def __init__(self, browser: Browser, script: Answer) -> None:
        self.page = browser.new_context().new_page()
        self.asked: list[Asked] = []
        self.script = script
        self.page.route("**/*", self._serve)
        self.page.goto("http://localhost/label")
        with suppress(TimeoutError):  # a script may leave the first question unanswered
            self.page.wait_for_function(
                "!document.querySelector('.text').innerText.startsWith('Fetching')", timeout=1_000
            )
        self.wait()

    def _serve(self, route: Route) -> None:
        if route.request.url.endswith("/label.js"):
            route.fulfill(body=(FOLDER / "label.js").read_text(), content_type="text/javascript")
        elif "/api/label/sync" in route.request.url:
            asked = json.loads(route.request.post_data or "{}")
            self.asked.append(asked | {"csrf": route.request.headers["x-csrf-token"]})
            self._answer(route, self.script(asked, len(self.asked)))
        else:
            route.fulfill(body=PAGE % ((FOLDER / "label.html").read_text(), WORDS), content_type="text/html")

    def _answer(self, route: Route, said: dict[str, Any] | int | str) -> None:
        if said == "no connection":
            route.abort()
        elif isinstance(said, int):
            route.fulfill(status=said, body="{}", content_type="application/json")
        elif said != "silence":
            route.fulfill(body=json.dumps(said), content_type="application/json")

    def wait(self, ms: int = 150) -> None:
        self.page.wait_for_timeout(ms)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.wait()

    @property
    def painted(self) -> str | None:
        return self.page.locator(".desk").get_attribute("data-painted")

    @property
    def notice(self) -> str:
        return self.page.locator(".notice span").inner_text() if self.page.locator(".notice").is_visible() else ""

    @property
    def unsaved(self) -> str:
        return self.page.locator(".unsaved dd").inner_text()

    def presses(self) -> dict[str, dict[str, Any]]:
        """All presses that were sent, by id."""
        return {press["press_id"]: press for asked in self.asked for press in asked["presses"]}


@pytest.fixture
def desk(browser: Browser) -> Iterator[Callable[[Answer], Desk]]:
    made: list[Desk] = []

    def open_desk(script: Answer) -> Desk:
        made.append(Desk(browser, script))
        return made[-1]

    yield open_desk
    for found in made:
        found.page.context.close()


def three_cards_then(then: Answer) -> Answer:
    return lambda asked, n: answer(cards=[card(1), card(2), card(3)]) if n == 1 else then(asked, n)


def test_refusal_after_an_offline_spell_is_shown(desk: Callable[[Answer], Desk]) -> None:
    found = desk(three_cards_then(lambda asked, n: "no connection" if n in (2, 3) else refused(asked)))
    found.press("1")
    assert "No connection" in found.notice
    found.wait(2_500)
    assert (found.unsaved, "REFUSED" in found.notice) == ("0", True)


def test_refusal_stays_on_the_screen_over_the_next_press(desk: Callable[[Answer], Desk]) -> None:
    found = desk(three_cards_then(lambda asked, n: refused(asked) if n == 2 else saved(asked)))
    found.press("1")
    found.press("1")
    assert "REFUSED" in found.notice
    found.press("Escape")
    assert found.notice == ""


def test_post_whose_text_changed_comes_back_to_be_read_again(desk: Callable[[Answer], Desk]) -> None:
    back = {"cards": [card(1, text_id=99)], "front": [1]}
    found = desk(three_cards_then(lambda asked, n: refused(asked, **back) if n == 2 else saved(asked)))
    found.press("1")
    assert found.painted == "11"
    found.press("2")
    assert [press["text_id"] for press in found.presses().values()] == [11, 99]


def test_undo_after_a_refusal_takes_back_the_press_before_it(desk: Callable[[Answer], Desk]) -> None:
    found = desk(three_cards_then(lambda asked, n: refused(asked) if n == 3 else saved(asked)))
    for key in "11u":
        found.press(key)
    assert [press["lease_id"] for press in found.presses().values() if press["kind"] == "undo"] == [1]


def test_presses_of_one_person_are_never_sent_as_another(desk: Callable[[Answer], Desk]) -> None:
    found = desk(three_cards_then(lambda asked, n: 401))
    found.press("1")
    assert "signed out" in found.notice
    found.page.evaluate("void window.mount(2)")  # what it returns ends it, and would be called
    found.wait(1_500)
    assert {asked["csrf"] for asked in found.asked if asked["presses"]} == {"c1"}
    stored = "Object.keys(localStorage).filter((key) => key.startsWith('tiebreak-press:1:')).length"
    assert found.page.evaluate(stored) == 1


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_one_click_is_one_decision_whatever_is_held_after_it(desk: Callable[[Answer], Desk], key: str) -> None:
    found = desk(three_cards_then(lambda asked, n: saved(asked)))
    found.page.click(".answers button.violation")
    found.wait()
    for _ in range(5):
        found.page.keyboard.down(key)
        found.wait(40)
    found.page.keyboard.up(key)
    found.wait()
    assert len(found.presses()) == 1


def test_connection_that_died_silently_is_given_up_and_the_press_sent_again(desk: Callable[[Answer], Desk]) -> None:
    found = desk(three_cards_then(lambda asked, n: "silence" if n == 2 else saved(asked)))
    found.press("1")
    assert found.unsaved == "1"
    found.wait(22_000)
    assert found.unsaved == "0"


def test_card_that_was_lost_while_its_press_is_unsaved_does_not_take_the_press_with_it(
    desk: Callable[[Answer], Desk],
) -> None:
    found = desk(three_cards_then(lambda asked, n: "no connection" if n == 2 else saved(asked) | {"lost": [2]}))
    found.press("1")
    found.wait(1_200)
    assert (found.unsaved, found.painted) == ("0", "13")


def test_hint_for_a_correction_leaves_the_models_sentence_alone(desk: Callable[[Answer], Desk]) -> None:
    made = {"decision_id": 5, "lease_id": 4, "post_id": 14, "text_id": 14, "text": "t", "label": "normal", "copies": 0}
    found = desk(lambda asked, n: answer(cards=[card(1)], recent=[made]))
    found.press("m")
    assert "No model has scored" in found.page.locator(".model").inner_text()
    found.page.click(".recent .row")
    assert "No model has scored" in found.page.locator(".model").inner_text()
    assert "corrects the chosen one" in found.page.locator("aside .hint").inner_text()


def test_chosen_decision_is_shown_whole_before_it_is_corrected(desk: Callable[[Answer], Desk]) -> None:
    text = "a long text that no narrow row can hold, " * 9 + "and its end"
    made = {"decision_id": 5, "lease_id": 4, "post_id": 14, "text_id": 14, "text": text, "label": "normal", "copies": 0}
    found = desk(lambda asked, n: answer(cards=[card(1)], recent=[made]))
    found.page.add_style_tag(content=(FOLDER / "label.css").read_text())
    row = found.page.locator(".recent .row span").last
    cut = "span => span.scrollWidth > span.clientWidth"
    assert row.evaluate(cut)
    row.click()
    assert not row.evaluate(cut)
    assert row.inner_text() == text


def test_desk_of_a_fresh_installation_tells_no_posts_from_all_decided(desk: Callable[[Answer], Desk]) -> None:
    found = desk(lambda asked, n: answer(left=0))
    assert "every post is decided" in found.page.locator(".text").inner_text()
    found.page.evaluate("void window.mount(2, false)")
    found.wait()
    assert "no posts yet" in found.page.locator(".text").inner_text()


def test_presses_that_wait_are_spoken_of_in_their_number(desk: Callable[[Answer], Desk]) -> None:
    found = desk(three_cards_then(lambda asked, n: "no connection"))
    found.press("1")
    assert "1 press not saved yet: kept in this browser until it is." in found.notice
    found.press("1")
    found.wait(1_000)
    assert "2 presses not saved yet: kept in this browser until they are." in found.notice


def with_model(lease_id: int, *, is_shown: bool) -> dict[str, Any]:
    said = {"normal": 0.1, "suspicious": 0.2, "violation": 0.7}
    model = {"version": "v1", "version_id": 7, "label": "violation", "probabilities": said}
    return card(lease_id) | {"model": model, "shows_model": is_shown}


@pytest.mark.parametrize(
    ("is_shown", "keys", "seen"),
    [(True, "1", ["shown"]), (False, "1", [None]), (False, "m1", ["asked"]), (False, "1u1", [None, "after"])],
)
def test_press_says_how_the_models_view_was_seen(
    desk: Callable[[Answer], Desk], is_shown: bool, keys: str, seen: list[str | None]
) -> None:
    def script(asked: Asked, n: int) -> dict[str, Any]:
        if n == 1:
            return answer(cards=[with_model(1, is_shown=is_shown), card(2), card(3)])
        if any(press["kind"] == "undo" for press in asked["presses"]):
            return saved(asked) | {"cards": [with_model(4, is_shown=is_shown) | {"post_id": 11}], "front": [4]}
        return saved(asked)

    found = desk(script)
    assert found.page.locator(".model").is_visible() is is_shown
    for key in keys:
        found.press(key)
    decided = [press for press in found.presses().values() if press["kind"] == "decide"]
    assert [press.get("seen") for press in decided] == seen
    assert {press.get("version_id") for press in decided if press.get("seen")} <= {7}
