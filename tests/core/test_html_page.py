"""Parts of a page: what is put into them is text, and charts stay within their frame."""

from __future__ import annotations

import base64
import hashlib
import re
from xml.etree import ElementTree

import pytest

from core.html_page import (
    CSP,
    HEIGHT,
    STYLE,
    WIDTH,
    Cell,
    Series,
    document,
    element,
    line_chart,
    reliability_chart,
    section,
    table,
)

EVIL = "<script>alert(1)</script><img src=x onerror='x'>\"&"


def test_text_is_escaped_wherever_it_enters() -> None:
    page = document(
        EVIL,
        element("p", EVIL, title=EVIL),
        section(EVIL, table([EVIL, Cell(EVIL)], [[EVIL, Cell(EVIL, "text")]])),
        line_chart([Series(EVIL, ((0.0, 1.0), (1.0, 2.0))), Series(EVIL, ())], title=EVIL, x_label=EVIL),
        reliability_chart([(0.5, 0.5, 1.0)], title=EVIL, x_label=EVIL),
        language='en" onload="x',
    )
    assert "<script" not in page
    assert "<img" not in page
    tree = ElementTree.fromstring(re.sub(r"<(meta[^>]*)>", r"<\1/>", page.removeprefix("<!doctype html>\n")))
    assert {name for node in tree.iter() for name in node.attrib if name.startswith("on")} == set()
    assert [node.text for node in tree.iter("h2")] == [EVIL]


def test_policy_allows_the_one_style_and_nothing_else() -> None:
    page = document("x", language="en")
    assert page.count("<style>") == 1
    digest = base64.b64encode(hashlib.sha256(page.partition("<style>")[2].partition("</style>")[0].encode()).digest())
    assert f"style-src 'sha256-{digest.decode()}'" in CSP
    assert CSP.startswith("default-src 'none'; ")
    assert "unsafe" not in CSP
    assert "url(" not in STYLE
    assert "@import" not in STYLE


@pytest.mark.parametrize(
    "chart",
    [
        line_chart([Series("a", ((0.0, 3.0), (50.0, 0.0), (200.0, 1.5)))], title="t", x_label="x"),
        line_chart([Series("a", ((7.0, 0.5),))], title="t", x_label="x", high=1.0),
        line_chart([], title="t", x_label="x"),
        line_chart([Series("a", ((0.0, 0.0), (0.0, 0.0)))], title="t", x_label="x"),
        reliability_chart([(0.0, 1.0, 0.0), (1.0, 0.0, 9.0)], title="t", x_label="x"),
        reliability_chart([], title="t", x_label="x"),
    ],
)
def test_everything_drawn_stays_within_the_frame(chart: str) -> None:
    tree = ElementTree.fromstring(chart)
    places = [(float(node.attrib["cx"]), float(node.attrib["cy"])) for node in tree.iter("circle")]
    for path in tree.iter("path"):
        numbers = list(map(float, re.findall(r"-?[\d.]+", path.attrib["d"])))
        places += list(zip(numbers[::2], numbers[1::2], strict=True))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_higher_values_stand_higher_and_later_ones_further_right() -> None:
    tree = ElementTree.fromstring(line_chart([Series("a", ((1.0, 1.0), (2.0, 3.0)))], title="t", x_label="x"))
    path = next(node.attrib["d"] for node in tree.iter("path") if "series" in node.attrib["class"])
    first_x, first_y, second_x, second_y = map(float, re.findall(r"[\d.]+", path))
    assert second_x > first_x
    assert second_y < first_y
