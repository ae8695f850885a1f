"""What a benchmark hands back, and how it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


class Skipped(Exception):
    "The benchmark needs something that is not here; the message says what, and where to get it."


class BenchmarkFailed(Exception):
    "What was to be measured did not come to its end."


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one benchmark; skipped holds the reason."""

    figures: Sequence[Figure] = ()
    skipped: str | None = None


def table(figures: Sequence[Figure]) -> str:
    """Lines of name, value, unit and note, values aligned to the right."""
    values = [readable(figure.value) for figure in figures]
    names = max((len(figure.name) for figure in figures), default=0)
    width = max(map(len, values), default=0)
    units = max((len(figure.unit) for figure in figures), default=0)
    lines = (
        f"  {figure.name:<{names}}  {value:>{width}} {figure.unit:<{units}}  {figure.note}".rstrip()
        for figure, value in zip(figures, values, strict=True)
    )
    return "\n".join(lines) + "\n"


def markdown(name: str, outcome: Outcome) -> str:
    """The figures as a Markdown table: `thing: statistic` stands in the row of its thing, others below each other."""
    if outcome.skipped is not None:
        return f"**{name}**: skipped, {outcome.skipped}\n"
    by_thing: dict[str, dict[str, Figure]] = {}
    for figure in outcome.figures:
        thing, _, statistic = figure.name.rpartition(": ")
        by_thing.setdefault(thing or figure.name, {})[statistic if thing else ""] = figure
    statistics_ = list(dict.fromkeys(name for row in by_thing.values() for name in row if name))
    header = [name, *([""] if any("" in row for row in by_thing.values()) else []), *statistics_, "notes"]
    lines = [header, ["---", *["---:"] * (len(header) - 2), "---"]]
    for thing, row in by_thing.items():
        cells = [
            f"{readable(row[each].value)} {row[each].unit}".strip() if each in row else "" for each in header[1:-1]
        ]
        notes = "; ".join(dict.fromkeys(figure.note for figure in row.values() if figure.note))
        lines.append([thing, *cells, notes])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def readable(value: float) -> str:
    """Whole numbers as they are, others with about three digits that count."""
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    return f"{value:,.{3 if size < 1 else 2 if size < 10 else 1 if size < 1_000 else 0}f}"


def target(is_met: bool, wanted: str) -> str:
    """A note beside a figure that something was promised about."""
    return f"target: {wanted}; {'met' if is_met else 'MISSED'}"


def percentile_ms(seconds: Sequence[float], percentile: int) -> float:
    """Of two or more durations, never beyond the longest of them."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[percentile - 1] * 1_000
