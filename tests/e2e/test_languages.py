"""Every page in both languages, at both sizes, light and dark: readable, and usable by keyboard and screen reader."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from sqlalchemy import select

from core.clock import utc_now
from core.domain import Actor, Label, Prediction, Role
from core.services import annotation, queueing
from db import models as model_rows
from db.engine import write
from db.tables import distinct_text, promotion
from tests.e2e.conftest import DESKTOP, PHONE, SCREENSHOTS, Served, Visitor

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = ("serious", "critical")
# What is Streamlit's own and is not ours to change: (rule, part of the element) and why.
STREAMLITS = (
    ("list", 'data-testid="stSidebarNavItems"', "the navigation wraps each entry in a div"),
    ("listitem", '<li class="st-emotion-cache-', "the same entries"),
)
SPOKEN = {"en": "en-GB", "zh": "zh-CN"}


def test_language_is_a_persons_own_choice(served: Served, visit: Callable[[Served], Visitor]) -> None:
    moderator = visit(served)
    moderator.sign_in(served.add_user("mo", Role.moderator))
    page, navigation = moderator.page, moderator.page.get_by_test_id("stSidebarNav")
    navigation.get_by_role("link", name="My work", exact=True).click()
    page.get_by_role("heading", name="My work", level=1).wait_for()
    page.get_by_role("button", name="中文").click()
    navigation.get_by_role("link", name="我的工作", exact=True).wait_for(timeout=30_000)
    moderator.settle()
    assert page.url.endswith("/own")
    page.locator("html[lang=zh-Hans]").wait_for(state="attached")  # what a screen reader goes by
    page.get_by_role("button", name="退出", exact=True).click()
    page.get_by_role("button", name="登录", exact=True).wait_for()  # this browser remembers
    elsewhere = visit(served)
    elsewhere.page.goto(served.url + "/signin")
    elsewhere.page.get_by_role("button", name="Sign in").wait_for()
    elsewhere.sign_in("mo")
    elsewhere.page.get_by_test_id("stSidebarNav").get_by_role("link", name="我的工作", exact=True).wait_for()
    elsewhere.page.get_by_role("button", name="English").click()
    elsewhere.page.get_by_test_id("stSidebarNav").get_by_role("link", name="My work", exact=True).wait_for()
    elsewhere.page.locator("html[lang=en]").wait_for(state="attached")
    elsewhere.assert_clean()


# --- every page -------------------------------------------------------------------------------------------------------


def fill(served: Served) -> None:
    """The sample forum, a moderator's day in it, and a version that has scored it: something for each page to show."""
    served.run("import", "data/samples/forum.tsv", "data/samples/labelled.jsonl")
    engine, now = served.engine, utc_now()
    mo = actor(served, served.add_user("mo", Role.moderator))
    queueing.renew_queue(engine, now=now, seed=1)
    cards = annotation.sync(engine, mo, [], holding=[], want=9, today=now, now=now).cards
    presses = [
        annotation.Press(
            id=f"press-of-the-walk-{n:04}",
            kind=annotation.PressKind.decide,
            lease_id=card.lease.id,
            post_id=card.lease.post_id,
            text_id=card.text_id,
            label=label,
            seconds=2.0,
        )
        for n, (card, label) in enumerate(zip(cards[:6], [*Label, *Label], strict=True))
    ]
    annotation.sync(engine, mo, presses, holding=[], want=0, today=now, now=now)
    with write(engine) as conn:
        made = model_rows.add_version(
            conn, name="v1", run_id=None, base="starter", folder="v1", manifest={}, metrics={}, now=now
        )
        ids = list(conn.execute(select(distinct_text.c.id)).scalars())
        shares = [(0.8, 0.15, 0.05), (0.3, 0.5, 0.2), (0.1, 0.2, 0.7)]
        model_rows.add_predictions(conn, [Prediction(made.id, id_, shares[id_ % 3]) for id_ in ids])
        conn.execute(promotion.insert().values(version_id=made.id, promoted_by="test", promoted_at=now))


