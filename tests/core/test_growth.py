"""The learning curve and what is read from it: found where it is there, and left open where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from core.growth import ENOUGH_JUDGED, NOT_SCORED, Learned, Outlook, forecast, learning_curve

RNG = np.random.default_rng
LABELS = np.array([100.0, 200, 400, 800, 1_600])


def law(labels: np.ndarray | float, *, highest: float = 0.85, b: float = 2.0, c: float = 0.5) -> np.ndarray:
    return np.asarray(highest - b * np.asarray(labels, dtype=float) ** -c)


def scattered(values: np.ndarray, deviation: float, *, seed: int = 1) -> np.ndarray:
    return values[:, None] + RNG(seed).normal(0, deviation, (len(values), 500))


def test_forecast_is_what_the_law_says_where_the_points_lie_on_it() -> None:
    found = forecast(LABELS, law(LABELS), scattered(law(LABELS), 0.001), rng=RNG(2))
    assert found
    assert found.value == pytest.approx(float(law(2_100) - law(1_600)), abs=0.001)
    assert found.interval[0] <= found.value <= found.interval[1]


def test_interval_holds_the_true_gain_about_as_often_as_it_says() -> None:
    true = float(law(2_100) - law(1_600))
    holds = 0
    for seed in range(60):
        values = law(LABELS) + RNG(seed).normal(0, 0.015, len(LABELS))
        found = forecast(LABELS, values, scattered(values, 0.015, seed=seed + 100), rng=RNG(seed))
        assert found
        holds += found.interval[0] <= true <= found.interval[1]
    assert holds >= 53


@pytest.mark.parametrize(
    ("values", "deviation", "outlook"),
    [
        (law(LABELS, b=9.0), 0.004, Outlook.go_on),
        (law(LABELS, b=0.1, c=1.5), 0.001, Outlook.may_stop),
        (law(LABELS), 0.08, Outlook.cannot_tell),
    ],
)
def test_outlook_follows_the_interval(values: np.ndarray, deviation: float, outlook: Outlook) -> None:
    found = forecast(LABELS, values, scattered(values, deviation), rng=RNG(2))
    assert found
    assert found.outlook is outlook


def test_curve_that_still_climbs_steadily_is_not_said_to_end() -> None:
    labels = np.arange(340.0, 7_000, 340)
    values = 0.5 + 0.3 * labels / 6_800
    found = forecast(labels, values, scattered(values, 0.012), rng=RNG(2))
    assert found
    assert found.interval[0] < 0.3 * 500 / 6_800 < found.interval[1]
    assert found.outlook is not Outlook.may_stop


def test_no_figure_is_promised_to_rise_above_1() -> None:
    values = np.array([0.5, 0.7, 0.85, 0.95, 0.999])
    found = forecast(LABELS, values, scattered(values, 0.001), rng=RNG(2))
    assert found
    assert found.interval[1] < 0.02


def test_curve_that_falls_promises_nothing() -> None:
    values = np.array([0.8, 0.78, 0.76, 0.74, 0.72])
    found = forecast(LABELS, values, scattered(values, 0.002), rng=RNG(2))
    assert found
    assert found.value == 0


@pytest.mark.parametrize("labels", [[100, 200, 400], [400, 400, 400, 800, 900], [500, 600, 700, 800]])
def test_too_few_or_too_near_points_forecast_nothing(labels: list[int]) -> None:
    there = np.array(labels, dtype=float)
    assert forecast(there, law(there), scattered(law(there), 0.01), rng=RNG(2)) is None


def version(labels: int, truth: np.ndarray, right: float, *, scored: float = 1.0) -> Learned:
    rng = RNG(labels)
    said = np.where(rng.random(len(truth)) < right, truth, (truth + 1) % 3)
    return Learned(f"v{labels}", labels, np.where(rng.random(len(truth)) < scored, said, NOT_SCORED))


def test_versions_are_measured_on_what_they_have_scored_and_stand_by_their_labels() -> None:
    truth = RNG(3).choice(3, 800, p=[0.8, 0.1, 0.1])
    found = learning_curve(
        [version(1_600, truth, 0.9), version(100, truth, 0.6, scored=0.5), version(400, truth, 0.8)],
        truth, families=np.arange(800), sizes=np.ones(800), rng=RNG(1),
    )  # fmt: skip
    assert [point.version for point in found.points] == ["v100", "v400", "v1600"]
    first, _, last = found.points
    assert (first.judged, last.judged) == (pytest.approx(400, abs=50), 800)
    assert last.figures["violation recall"].value == pytest.approx(0.9, abs=0.1)
    assert first.figures["macro_f1"].value < last.figures["macro_f1"].value
    assert found.forecasts == {}
    assert found.outlook is Outlook.cannot_tell


def test_recall_from_few_violations_is_not_shown_nor_versions_that_scored_little() -> None:
    truth = np.array([2] * 5 + [0] * 195)
    found = learning_curve(
        [version(100, truth, 0.9), version(200, truth, 0.9, scored=0.1)],
        truth, families=np.arange(200), sizes=np.ones(200), rng=RNG(1),
    )  # fmt: skip
    assert [(point.version, set(point.figures)) for point in found.points] == [("v100", {"macro_f1"})]
    few = truth[: ENOUGH_JUDGED - 1]
    sizes = np.ones(len(few))
    assert not learning_curve(
        [version(100, few, 0.9)], few, families=np.arange(len(few)), sizes=sizes, rng=RNG(1)
    ).points


def test_labelling_may_stop_only_where_nothing_is_to_be_gained_in_either_figure() -> None:
    truth = RNG(3).choice(3, 6_000, p=[0.8, 0.1, 0.1])
    versions = [version(labels, truth, 0.9) for labels in (100, 200, 400, 800, 1_600)]
    found = learning_curve(versions, truth, families=np.arange(6_000), sizes=np.ones(6_000), rng=RNG(1))
    assert set(found.forecasts) == {"macro_f1", "violation recall"}
    assert found.outlook is Outlook.may_stop
