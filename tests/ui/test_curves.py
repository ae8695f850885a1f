"""The curves of a training: a row for each step, and how the training is executed in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from core.domain import Run, RunKind, RunPoint, RunStatus
from ui.curves import how_in_words, table_of

RUN = Run(
    1, RunKind.training, RunStatus.running, "training", 0, 300, "", None, {}, {}, "lea",
    *[datetime(2026, 3, 2, tzinfo=UTC)] * 2, *[None] * 7,
)  # fmt: skip
FOUND = {
    "device": "a card",
    "devices": 1,
    "precision": "fp16",
    "batch_size": 32,
    "at_once": 32,
    "class_weights": {"normal": 1.0, "suspicious": 2.5, "violation": 5.0},
}


def run_with(**found: object) -> Run:
    return replace(RUN, config={"quick": True, "found": FOUND | found})


def test_points_stand_in_a_row_for_each_step_with_gaps_where_nothing_was_measured() -> None:
    table = table_of([RunPoint(3, loss=1.0), RunPoint(6, 0.5, 0.6, (0.9, None, 0.3))])
    assert table["step"].tolist() == [3, 6]
    assert table["macro_f1"].isna().tolist() == [True, False]
    assert table.loc[1, ["normal", "violation"]].tolist() == [0.9, 0.3]
    assert table["suspicious"].isna().all()


def test_it_is_said_on_what_in_which_precision_and_with_what_weights_a_training_runs() -> None:
    assert how_in_words(run_with()) == (
        "on a card, precision fp16 · batches of 32 · class weights: normal 1.00, suspicious 2.50, violation 5.00"
    )
    assert "computed 8 at a time because memory is short" in how_in_words(run_with(at_once=8))
    several = how_in_words(run_with(devices=4, at_once=8))
    assert "on 4 × a card, precision fp16 · batches of 32 ·" in several
    assert how_in_words(RUN) == ""
