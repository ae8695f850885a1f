"""Learning curves as one SVG file, to stand in the README: drawn by the benchmark, without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 430, 300  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 52, 92, 34, 44
TICKS = 5
LABEL_HEIGHT = 14  # that two names at the ends of lines keep apart
# Told apart by colour (Okabe and Ito 2008), by dashes and by the name at the end.
STYLES = (
    ("#0072b2", ""),
    ("#d55e00", ""),
    ("#009e73", "7 3"),
    ("#cc79a7", "2 3"),
    ("#8a6d00", "9 3 2 3"),
    ("#555555", "4 4"),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """lines: by name, (x, y) in order of x. goal: a level that is drawn across, with what it is called."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    goal: tuple[float, str] | None = None


def plot(panels: Sequence[Panel]) -> str:
    """Panels side by side, each with its own scale; a name has the same style in all of them."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    styles = {name: STYLES[at % len(STYLES)] for at, name in enumerate(names)}
    whole = WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {HEIGHT}" width="{whole}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{whole}" height="{HEIGHT}" fill="#ffffff"/>',
        *(_panel(panel, styles, at * WIDTH) for at, panel in enumerate(panels)),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _panel(panel: Panel, styles: Mapping[str, tuple[str, str]], left: int) -> str:
    points = [point for line in panel.lines.values() for point in line]
    levels = [y for _, y in points] + ([panel.goal[0]] if panel.goal else [])
    x_scale = _Scale(min(x for x, _ in points), max(x for x, _ in points), LEFT, WIDTH - RIGHT)
    y_scale = _Scale(min(levels), max(levels), HEIGHT - BOTTOM, TOP)
    parts = [f'<g transform="translate({left} 0)">', _text(LEFT, 18, panel.title, weight="600")]
    parts += [_axes(panel, x_scale, y_scale)]
    if panel.goal is not None:
        level = y_scale.place(panel.goal[0])
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}" stroke="#999999"/>')
        parts.append(_text(LEFT + 4, level - 4, panel.goal[1], fill="#777777", size=11))
    ends = _apart({name: y_scale.place(line[-1][1]) for name, line in panel.lines.items()})
    for name, line in panel.lines.items():
        colour, dashes = styles[name]
        drawn = " ".join(f"{x_scale.place(x):.1f},{y_scale.place(y):.1f}" for x, y in line)
        parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        parts.append(_text(WIDTH - RIGHT + 6, ends[name] + 4, name, fill=colour))
    return "\n".join([*parts, "</g>"])


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    begin: float
    end: float

    def place(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Round values, some five of them."""
        rough = ((self.high - self.low) or 1.0) / TICKS
        size = 10.0 ** math.floor(math.log10(rough))
        step = size * next(factor for factor in (1, 2, 5, 10) if factor * size >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [at * step for at in range(first, last + 1)]


def _axes(panel: Panel, x_scale: _Scale, y_scale: _Scale) -> str:
    bottom, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    parts = [
        f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="#444444"/>',
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, panel.x, anchor="middle"),
        f'<g transform="rotate(-90 14 {middle})">{_text(14, middle, panel.y, anchor="middle")}</g>',
    ]
    for x in x_scale.ticks():
        parts.append(_text(x_scale.place(x), bottom + 16, f"{x:,.0f}", anchor="middle", fill="#555555", size=11))
    for y in y_scale.ticks():
        parts.append(_text(LEFT - 6, y_scale.place(y) + 4, f"{y:.2f}", anchor="end", fill="#555555", size=11))
    return "\n".join(parts)


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = "#222222", size: int = 12, weight: str = "400"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )


def _apart(places: Mapping[str, float]) -> dict[str, float]:
    """Heights of names, from top to bottom, so that none covers another."""
    found: dict[str, float] = {}
    last = float("-inf")
    for name, place in sorted(places.items(), key=lambda each: each[1]):
        last = max(place, last + LABEL_HEIGHT)
        found[name] = last
    too_low = max(0.0, last - (HEIGHT - BOTTOM))
    return {name: place - too_low for name, place in found.items()}
