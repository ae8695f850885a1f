"""What more labels bring: figures of versions by the labels they learned from, and the curve carried on.

The curve is a power law, value = a - b * labels ** -c (Figueroa et al. 2012, "Predicting sample size required for
classification performance"). Where what was seen does not level off, c is below 0, as far as a straight line: a law
that must level off would say of a curve that still climbs that it is about to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.comparison import Estimate, drawn_figures
from core.domain import Label
from core.resampling import draw_families, percentile_interval

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

FIGURES = ("macro_f1", "violation recall")
MORE = 500  # labels
WORTH = 0.01  # of a figure: less than this in so many labels is not worth them
ENOUGH_JUDGED, ENOUGH_VIOLATIONS = 100, 10  # of the audit slice: with fewer, a figure says nothing of the forum
FEWEST_POINTS, LEAST_SPREAD = 4, 2.0  # different numbers of labels; the most of them is so many times the least
NOT_SCORED = -1
DRAWS = 500
_POWERS = np.linspace(-1.0, 1.5, 26)
_NEAR_LOG = 1e-6
_LEAST_DEVIATION = 0.002  # a figure is never surer than this


class Outlook(StrEnum):
    go_on = "go on"
    may_stop = "may stop"
    cannot_tell = "cannot tell"


@dataclass(frozen=True, slots=True)
class Point:
    """A version's figures on the judged posts of the audit slice that it has scored; by name, as in FIGURES.

    labels: families it learned from. judged: families it is measured on. violations: of them. A figure that too few
    posts stand behind is missing.
    """

    version: str
    labels: int
    judged: int
    violations: int
    figures: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Forecast:
    """How much a figure would rise with MORE labels, and its 95 % interval; None where that cannot be told."""

    value: float
    interval: tuple[float, float]

    @property
    def outlook(self) -> Outlook:
        low, high = self.interval
        if high < WORTH:
            return Outlook.may_stop
        return Outlook.go_on if low > 0 and self.value >= WORTH else Outlook.cannot_tell


@dataclass(frozen=True, slots=True)
class Curve:
    """points: by number of labels. forecasts: by figure, of those that the points are enough for."""

    points: tuple[Point, ...]
    forecasts: dict[str, Forecast]

    @property
    def outlook(self) -> Outlook:
        """Labelling may stop only where neither figure has anything to gain."""
        found = [each.outlook for each in self.forecasts.values()]
        if Outlook.go_on in found:
            return Outlook.go_on
        is_flat = len(found) == len(FIGURES) and set(found) == {Outlook.may_stop}
        return Outlook.may_stop if is_flat else Outlook.cannot_tell


@dataclass(frozen=True, slots=True)
class Learned:
    """A version, the labels it learned from, and what it says of each judged text, (n,), NOT_SCORED where nothing."""

    version: str
    labels: int
    said: Ids


def learning_curve(
    versions: Sequence[Learned], truth: Ids, *, families: Ids, sizes: Floats, rng: np.random.Generator
) -> Curve:
    """Measure versions on the judged texts of the audit slice, and carry their curve on.

    truth, families, sizes: (n,) each. All versions are drawn on the same families, so that a slice that happens to be
    hard does not look like a step in learning.
    """
    draws = draw_families(families, rng=rng, draws=DRAWS)
    points, drawn = [], []
    for version in sorted(versions, key=lambda each: each.labels):
        is_scored = version.said != NOT_SCORED
        judged, violations = int(is_scored.sum()), int((truth[is_scored] == Label.violation).sum())
        if draws is None or judged < ENOUGH_JUDGED:
            continue
        measured, of_draws = drawn_figures(truth, version.said, is_scored * sizes, draws)
        known = [name for name in FIGURES if violations >= ENOUGH_VIOLATIONS or name != "violation recall"]
        figures = {name: Estimate(measured[name], percentile_interval(of_draws[name])) for name in known}
        points.append(Point(version.version, version.labels, judged, violations, figures))
        drawn.append(of_draws)
    forecasts = {}
    for name in FIGURES:
        there = [at for at, point in enumerate(points) if name in point.figures]
        labels = np.array([points[at].labels for at in there], dtype=np.float64)
        values = np.array([points[at].figures[name].value for at in there])
        by_draw = np.array([drawn[at][name] for at in there])
        found = forecast(labels, values, by_draw, rng=rng) if there else None
        if found is not None:
            forecasts[name] = found
    return Curve(tuple(points), forecasts)


def forecast(labels: Floats, values: Floats, drawn: Floats, *, rng: np.random.Generator) -> Forecast | None:
    """How much the figure would rise with MORE labels than the most so far; None where points are too few or too near.

    labels, values: (n_points,). drawn: (n_points, n_draws), the values on families drawn anew. The interval holds both
    what the judged posts leave open and how far trainings stray from the curve.
    """
    if len(np.unique(labels)) < FEWEST_POINTS or labels.max() < LEAST_SPREAD * labels.min():
        return None
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    if drawn.shape[1] < DRAWS // 2:
        return None
    weights = 1 / np.maximum(drawn.std(axis=1), _LEAST_DEVIATION) ** 2
    gain, fitted = _gains(labels, values[:, None], weights)
    astray = np.sqrt(((values - fitted[:, 0]) ** 2).sum() / max(1, len(labels) - 3))
    gains, _ = _gains(labels, drawn + rng.normal(0, astray, drawn.shape), weights)
    interval = percentile_interval(gains)
    return None if interval is None else Forecast(float(gain[0]), interval)


def _gains(labels: Floats, values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Fit each column of values, (n_points, n_draws); returns what it gains beyond, (n_draws,), and the fitted values.

    For a power the rest is a straight line, which never falls; no value rises above 1.
    """
    most = labels.max()
    share = weights / weights.sum()
    y_mean = share @ values
    least_error = np.full(values.shape[1], np.inf)
    gains, fitted = np.zeros(values.shape[1]), np.zeros_like(values)
    for power in _POWERS:
        x = _bent(labels / most, power)
        x_mean = share @ x
        slope = (share * (x - x_mean)) @ (values - y_mean) / (share @ (x - x_mean) ** 2)
        slope = np.maximum(slope, 0.0)
        line = y_mean + slope * (x - x_mean)[:, None]
        error = share @ (values - line) ** 2
        gained = slope * _bent(np.array([1 + MORE / most]), power)
        gained = np.minimum(gained, np.maximum(0.0, 1 - line[labels.argmax()]))
        is_better = error < least_error
        gains, fitted = np.where(is_better, gained, gains), np.where(is_better, line, fitted)
        least_error = np.minimum(error, least_error)
    return gains, fitted


def _bent(labels: Floats, power: float) -> Floats:
    """Rising from 0 at 1, as a power law does: levelling off for a power above 0, as a logarithm at 0."""
    bent: Floats = np.log(labels) if abs(power) < _NEAR_LOG else (1 - labels**-power) / power
    return bent
