"""What the Proof page says: what was found and how sure it is, and where posts are too few, how many are missing."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from core.comparison import Estimate
from core.domain import Label, Reason
from core.growth import Curve, Forecast, Point
from core.prevalence import Share, surplus
from core.services.proving import Pace, Proof, Yield
from ui.proof_charts import curve_chart, interval_chart
from ui.proof_words import (
    curve_caption,
    curve_table,
    draws_in_words,
    missing_in_words,
    outlook_in_words,
    point_rows,
    prevalence_in_words,
    share_row,
    yield_in_words,
    yield_row,
    yields_of,
)

NONE = Share(float("nan"), None, 0)


def share(value: float, low: float, high: float, families: int = 400) -> Share:
    return Share(value, (low, high), families)


def found(queue: Share, audit: Share, **others: object) -> Proof:
    about = Proof(
        prevalence={
            Label.normal: share(0.91, 0.89, 0.93), Label.suspicious: share(0.04, 0.03, 0.05),
            Label.violation: share(0.05, 0.035, 0.066),
        },
        drawn=400,
        disputed=0,
        queue=Yield(3_600, queue, queue),
        audit=Yield(400, audit, audit),
        surplus=surplus(queue, audit),
        by_reason={Reason.uncertain: Yield(3_000, queue, queue), Reason.audit: Yield(400, audit, audit)},
        curve=Curve((), {}),
        base="starter",
        other_bases=0,
        versions=5,
        in_slice=400,
        paces={Reason.uncertain: Pace(2.0, 3.0, 5.0, 900)},
        audit_share=0.1,
    )  # fmt: skip
    return replace(about, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("queue", "says"),
    [
        (share(0.31, 0.29, 0.33), "the queue finds 31.0 violations, chance 5.0. That is 23.4 to 28.5 more"),
        (share(0.055, 0.045, 0.065), "The difference (-1.4 to 2.3) could be chance."),
        (share(0.01, 0.005, 0.015), "fewer than chance: choose another order"),
    ],
)
def test_queue_is_held_against_chance_with_its_interval(queue: Share, says: str) -> None:
    assert says in yield_in_words(found(queue, share(0.05, 0.035, 0.066)))


def test_shares_of_the_forum_are_said_with_intervals_and_what_they_rest_on() -> None:
    proof = found(NONE, NONE, disputed=3)
    assert prevalence_in_words(proof) == (
        "Of all posts about 5.0 % are violations (3.5 to 6.6 %) and 4.0 % are suspicious (3.0 to 5.0 %)."
    )
    assert "From 400 posts that chance drew" in draws_in_words(proof)
    assert "3 more have no agreed label; Review settles them." in draws_in_words(proof)


def test_what_is_missing_is_said_with_how_to_get_it() -> None:
    proof = found(NONE, NONE)
    assert missing_in_words(proof, have=12, enough=50) == (
        "12 posts that chance drew are judged; it takes 50. They are 10% of the queue, so about 380 decisions more "
        "bring them; the Policy page changes that."
    )
    none = missing_in_words(replace(proof, audit_share=0.0), have=1, enough=50)
    assert "1 post that chance drew is judged" in none
    assert "The policy draws none" in none


def test_reasons_with_few_decisions_are_listed_without_figures() -> None:
    few = share(0.5, 0.1, 0.9, families=8)
    rows = [yield_row(name, each) for name, each in yields_of(found(share(0.3, 0.2, 0.4), few)).items()]
    assert [row["shown because"] for row in rows] == [
        "all that the queue chose",
        "the model was unsure",
        "drawn by chance",
    ]
    assert [row["violations in 100"] for row in rows] == ["30.0", "30.0", "–"]


CURVE = Curve(
    (
        Point("v1", 100, 400, 5, {"macro_f1": Estimate(0.4, (0.35, 0.45))}),
        Point("v2", 400, 500, 20, {
            "macro_f1": Estimate(0.6, (0.55, 0.65)), "violation recall": Estimate(0.7, (0.5, 0.9)),
        }),
    ),
    {},
)  # fmt: skip


@pytest.mark.parametrize(
    ("forecasts", "says"),
    [
        ({}, "cannot be told yet: it takes versions with 4 different numbers of labels"),
        (
            {"macro_f1": Forecast(0.03, (0.02, 0.04)), "violation recall": Forecast(0.0, (0.0, 0.02))},
            "Go on labelling: the model still learns from it. 500 labels more would bring about: macro-F1 +0.030 "
            "(+0.020 to +0.040); violations found (recall) +0.000 (+0.000 to +0.020).",
        ),
        (
            {"macro_f1": Forecast(0.002, (0.0, 0.004)), "violation recall": Forecast(0.0, (0.0, 0.009))},
            "may stop: neither figure would rise by 0.01.",
        ),
        ({"macro_f1": Forecast(0.002, (0.0, 0.004))}, "cannot be told yet"),
        (
            {"macro_f1": Forecast(0.02, (0.0, 0.08)), "violation recall": Forecast(0.0, (0.0, 0.009))},
            "cannot be told yet",
        ),
    ],
)
def test_stopping_hint_comes_with_its_reason(forecasts: dict[str, Forecast], says: str) -> None:
    assert says in outlook_in_words(replace(CURVE, forecasts=forecasts))


def test_versions_stand_in_a_table_with_what_they_were_measured_on() -> None:
    first, second = point_rows(CURVE)
    assert (first["version"], first["violations found (recall)"], first["measured on posts"]) == ("v1", "–", 400)
    assert second["interval of macro-F1"] == "0.550 to 0.650"
    assert "2 versions of other base encoders are left out" in curve_caption(found(NONE, NONE, other_bases=2))


def test_charts_hold_every_value_with_its_interval_and_count() -> None:
    table = pd.DataFrame([share_row("one", share(0.1, 0.05, 0.2), 70), share_row("two", share(0.3, 0.2, 0.4), 90)])
    drawn = interval_chart(table, value="v", axis="in 100", counted="posts").to_dict()
    (rows,) = drawn["datasets"].values()
    assert [(row["name"], row["low"], row["high"], row["count"]) for row in rows] == [
        ("one", 5.0, 20.0, 70),
        ("two", 20.0, 40.0, 90),
    ]
    curve = curve_chart(curve_table(CURVE, "macro_f1"), figure="macro-F1").to_dict()
    (points,) = curve["datasets"].values()
    assert [(point["labels"], point["value"], point["judged"]) for point in points] == [
        (100, 0.4, 400),
        (400, 0.6, 500),
    ]
    assert len(curve_table(CURVE, "violation recall")) == 1
