"""Parts of a self-contained HTML page: no script, nothing fetched, and every text escaped where it enters a part.

Charts are SVG in the page itself. The one style stands in the head, and the page's own policy allows nothing besides.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Html(str):
    """Markup that was made by a part. Whatever else is put into a part is text, and is escaped there."""

    __slots__ = ()


Child = str | int | float | None

STYLE = """
:root { color-scheme: light dark; --ink: #23272b; --paper: #fbfbfa; --quiet: #5d656d; --line: #d9dcde; --mark: #2b5d8a;
  --normal: #2e7d4f; --suspicious: #9a6a00; --violation: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #16181b; --quiet: #a3abb3; --line: #3a3f45;
  --mark: #7fb2e0; --normal: #6fbf8f; --suspicious: #e0b350; --violation: #f2877f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p { max-width: 44em; margin: .4rem 0; } .quiet { color: var(--quiet); font-size: .9rem; }
.warning { border-left: 4px solid var(--violation); padding-left: .75rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; color: var(--quiet); font-size: .85rem; } td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; } td.text { min-width: 18em; overflow-wrap: anywhere; }
td.hit { font-weight: 700; } code { overflow-wrap: anywhere; font-size: .9em; }
figure { margin: .75rem 0; } svg { width: 100%; max-width: 34rem; height: auto; display: block; }
svg text { font-size: 12px; fill: var(--quiet); } .axis { stroke: var(--line); fill: none; }
.series { fill: none; stroke: var(--mark); stroke-width: 2; } .dot { fill: var(--mark); }
.series.normal { stroke: var(--normal); } .series.suspicious { stroke: var(--suspicious); stroke-dasharray: 6 3; }
.series.violation { stroke: var(--violation); stroke-dasharray: 2 3; } .ideal { stroke: var(--quiet);
  stroke-dasharray: 4 4; fill: none; } .key { fill: var(--mark); } .key.normal { fill: var(--normal); }