def actor(served: Served, name: str) -> Actor:
    with served.engine.connect() as conn:
        user_id = conn.exec_driver_sql("SELECT id FROM user WHERE name = ?", (name,)).scalar_one()
        role = conn.exec_driver_sql("SELECT role FROM user WHERE name = ?", (name,)).scalar_one()
    return Actor(user_id, name, Role(role))


def findings(visitor: Visitor) -> list[str]:
    """What axe-core finds serious on the page as it stands, Streamlit's own left out."""
    visitor.page.evaluate(AXE)
    asked = {"resultTypes": ["violations"]}
    found: dict[str, Any] = visitor.page.evaluate("options => axe.run(document, options)", asked)
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:160]}"
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
        if not any(rule == violation["id"] and part in node["html"] for rule, part, _why in STREAMLITS)
    ]


def addresses(visitor: Visitor) -> list[str]:
    links = visitor.page.get_by_test_id("stSidebarNavLink")
    return [link.get_attribute("href") or "" for link in links.all()]


def look(visitor: Visitor, name: str, *, dark: bool) -> list[str]:
    """Pictures at both sizes, and what is wrong: serious findings, and a page that scrolls sideways on a phone."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page, wrong = visitor.page, []
    page.screenshot(path=SCREENSHOTS / f"{name}-desktop.png")
    wrong += [f"{name}: {found}" for found in findings(visitor)]
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.wait_for_timeout(500)
    page.screenshot(path=SCREENSHOTS / f"{name}-phone.png")
    main = "document.querySelector('[data-testid=stMain]') ?? document.documentElement"
    width = page.evaluate(f"Math.max(document.documentElement.scrollWidth, ({main}).scrollWidth)")
    if width > PHONE["width"]:
        wrong.append(f"{name}: {width} px wide on a phone")
    if dark:
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"{name}-dark.png")
        wrong += [f"{name}, dark: {found}" for found in findings(visitor)]
        page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    return wrong


def sentences(visitor: Visitor) -> list[str]:
    """What stands on the page, posts and names aside, that has two English words in a row."""
    shown = visitor.page.get_by_test_id("stMain").inner_text()
    return [line for line in shown.splitlines() if re.search(r"\b[a-z]{3,} [a-z]{3,}\b", line)]


def test_sign_in_page_is_readable_in_both_languages(served: Served, visit: Callable[[Served], Visitor]) -> None:
    visitor = visit(served)
    visitor.page.goto(served.url + "/signin")
    wrong = look(visitor, "en-signin", dark=True)
    visitor.page.get_by_role("button", name="中文").click()
    wrong += look(visitor, "zh-signin", dark=False)
    assert wrong == []


@pytest.mark.parametrize(
    ("role", "language"),
    [(Role.lead, "en"), (Role.lead, "zh"), (Role.moderator, "zh"), (Role.analyst, "en")],
    ids=lambda value: str(value),
)
def test_every_page_is_readable_and_has_no_serious_finding(
    served: Served, visit: Callable[[Served], Visitor], role: Role, language: str
) -> None:
    fill(served)
    visitor = visit(served)
    visitor.enter("mo" if role is Role.moderator else served.add_user("somebody", role), "")
    if language == "zh":
        visitor.page.get_by_role("button", name="中文").click()
        visitor.page.locator("html[lang=zh-Hans]").wait_for(state="attached", timeout=30_000)
        visitor.settle()
    prefix = language if role is Role.lead else role.value
    wrong = []
    for address in addresses(visitor):
        visitor.page.locator(f"[data-testid=stSidebarNavLink][href='{address}']").click()
        visitor.page.wait_for_timeout(300)
        visitor.settle()
        visitor.page.wait_for_timeout(700)
        is_dark = prefix == "en"
        wrong += look(visitor, f"{prefix}-{address.rpartition('/')[2] or 'home'}", dark=is_dark)
    visitor.assert_clean()
    assert wrong == []
