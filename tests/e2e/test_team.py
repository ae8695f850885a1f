"""A moderator hurries, and is told so gently; the lead sees everybody's figures and takes them along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.domain import Role
from db.engine import write
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser


def test_run_of_fast_decisions_is_said_gently_and_the_lead_sees_it_with_the_other_figures(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    lines = [
        f"{n}\t{'今天天气真好啊楼主说得很对出售自行车'[n % 12 :]}{chr(0x4E00 + 97 * n)}{n * 7919}" for n in range(1, 31)
    ]
    (tmp_path / "posts.tsv").write_text("\n".join(["pid\tcontext", *lines]) + "\n")
    served.run("import", str(tmp_path / "posts.tsv"))
    moderator = visit(served)
    moderator.enter(served.add_user("mo", Role.moderator), "label")
    page = moderator.page
    desk = page.locator(".desk")
    for _ in range(10):
        page.locator(".desk[data-painted]").wait_for(timeout=20_000)
        page.keyboard.press("1")
    expect(desk.locator(".notice")).to_contain_text("took less than a second each")
    page.locator(".desk[data-painted]").wait_for(timeout=20_000)
    page.wait_for_timeout(1_300)
    page.keyboard.press("2")
    expect(desk.locator(".notice")).to_be_hidden()
    expect(desk.locator(".unsaved dd")).to_have_text("0", timeout=20_000)
    moderator.open("/own")
    expect(page.get_by_text("There is no hurry", exact=False)).to_be_visible()
    moderator.assert_clean()

    with write(served.engine) as conn:  # as if it had been yesterday
        conn.exec_driver_sql(
            "UPDATE decision SET decided_at = datetime(decided_at, '-1 day') || '.000000' WHERE id < 6"
        )
    lead = visit(served)
    lead.enter(served.add_user("lea", Role.lead), "team")
    page = lead.page
    expect(page.get_by_test_id("stMetric").filter(has_text="Last 7 days")).to_contain_text("11")
    expect(page.get_by_text("posts a day) it is empty on", exact=False)).to_be_visible()
    expect(page.get_by_text("Worth a friendly word", exact=False)).to_be_visible()
    lead.shoot("55-team")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Download as TSV").click()
    header, line = downloaded.value.path().read_text().splitlines()
    found = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert (found["name"], found["in_all"], found["under_1_s"]) == ("mo", "11", "10")
    lead.assert_clean()
