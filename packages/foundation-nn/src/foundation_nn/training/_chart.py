"""Lines over the steps of a run, drawn for a page of any width.

The curves are an SVG that is stretched to the width there is; all letters are HTML beside it, and
therefore as large on a telephone as on a wide screen. Colours are names that the style sheet of the
page defines, for light and for dark screens.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

#: The units of the drawing, in both directions; the page stretches them.
_SIZE = 1000
#: More points than pixels make files large and show nothing more.
_MAX_POINTS = 800
#: More dots than that are drawn smaller, so that they do not hide one another.
_MANY_DOTS = 60
#: A logarithmic axis where the largest value is so many times the smallest.
_LOG_FROM = 100


class Line(NamedTuple):
    """A line of a chart.

    Attributes
    ----------
    name : str
    points : sequence of (float, float)
        x, which rises, and y.
    color : str
        A variable of the style sheet, such as "blue".
    style : {"line", "thin", "marked", "dots", "dashed"}
        "thin" is for another line on top of it; "marked" has a dot at each point, and "dots" is
        these alone.
    """

    name: str
    points: Sequence[tuple[float, float]]
    color: str
    style: str = "line"


class _Axis(NamedTuple):
    """Where values lie, from 0 at one end to 1 at the other, and the marks with their texts."""

    place: Callable[[float], float]
    ticks: list[tuple[float, str]]


def chart(
    lines: Sequence[Line],
    title: str,
    unit: str,
    from_zero: bool = False,
    may_be_log: bool = False,
) -> str:
    """The lines with axes, a grid and a legend; what is not finite is left out.

    Parameters
    ----------
    lines : sequence of Line
    title : str
    unit : str
        What the vertical axis counts.
    from_zero : bool
        The axis begins at 0, unless it is logarithmic.
    may_be_log : bool
        The axis is logarithmic if all values are positive and the largest is a hundred times the
        smallest.
    """
    lines = [
        line._replace(points=[p for p in line.points if math.isfinite(p[1])]) for line in lines
    ]
    lines = [line for line in lines if line.points]
    if not lines:
        return f"<p>{html.escape(title)}: nothing yet.</p>"
    across = _step_axis(max(1.0, *(x for line in lines for x, _ in line.points)))
    values = sorted(y for line in lines for _, y in line.points)
    low = values[0]
    # A few outliers, such as the loss of the first steps, must not flatten all the rest.
    high = values[min(len(values) - 1, math.ceil(len(values) * 0.995))]
    is_log = may_be_log and low > 0 and high >= _LOG_FROM * low
    up = _log_axis(low, high) if is_log else _linear_axis(0.0 if from_zero else low, high)
    unit += " (log scale)" if is_log else ""
    # Room for the texts, of the same width in most charts, so that their steps are in line.
    width = max(5, *(len(text) for _, text in up.ticks))
    y_texts = "".join(f'<span style="bottom:{at:.2%}">{text}</span>' for at, text in up.ticks)
    x_texts = "".join(f'<span style="left:{at:.2%}">{text}</span>' for at, text in across.ticks)
    grid = "".join(f'<path class="grid" d="M0 {_down(at)}H{_SIZE}"/>' for at, _ in up.ticks)
    drawn = "".join(_draw(line, across, up) for line in lines)
    legend = "".join(
        f'<li><i class="{line.style}" style="--color:var(--{line.color})"></i>'
        f"{html.escape(line.name)}</li>"
        for line in lines
    )
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<ul class="legend">{legend}</ul>'
        f'<div class="plot" style="--label:{width}ch"><div class="unit">{html.escape(unit)}</div>'
        f'<div class="y">{y_texts}</div>'
        f'<svg viewBox="0 0 {_SIZE} {_SIZE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(title)}">{grid}{drawn}</svg>'
        f'<div class="x">{x_texts}</div><div class="step">step</div></div></figure>'
    )


def _draw(line: Line, across: _Axis, up: _Axis) -> str:
    points = [(across.place(x) * _SIZE, _down(up.place(y)), x, y) for x, y in _thin(line.points)]
    color = f'style="--color:var(--{line.color})"'
    parts = []
    if line.style != "dots":
        path = " ".join(f"{x:.1f},{y}" for x, y, _, _ in points)
        parts.append(f'<polyline class="{line.style}" points="{path}" {color}/>')
    if line.style in ("marked", "dots"):
        # A line of no length with round ends stays round when the drawing is stretched.
        size = "dot small" if len(points) > _MANY_DOTS else "dot"
        parts += [
            f'<path class="{size}" d="M{x:.1f} {y}h0" {color}>'
            f"<title>step {step:,.0f}: {value:.4g}</title></path>"
            for x, y, step, value in points
        ]
    return "".join(parts)


def _down(at: float) -> str:
    """From the top of the drawing, of a place between 0 at its bottom and 1."""
    return f"{(1 - min(max(at, 0.0), 1.0)) * _SIZE:.1f}"


def _step_axis(last: float) -> _Axis:
    """Whole steps, from 0 to the last one."""
    ticks = [tick for tick in _ticks(0.0, last) if tick <= last and tick == round(tick)]
    return _Axis(lambda step: step / last, [(tick / last, f"{tick:,.0f}") for tick in ticks])


def _linear_axis(low: float, high: float) -> _Axis:
    """From one round number to another."""
    ticks = _ticks(low, high)
    first, last = ticks[0], ticks[-1]
    digits = max(0, math.ceil(-math.log10(ticks[1] - first) - 1e-9))
    is_long = max(abs(first), abs(last)) >= 1e7 or digits > 5

    def place(value: float) -> float:
        return (value - first) / (last - first)

    return _Axis(place, [(place(t), f"{t:.3g}" if is_long else f"{t:,.{digits}f}") for t in ticks])


def _log_axis(low: float, high: float) -> _Axis:
    """Powers of ten, written as 0.1, 1, 10, 100."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = math.ceil((last - first) / 7)

    def place(value: float) -> float:
        return (math.log10(value) - first) / (last - first) if value > 0 else 0.0

    powers = range(first, last + 1, every)
    return _Axis(place, [(place(10.0**p), _power(p)) for p in powers])


def _power(exponent: int) -> str:
    if not -4 <= exponent <= 6:
        return f"1e{exponent}"
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:.{-exponent}f}"


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
