"""The plot of learning curves: well-formed, small, every line and name in it, and no name on another."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from core.domain import Strategy
from tests.benchmarks.plot import HEIGHT, LABEL_HEIGHT, WIDTH, Panel, plot
from tests.benchmarks.selecting import BATCH, LABELS, panel

SVG = "{http://www.w3.org/2000/svg}"


def run(end: float) -> dict[str, object]:
    counts = list(range(100, LABELS + 1, BATCH))
    return {"labels": counts, "macro_f1": [end * n / LABELS for n in counts], "goals": {"macro_f1": 0.8}}


def test_plot_holds_each_strategy_as_a_line_with_its_name_beside_the_others() -> None:
    runs = {strategy: [run(0.7 + 0.001 * at), run(0.72)] for at, strategy in enumerate(Strategy)}
    drawn = plot([panel("2 classes", runs), panel("3 <classes>", runs)])
    assert len(drawn.encode()) < 100_000
    root = ElementTree.fromstring(drawn)
    assert len(root.findall(f".//{SVG}polyline")) == 2 * len(Strategy)
    texts = root.findall(f".//{SVG}text")
    assert {text.text for text in texts} >= {*map(str, Strategy), "labels", "macro-F1", "95% of all labels'"}
    heights = sorted(float(text.attrib["y"]) for text in texts if text.text in set(Strategy))[::2]
    assert min(b - a for a, b in pairwise(heights)) >= LABEL_HEIGHT - 1e-6
    assert heights[-1] <= HEIGHT


def test_lines_lie_inside_the_panel_and_higher_values_higher_up() -> None:
    drawn = plot(
        [Panel("one", "labels", "value", {"rising": [(100, 0.2), (200, 0.6)], "flat": [(100, 0.3), (200, 0.3)]})]
    )
    lines = ElementTree.fromstring(drawn).findall(f".//{SVG}polyline")
    points = [[tuple(map(float, at.split(","))) for at in line.attrib["points"].split()] for line in lines]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for line in points for x, y in line)
    (_, low), (_, high) = points[0]
    assert high < low
    assert points[1][0][1] == points[1][1][1]
