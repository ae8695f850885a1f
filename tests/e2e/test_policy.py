"""The Policy page: the order of the queue is chosen, looked at before it holds, and holds from the next renewal on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import Prediction, Role
from core.services import queueing
from db import models, policies
from db.engine import read, write
from db.queue import current_round
from db.tables import distinct_text, queue_entry
from tests.conftest import rows
from tests.core.services.conftest import unlike
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser


def score_all(served: Served) -> None:
    """An active version that has seen enough labels, and says something else of every post."""
    texts = [text["id"] for text in rows(served.engine, distinct_text)]
    said = np.random.default_rng(1).dirichlet((3, 1, 1), size=len(texts)).tolist()
    with write(served.engine) as conn:
        manifest: dict[str, object] = {"examples": {"training": {"normal": 80, "suspicious": 20, "violation": 20}}}
        version = models.add_version(
            conn, name="v1", run_id=None, base="b", folder="v1", manifest=manifest, metrics={}, now=utc_now()
        )
        models.promote(conn, version.id, promoted_by="lea", now=utc_now())
        found = zip(texts, said, strict=True)
        models.add_predictions(conn, [Prediction(version.id, text, (p[0], p[1], p[2])) for text, p in found])


def test_lead_chooses_the_order_sees_what_would_come_first_and_it_holds_from_then_on(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    lines = ["pid\thit_word\tcontext", *(f"{n}\t词{n % 7}\t{unlike(n)}" for n in range(300))]
    (tmp_path / "posts.tsv").write_text("\n".join(lines) + "\n")
    served.run("import", str(tmp_path / "posts.tsv"))
    served.add_user("lea", Role.lead)
    lead = visit(served)
    lead.enter("lea", "policy")
    page = lead.page
    page.get_by_role("button", name="Show what would come first").click()
    expect(page.get_by_text("The next 50 posts: ", exact=False)).to_contain_text("hit words 4")
    score_all(served)
    page.get_by_role("button", name="Show what would come first").click()
    expect(page.get_by_text("The next 50 posts: ", exact=False)).to_contain_text("the model was unsure 3")
    lead.shoot("85-order-of-the-queue")
    page.get_by_role("combobox", name="Once there is a model, first come").click()
    page.get_by_role("option", name="posts whose likeliest label has a probability within a band").click()
    band = page.get_by_role("spinbutton", name="to", exact=True)
    band.fill("35")
    band.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("stAlert")).to_contain_text("The band goes from 40% to 35%")
    band.fill("50")
    band.press("Enter")
    page.get_by_role("button", name="Show what would come first").click()
    expect(page.get_by_text("The next 50 posts: the model was unsure 4", exact=False)).to_be_visible()
    lead.shoot("86-band")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. It holds from now on", exact=False)).to_be_visible()
    with read(served.engine) as conn:
        stored = policies.current_policy(conn)
    assert (stored.strategy, stored.band_low, stored.band_high) == ("band", 0.4, 0.5)
    assert stored.shares["uncertain"] == 0.6, "what the page did not show stays"

    queueing.renew_queue(served.engine, now=utc_now())
    with read(served.engine) as conn:
        entries = rows(served.engine, queue_entry, round_id=current_round(conn))
    shown = sorted(entries, key=lambda entry: entry["rank"])[:30]
    assert Counter(entry["reason"] for entry in shown)["uncertain"] == 27
    assert all(0.4 <= entry["score"] <= 0.5 for entry in shown if entry["reason"] == "uncertain")
    lead.assert_clean()
