"""Lines over the steps of a run, as SVG that stands in a page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 860, 260, 64, 30, 12, 12
#: More points than pixels make files large and show nothing more.
_MAX_POINTS = 800


class Line(NamedTuple):
    """A line of a chart.

    Attributes
    ----------
    name : str
    points : sequence of (float, float)
        x, which rises, and y.
    color : str
    style : {"line", "faint", "marked", "dots"}
        "faint" is thin and pale, for another line on top of it; "marked" has a dot at each point,
        and "dots" is these alone.
    """

    name: str
    points: Sequence[tuple[float, float]]
    color: str
    style: str = "line"


def chart(lines: Sequence[Line], label: str, zero: bool = False) -> str:
    """The lines with axes, a grid and a legend; what is not finite is left out.

    Parameters
    ----------
    lines : sequence of Line
    label : str
        What is drawn.
    zero : bool
        The axis begins at 0.
    """
    lines = [
        line._replace(points=[p for p in line.points if math.isfinite(p[1])]) for line in lines
    ]
    lines = [line for line in lines if line.points]
    if not lines:
        return f"<p>{html.escape(label)}: nothing yet.</p>"
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    # A few outliers, such as the loss of the first steps, must not flatten all the rest.
    ordered = sorted(ys)
    low = 0.0 if zero else ordered[0]
    high = ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.995))]
    x0, x1 = 0.0, max(1.0, *xs)
    x_ticks, y_ticks = [t for t in _ticks(x0, x1) if t <= x1], _ticks(low, high)
    y0, y1 = min(low, y_ticks[0]), max(high, y_ticks[-1])

    def place(x: float, y: float) -> str:
        across = _LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT)
        up = (min(max(y, y0), y1) - y0) / (y1 - y0) * (_HEIGHT - _BOTTOM - _TOP)
        return f"{across:.1f},{_HEIGHT - _BOTTOM - up:.1f}"

    parts = []
    for tick in y_ticks:
        _, down = place(x0, tick).split(",")
        parts.append(f'<path class="grid" d="M{_LEFT} {down}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{down}" dy="4" text-anchor="end">{tick:.4g}</text>')
    for tick in x_ticks:
        across, _ = place(tick, y0).split(",")
        parts.append(
            f'<text x="{across}" y="{_HEIGHT - 8}" text-anchor="middle">{tick:,.0f}</text>'
        )
    for line in lines:
        points = _thin(line.points)
        if line.style != "dots":
            width = 'style="stroke-width:1;opacity:.35"' if line.style == "faint" else ""
            path = " ".join(place(x, y) for x, y in points)
            parts.append(f'<polyline points="{path}" stroke="{line.color}" {width}/>')
        for x, y in points if line.style in ("marked", "dots") else []:
            cx, cy = place(x, y).split(",")
            title = f"<title>step {x:,.0f}: {y:.4g}</title>"
            parts.append(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{line.color}">{title}</circle>')
    legend = " ".join(
        f'<span style="color:{line.color}{";opacity:.6" if line.style == "faint" else ""}">▬ '
        f"{html.escape(line.name)}</span>"
        for line in lines
    )
    return (
        f"<figure><figcaption>{html.escape(label)} &ensp; {legend}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(label)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that span the range."""
    if not high > low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 7)
    first = math.floor(low / step)
    return [step * i for i in range(first, math.ceil(high / step) + 1)]


def _thin(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """The lowest and highest of each stretch, so that no peak is lost."""
    if len(points) <= _MAX_POINTS:
        return points
    size = math.ceil(2 * len(points) / _MAX_POINTS)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return kept
