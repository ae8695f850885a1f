"""The model's view before the decision: on cards where the policy shows it, not on blind ones, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import Actor, Label, ModelView, Policy, Prediction, Role
from core.services import annotation
from core.services.annotation import Press, PressKind
from core.services.rules import change_policy
from db import models
from db.engine import write
from db.tables import decision, distinct_text, user
from tests.conftest import rows
from tests.core.services.conftest import unlike
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser

OPERATOR = Actor(None, "cli:test", Role.lead)
LEARNED: dict[str, object] = {"examples": {"training": {"normal": 80, "suspicious": 20, "violation": 20}}}


def score_all(served: Served) -> None:
    """An active version that takes every post for a violation."""
    with write(served.engine) as conn:
        version = models.add_version(
            conn, name="v1", run_id=None, base="b", folder="v1", manifest=LEARNED, metrics={}, now=utc_now()
        )
        models.promote(conn, version.id, promoted_by="lea", now=utc_now())
        text_ids = [text["id"] for text in rows(served.engine, distinct_text)]
        models.add_predictions(conn, [Prediction(version.id, text_id, (0.1, 0.2, 0.7)) for text_id in text_ids])


def decide_as_page(served: Served, actor: Actor, *, follows: Callable[[ModelView, int], bool]) -> None:
    """Decide all but a few posts as the label page would: with the view where the card carries it."""
    for _ in range(30):
        now = utc_now()
        cards = annotation.sync(served.engine, actor, [], holding=[], want=25, today=now, now=now).cards
        presses = [
            Press(
                f"press-{card.lease.id:06d}", PressKind.decide, card.lease.id, card.lease.post_id, card.text_id,
                Label.violation if follows(card.view, card.lease.post_id) else Label.normal,
                seen=ModelView.shown if card.view is ModelView.shown else None,
                version_id=None if card.prediction is None else card.prediction.version_id,
                seconds=2.0 if card.view is ModelView.shown else 3.5,
            )
            for card in cards
        ]  # fmt: skip
        annotation.sync(served.engine, actor, presses, holding=[], want=0, today=now, now=now)


def test_lead_shows_the_models_view_and_sees_what_it_does(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    lines = ["pid\tcontext", *(f"{n}\t{unlike(n)}" for n in range(800))]
    (tmp_path / "posts.tsv").write_text("\n".join(lines) + "\n")
    change_policy(served.engine, OPERATOR, Policy(second_share=0, shares={"audit": 0.0}), now=utc_now())
    served.run("import", str(tmp_path / "posts.tsv"))
    score_all(served)
    lead, moderator = visit(served), visit(served)
    lead.enter(served.add_user("lea", Role.lead), "anchoring")
    expect(lead.page.get_by_text("hidden until the decision", exact=False)).to_be_visible()
    lead.go("Policy")
    lead.page.get_by_text("What the model says, before the decision").click()
    lead.page.get_by_role("button", name="Save").click()
    expect(lead.page.get_by_text("Saved. It holds from now on", exact=False)).to_be_visible()

    moderator.enter(served.add_user("mo", Role.moderator), "label")
    page, desk = moderator.page, moderator.page.locator(".desk")
    painted = page.locator(".desk[data-painted]")
    painted.wait_for(timeout=20_000)
    seen = set()
    while seen < {True, False}:
        post_id, is_shown = desk.get_attribute("data-painted"), desk.locator(".model").is_visible()
        if is_shown and True not in seen:
            expect(desk.locator(".model .violation b")).to_have_text("70 %")
            moderator.shoot("89-model-view-card")
        if not is_shown and False not in seen:
            page.keyboard.press("m")
            expect(desk.locator(".model")).to_contain_text("judged without the model's view")
        seen.add(is_shown)
        page.keyboard.press("3")
        page.locator(f".desk[data-painted]:not([data-painted='{post_id}'])").wait_for(timeout=20_000)
    expect(desk.locator(".unsaved dd")).to_have_text("0", timeout=20_000)
    assert {made["model_view"] for made in rows(served.engine, decision)} <= {"shown", "blind", "withheld"}
    moderator.assert_clean()

    lead.go("Model view")
    expect(lead.page.get_by_text("Too little to tell yet", exact=False)).to_be_visible()
    served.add_user("mimi", Role.moderator)
    (mimi,) = rows(served.engine, user, name="mimi")
    decide_as_page(
        served,
        Actor(mimi["id"], "mimi", Role.moderator),
        follows=lambda view, post_id: post_id % 8 != 0 if view is ModelView.shown else post_id % 2 == 0,
    )
    lead.go("Home")
    lead.go("Model view")
    expect(lead.page.get_by_text("it leads them", exact=False)).to_be_visible()
    lead.shoot("90-model-view")
    lead.assert_clean()