.key.suspicious { fill: var(--suspicious); } .key.violation { fill: var(--violation); }
""".strip()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"


def element(tag: str, *children: Child, **attributes: str | int | float) -> Html:
    """<tag …>children</tag>. An underscore at the end of an attribute's name is left out, others become dashes."""
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for name, value in attributes.items()
    )
    return Html(f"<{tag}{said}>{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Html:
    return Html("".join(_markup(child) for child in children if child is not None))


def _markup(child: str | int | float) -> str:
    return str(child) if isinstance(child, Html) else html.escape(str(child))


def document(title: str, *body: Child, language: str) -> Html:
    """The whole page. language: as in an attribute `lang`."""
    head = joined(
        [
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{html.escape(CSP)}">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html('<meta name="referrer" content="no-referrer">'),
            element("title", title),
            Html(f"<style>{STYLE}</style>"),
        ]
    )
    return joined(
        [Html("<!doctype html>\n"), element("html", element("head", head), element("body", *body), lang=language)]
    )


def section(title: str, *parts: Child) -> Html:
    return element("section", element("h2", title), *parts)


def paragraph(text: Child, *, class_: str = "") -> Html:
    return element("p", text, class_=class_) if class_ else element("p", text)


@dataclass(frozen=True, slots=True)
class Cell:
    """class_: number for right-aligned figures, text for posts, hit for what stands out."""

    content: Child
    class_: str = "number"


def table(header: Sequence[str | Cell], rows: Iterable[Sequence[str | Cell]]) -> Html:
    """A table; plain strings are left-aligned words."""
    head = element("tr", *(_cell("th", cell) for cell in header))
    body = (element("tr", *(_cell("td", cell) for cell in row)) for row in rows)
    listed = element("table", element("thead", head), element("tbody", *body))
    return element("div", listed, class_="scroll", tabindex=0)


def _cell(tag: str, cell: str | Cell) -> Html:
    if isinstance(cell, Cell):
        return element(tag, cell.content, class_=cell.class_)
    return element(tag, cell)


# --- charts ---------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT = 540, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 34


@dataclass(frozen=True, slots=True)
class Series:
    """points: (x, y) in order of x. class_: how it is drawn, see STYLE."""

    name: str
    points: tuple[tuple[float, float], ...]
    class_: str = ""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Maps values to places of a chart."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return round(LEFT + (value - self.left) / ((self.right - self.left) or 1) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - self.low) / ((self.high - self.low) or 1) * (HEIGHT - TOP - BOTTOM), 1)


def line_chart(series: Sequence[Series], *, title: str, x_label: str, high: float | None = None) -> Html:
    """Lines over a common x axis, from 0 to the highest value or to `high`."""
    points = [point for each in series for point in each.points]
    top = max((y for _x, y in points), default=1.0) if high is None else high
    frame = _Frame(0.0, max((x for x, _y in points), default=1.0), 0.0, top)
    drawn = [_line(each, frame) for each in series]
    return _chart(title, frame, x_label, [*drawn, *(_key(series) if len(series) > 1 else [])])


def reliability_chart(bins: Sequence[tuple[float, float, float]], *, title: str, x_label: str) -> Html:
    """bins: (said, happened, weight). On the diagonal what is said is what happens; larger dots weigh more."""
    frame = _Frame(0.0, 1.0, 0.0, 1.0)
    ideal = element("path", d=f"M{frame.x(0)} {frame.y(0)}L{frame.x(1)} {frame.y(1)}", class_="ideal")
    most = max((weight for _said, _happened, weight in bins), default=1.0) or 1.0
    dots = [
        element(
            "circle",
            element("title", f"{said:.2f} → {happened:.2f}"),
            cx=frame.x(said),
            cy=frame.y(happened),
            r=round(3 + 5 * (weight / most) ** 0.5, 1),
            class_="dot",
        )
        for said, happened, weight in bins
    ]
    line = _line(Series("", tuple((said, happened) for said, happened, _weight in bins)), frame)
    return _chart(title, frame, x_label, [ideal, line, *dots])


def _line(series: Series, frame: _Frame) -> Html:
    places = [f"{frame.x(x)} {frame.y(y)}" for x, y in series.points]
    if len(places) == 1:
        x, y = series.points[0]
        return element("circle", cx=frame.x(x), cy=frame.y(y), r=3, class_=f"key {series.class_}".strip())
    return element("path", d="M" + "L".join(places) if places else "M0 0", class_=f"series {series.class_}".strip())


def _key(series: Sequence[Series]) -> list[Html]:
    parts, x = [], LEFT + 8
    for each in series:
        parts.append(element("circle", cx=x, cy=TOP + 4, r=4, class_=f"key {each.class_}".strip()))
        parts.append(element("text", each.name, x=x + 9, y=TOP + 8))
        x += 24 + sum(13 if ord(character) > 0x2E7F else 7 for character in each.name)
    return parts


def _chart(title: str, frame: _Frame, x_label: str, drawn: Sequence[Html]) -> Html:
    floor, end = HEIGHT - BOTTOM, WIDTH - RIGHT
    axes = element("path", d=f"M{LEFT} {TOP}L{LEFT} {floor}L{end} {floor}", class_="axis")
    marks = [
        element("text", _tick(frame.high), x=LEFT - 6, y=TOP + 10, text_anchor="end"),
        element("text", _tick(frame.low), x=LEFT - 6, y=floor, text_anchor="end"),
        element("text", _tick(frame.left), x=LEFT, y=floor + 16),
        element("text", _tick(frame.right), x=end, y=floor + 16, text_anchor="end"),
        element("text", x_label, x=(LEFT + end) / 2, y=floor + 28, text_anchor="middle"),
    ]
    picture = element("svg", element("title", title), axes, *marks, *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
    return element("figure", element("figcaption", title, class_="quiet"), picture)


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.3g}"
