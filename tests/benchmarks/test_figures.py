"""Figures as tables of Markdown: what is measured of one thing stands in its row."""

from __future__ import annotations

from tests.benchmarks.figures import Figure, Outcome, markdown


def test_statistics_of_one_thing_share_its_row() -> None:
    figures = [
        Figure("desk: median", 12.34, "ms", "target: 20 ms; met"),
        Figure("desk: longest", 45, "ms"),
        Figure("saved", 20, ""),
    ]
    assert markdown("room", Outcome(figures)).splitlines() == [
        "| room |  | median | longest | notes |",
        "| --- | ---: | ---: | ---: | --- |",
        "| desk |  | 12.3 ms | 45 ms | target: 20 ms; met |",
        "| saved | 20 |  |  |  |",
    ]


def test_what_was_skipped_says_why() -> None:
    assert markdown("desk", Outcome(skipped="no Chromium")) == "**desk**: skipped, no Chromium\n"
