"""The Models page: a worse version needs a reason, and scoring that takes long is offered in part."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from core.clock import utc_now
from core.domain import LABEL_NAMES, Role, RunKind, RunStatus
from core.evaluation import NOTHING, Aside, evaluate
from core.learning import baseline
from core.learning.examples import TrainingExample
from core.loading import load_folder
from core.scorer import score_texts
from core.services import scoring
from core.settings import read_settings
from db import models, runs
from db.engine import read, write
from db.tables import audit_log, prediction, run
from tests.conftest import marked_text, rows
from tests.e2e.conftest import Served, Visitor, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

POSTS, LABELLED = 4_200, 900


def bring_in(served: Served, folder: Path) -> None:
    export, labels = folder / "posts.tsv", folder / "labels.jsonl"
    export.write_text("pid\tcontext\n" + "".join(f"{n}\t{marked_text(n % 3, n)}\n" for n in range(POSTS)))
    labelled = ({"pid": str(n), "text": marked_text(n % 3, n), "label": LABEL_NAMES[n % 3]} for n in range(LABELLED))
    labels.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in labelled))
    for path in (export, labels):
        served.run("import", str(path))


def measured_figures() -> dict[str, object]:
    """Of 2,000 texts drawn at random, by a model that is often sure."""
    rng = np.random.default_rng(1)
    proba = rng.dirichlet((0.5, 0.06, 0.12), size=2_000)
    truth = np.array([rng.choice(3, p=row) for row in proba])
    aside = Aside(truth, np.arange(2_000), np.ones(2_000), np.ones(2_000, dtype=bool))
    shares = np.bincount(truth, minlength=3) / 2_000
    return evaluate(np.log(proba + 1e-9), aside, trained=shares, seed=1).figures


def add_version(served: Served, name: str, *, learned: Callable[[int], int], texts: int, pace: float) -> None:
    """A version that a training brought, has scored so many texts, and was so fast."""
    settings, engine = read_settings({"TIEBREAK_HOME": str(served.home)}), served.engine
    examples = [TrainingExample(marked_text(n % 3, n), learned(n % 3)) for n in range(300)]
    manifest = baseline.make_baseline(
        examples, seed=1, snapshot_hash="x", out_dir=settings.versions_dir / name, measure=lambda folder: NOTHING
    )
    with write(engine) as conn:
        made = runs.add_run(conn, kind=RunKind.training, config={}, created_by="lea", now=utc_now())
        result = {"version": name, scoring.PACE: pace}
        runs.finish_run(conn, made.id, status=RunStatus.succeeded, now=utc_now(), result=result)
        metrics = measured_figures()
        version = models.add_version(
            conn,
            name=name,
            run_id=made.id,
            base="tfidf",
            folder=name,
            manifest=manifest,
            metrics=metrics,
            now=utc_now(),
        )
    rng = np.random.default_rng(1)
    ids = scoring.texts_to_score(engine, version, share=1.0, rng=rng)
    score_texts(engine, version, load_folder(settings, settings.versions_dir / name), ids[-texts:], cache=None, rng=rng)


def test_worse_version_becomes_active_for_a_reason_and_scores_the_part_that_was_chosen(
    served: Served, visit: Callable[[Served], Visitor], tmp_path: Path
) -> None:
    bring_in(served, tmp_path)
    add_version(served, "v1", learned=lambda label: label, texts=POSTS, pace=900.0)
    with write(served.engine) as conn:
        models.promote(conn, models.require_version(conn, "v1").id, promoted_by="lea", now=utc_now())
    # It has scored what was kept aside, as each new version has; which is among the labelled, the last to be scored.
    add_version(served, "v2", learned=lambda label: (label + 1) % 3, texts=POSTS, pace=2.0)
    with write(served.engine) as conn:
        v2 = models.require_version(conn, "v2")
        conn.execute(prediction.delete().where(prediction.c.version_id == v2.id, prediction.c.text_id > LABELLED))

    lead = visit(served)
    served.add_user("lea", Role.lead)
    lead.enter("lea", "models")
    page = lead.page
    expect(page.get_by_text("v2 is worse than v1 beyond what chance explains", exact=False)).to_be_visible()
    button = page.get_by_role("button", name="Promote v2 all the same")
    expect(button).to_be_disabled()
    half = f"50 % of them, drawn at random ({POSTS // 2:,} texts): about 10 minutes"
    expect(page.get_by_text(f"All {POSTS:,} texts: about {round((POSTS - LABELLED) / 2 / 60)} minutes")).to_be_visible()
    page.get_by_text(half).click()
    why = page.get_by_role("textbox", name="Why it is to become active all the same")
    why.fill("It finds what v1 lets through")
    why.press("Enter")
    expect(button).to_be_enabled()
    lead.shoot("82-worse-version")
    page.get_by_text("What it could decide by itself").click()
    expect(page.get_by_text(re.compile(r"Removing where a violation is at least 0\.\d{3} likely: "))).to_be_visible()
    expect(page.get_by_text(re.compile(r"Left for moderators: \d+\.\d% \(\d+\.\d% to "))).to_be_visible()
    lead.shoot("84-thresholds")
    button.click()
    expect(page.get_by_text("v2 is active.", exact=False)).to_be_visible()
    wait_until(lambda: rows(served.engine, run)[-1]["status"] == "succeeded", seconds=90)
    assert rows(served.engine, run)[-1]["config"] == {"version": "v2", "share": 0.5}
    assert rows(served.engine, audit_log, action="promote")[-1]["details"]["reason"] == "It finds what v1 lets through"
    with read(served.engine) as conn:
        assert models.count_unscored(conn, version_id=v2.id) == POSTS // 2
    lead.open("/models")
    expect(page.get_by_text(f"v2 has scored {POSTS // 2:,} of the pool's {POSTS:,} different texts.")).to_be_visible()
    lead.shoot("83-part-of-the-pool")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Report of v2").click()
    expect(opened.value.get_by_role("heading", name="Model version v2")).to_be_visible()
    expect(opened.value.locator("svg")).not_to_have_count(0)
    assert opened.value.evaluate("getComputedStyle(document.body).maxWidth") == "960px"  # the policy lets its style in
    opened.value.close()
    page.get_by_role("button", name="Score the pool").click()
    wait_until(lambda: rows(served.engine, run)[-1]["config"].get("share") == 1.0, seconds=10)
    wait_until(lambda: rows(served.engine, run)[-1]["status"] == "succeeded", seconds=90)
    expect(page.get_by_text("of the pool's", exact=False)).to_have_count(0, timeout=10_000)
    assert len(rows(served.engine, prediction, version_id=v2.id)) == POSTS
    lead.assert_clean()
