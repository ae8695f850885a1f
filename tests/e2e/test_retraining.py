"""The Retrain page while a training runs: how it is executed, its curves, and the figures behind them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect
from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Language, Role, Run, RunKind, RunPoint, RunStatus
from core.settings import PROJECT_DIR
from db import runs
from db.engine import write
from tests.e2e.conftest import Served, Visitor

pytestmark = pytest.mark.browser

FOUND = {
    "device": "a device",
    "devices": 1,
    "precision": "bf16",
    "batch_size": 32,
    "at_once": 8,
    "steps": 300,
    "class_weights": {"normal": 1.04, "suspicious": 4.2, "violation": 5.0},
    "chooses_best": True,
}


def begin(engine: Engine) -> Run:
    """A training that this process pretends to execute."""
    me = psutil.Process()
    with write(engine) as conn:
        added = runs.add_run(conn, kind=RunKind.training, config={"quick": False}, created_by="lea", now=utc_now())
        claimed = runs.claim_run(conn, added.id, pid=me.pid, process_started=me.create_time(), now=utc_now())
        assert claimed is not None
        runs.report_progress(conn, added.id, stage="training", done=0, total=300, message="step 0 of 300")
        runs.set_config(conn, added.id, added.config | {"found": FOUND})
    return claimed


def add_points(engine: Engine, run: Run, *points: RunPoint) -> None:
    with write(engine) as conn:
        for point in points:
            runs.add_point(conn, run.id, point)
        runs.beat(conn, run.id, now=utc_now())
        step = points[-1].step
        runs.report_progress(conn, run.id, stage="training", done=step, total=300, message=f"step {step} of 300")


def losses(start: int, end: int) -> list[RunPoint]:
    return [RunPoint(step, loss=1.1 / (1 + step / 80) + (step % 7) * 0.01) for step in range(start, end, 3)]


def test_curves_grow_while_a_training_runs_and_their_figures_stand_in_a_table(
    served: Served, visit: Callable[[Served], Visitor]
) -> None:
    served.add_user("lea", Role.lead)
    run = begin(served.engine)
    lead = visit(served)
    lead.enter("lea", "retrain")
    page = lead.page
    expect(page.get_by_text("on a device, precision bf16")).to_contain_text(
        "batches of 32, computed 8 at a time because memory is short · class weights: normal 1.04, suspicious 4.20"
    )
    expect(page.get_by_text("The curves begin with")).to_be_visible()
    lead.shoot("retrain-empty")
    add_points(served.engine, run, *losses(3, 60))
    expect(page.get_by_text("Loss by step")).to_be_visible(timeout=10_000)
    expect(page.get_by_text("Macro-F1 and recall follow after an epoch")).to_be_visible()
    lead.shoot("retrain-loss")
    add_points(
        served.engine,
        run,
        *losses(60, 200),
        RunPoint(63, macro_f1=0.51, recall=(0.97, 0.2, None)),
        RunPoint(126, macro_f1=0.66, recall=(0.95, 0.41, None)),
        RunPoint(189, macro_f1=0.71, recall=(0.94, 0.48, None)),
    )
    expect(page.get_by_text("Recall by step, on posts kept aside")).to_be_visible(timeout=10_000)
    charts = page.locator("[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas")
    expect(charts).to_have_count(3, timeout=10_000)
    page.get_by_text("The figures of these curves").click()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    lead.shoot("retrain-curves")
    lead.assert_clean()


def test_curves_of_a_training_that_has_ended_stay_and_are_read_in_chinese(
    served: Served, visit: Callable[[Served], Visitor]
) -> None:
    served.add_user("lea", Role.lead)
    run = begin(served.engine)
    add_points(served.engine, run, *losses(3, 300), RunPoint(300, macro_f1=0.7, recall=(0.9, 0.5, 0.6)))
    with write(served.engine) as conn:
        runs.finish_run(conn, run.id, status=RunStatus.cancelled, now=utc_now())
    lead = visit(served)
    with write(served.engine) as conn:
        conn.exec_driver_sql("UPDATE user SET language = ?", (Language.chinese.value,))
    lead.enter("lea", "retrain")
    expect(lead.page.get_by_text("各步的召回率（留出的帖子）")).to_be_visible(timeout=10_000)
    expect(lead.page.get_by_text("类别权重：合规 1.04, 疑似 4.20")).to_be_visible()
    lead.shoot("retrain-curves-zh")
    lead.assert_clean()


def make_slower(base: Path) -> None:
    """Larger weights, so that somebody can press a button meanwhile."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig.from_pretrained(base)
    config.update({"hidden_size": 192, "num_hidden_layers": 4, "intermediate_size": 768})
    BertForMaskedLM(config).save_pretrained(base)


@pytest.mark.training
def test_encoder_is_adapted_stopped_and_goes_on_from_the_page(
    served: Served, visit: Callable[[Served], Visitor], tiny_base: Path
) -> None:
    make_slower(shutil.copytree(tiny_base, served.home / "models" / "base" / "tiny"))
    served.add_user("lea", Role.lead)
    served.run("import", str(PROJECT_DIR / "data" / "samples" / "forum.tsv"))
    lead = visit(served)
    lead.enter("lea", "retrain")
    page = lead.page
    expect(page.get_by_text(re.compile(r"^[\d,]+ texts; it takes"))).to_be_visible(timeout=60_000)
    lead.shoot("retrain-adapting")
    name = page.get_by_label("Name of the new encoder")
    name.fill("../up")
    page.get_by_role("button", name="Adapt", exact=True).click()
    expect(page.get_by_text("is no name for an encoder")).to_be_visible(timeout=10_000)
    name.fill("ours")
    page.get_by_role("button", name="Adapt", exact=True).click()
    expect(page.get_by_text("Pretraining run 2")).to_be_visible(timeout=10_000)
    expect(page.get_by_text("running · training")).to_be_visible(timeout=60_000)
    lead.shoot("retrain-adapting-runs")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Stopped. What it has learned is kept: it can go on.")).to_be_visible(timeout=60_000)
    lead.shoot("retrain-adapting-stopped")
    lead.assert_clean()
    page.get_by_role("button", name="Go on with ours").click()
    expect(page.get_by_text("ours is ready: choose it as base encoder above.")).to_be_visible(timeout=120_000)
    lead.shoot("retrain-adapted")
    lead.assert_clean()
