"""The review page: a lead settles what sources disagree about, and says what a source's word is worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.domain import Role
from db.engine import read
from db.golds import gold_posts
from db.tables import source
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


def test_lead_settles_a_disagreement_and_raises_a_models_suggestions(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    served.run("import", labelled(tmp_path / "first.jsonl", "normal", "normal"))
    served.run("import", labelled(tmp_path / "second.jsonl", "violation", "normal"))
    served.run("import", labelled(tmp_path / "llm.jsonl", *["suspicious"] * 3), "--trust", "suggestion")
    assert gold(served) == {2: "normal"}
    lead = visit(served)
    lead.sign_in(served.add_user("lea", Role.lead))
    lead.go("Review")
    page = lead.page
    expect(page.get_by_text("1 post · page 1 of 1")).to_be_visible()
    expect(page.get_by_text("Post 1, left out of training until it is settled")).to_be_visible()
    expect(page.get_by_text("violation 违规 · second.jsonl")).to_be_visible()
    lead.shoot("50-review")
    page.get_by_role("button", name="suspicious 疑似").click()
    expect(page.get_by_text("No disagreement.", exact=False)).to_be_visible()
    assert gold(served) == {1: "suspicious", 2: "normal"}

    page.get_by_role("combobox", name="Trust in llm.jsonl", exact=False).click()
    page.get_by_role("option", name="human", exact=True).click()
    wait_until(lambda: rows(served.engine, source, name="llm.jsonl")[0]["trust"] == "human", seconds=20)
    expect(page.get_by_text("1 post · page 1 of 1")).to_be_visible()
    expect(page.get_by_text("Post 2, counts as normal 合规 until it is settled")).to_be_visible()
    assert gold(served) == {1: "suspicious", 2: "normal", 3: "suspicious"}
    lead.assert_clean()
