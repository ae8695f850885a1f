"""Once round the whole loop, as a new lead does it, with nothing but the browser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from sqlalchemy import Engine

from core.settings import PROJECT_DIR
from db.engine import read
from db.queue import current_round
from db.tables import decision, queue_entry, run
from tests.conftest import rows
from tests.e2e.conftest import Served, Visitor, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.training, pytest.mark.timeout(600)]


def reasons(engine: Engine) -> Counter[object]:
    """Why the posts of the served round are shown."""
    with read(engine) as conn:
        return Counter(entry["reason"] for entry in rows(engine, queue_entry, round_id=current_round(conn)))


def all_ended(engine: Engine, count: int) -> bool:
    found = rows(engine, run)
    return len(found) >= count and all(r["status"] not in ("queued", "running") for r in found)


def test_a_new_lead_goes_once_round_the_loop(served: Served, visit: Callable[[Served], Visitor]) -> None:
    assert (PROJECT_DIR / "models" / "starter" / "config.json").is_file()
    assert served.link is not None
    lead = visit(served)
    page, engine = lead.page, served.engine

    page.goto(served.url + served.link)
    lead.shoot("01-first-account")
    lead.sign_up(served.link, "lea")
    expect(page.get_by_text("There are no posts yet.")).to_be_visible()
    lead.shoot("02-empty-home")

    page.get_by_role("button", name="Try it with the sample forum").click()
    wait_until(lambda: all_ended(engine, 2), seconds=60)
    expect(page.get_by_text("1,200", exact=True).first).to_be_visible(timeout=30_000)
    lead.shoot("03-home-with-posts")
    assert set(reasons(engine)) <= {"hit", "random", "audit"}

    lead.go("Label")
    page.locator(".desk[data-painted]").wait_for()
    expect(page.locator(".desk .reason")).not_to_contain_text("model")
    lead.shoot("04-label")
    for n in range(20):
        page.locator(".desk[data-painted]").wait_for()
        page.keyboard.press("123"[n % 3])
        page.wait_for_timeout(60)
    expect(page.locator(".desk .unsaved dd")).to_have_text("0")
    expect(page.locator(".desk .today dd")).to_have_text("20")
    lead.shoot("05-label-after-twenty")
    assert len(rows(engine, decision)) == 420

    lead.go("Retrain")
    expect(page.get_by_role("combobox", name="Base encoder")).to_be_visible(timeout=30_000)
    lead.shoot("06-retrain")
    page.get_by_role("button", name="Retrain", exact=True).click()
    expect(page.get_by_text("running · training")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Loss by step")).to_be_visible(timeout=60_000)
    lead.shoot("07-training")
    page.reload()  # a refresh in the middle must not disturb it
    lead.settle()
    expect(page.get_by_role("link", name="Compare and promote v1")).to_be_visible(timeout=300_000)
    lead.shoot("08-trained")
    lead.assert_clean()

    lead.go("Home")
    expect(page.get_by_text("v1 is trained, but no version is active.")).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Compare and promote").click()
    expect(page.get_by_role("button", name="Promote v1")).to_be_visible(timeout=30_000)
    lead.shoot("09-models")
    page.get_by_role("button", name="Promote v1").click()
    expect(page.get_by_text("v1 is active.")).to_be_visible(timeout=30_000)
    wait_until(lambda: all_ended(engine, 4), seconds=180, why=lambda: str(rows(engine, run)[-1]))
    assert {r["status"] for r in rows(engine, run)} == {"succeeded"}
    assert reasons(engine)["uncertain"] > 100

    lead.go("Label")
    expect(page.locator(".desk .reason")).to_contain_text("model", timeout=20_000)
    page.locator(".desk[data-painted]").wait_for()
    page.keyboard.press("m")
    lead.shoot("10-label-by-the-model")

    lead.go("Distributions")
    bars = page.get_by_test_id("stVegaLiteChart").first.locator("svg .mark-rect path")
    expect(bars.first).to_be_attached(timeout=60_000)
    assert bars.count() >= 10
    expect(page.get_by_text("1,200 of 1,200 posts scored by v1")).to_be_visible()
    lead.shoot("11-distributions")
    bars.last.click(force=True)
    behind = re.compile(r" between \d\.\d+ and \d\.\d+: \d+ posts?$")
    expect(page.get_by_role("heading", name=behind)).to_be_visible(timeout=30_000)
    lead.shoot("12-distribution-posts")

    lead.go("Proof")
    expect(page.get_by_text("it takes 50", exact=False).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("The median of the latest", exact=False)).to_be_visible()
    lead.shoot("13-proof-of-little")

    lead.go("Home")
    lead.shoot("13-home")
    lead.assert_clean()
