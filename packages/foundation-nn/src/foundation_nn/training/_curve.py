"""The loss of a run as a small picture in a notebook.

Over the losses of the steps lies a smoothed curve, as in a report. Letters and lines have the
colour of the notebook's text; the curves have colours that stand out from light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from foundation_nn.training._chart import _thin, _ticks
from foundation_nn.training._smoothing import smoothed

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 46
#: More evaluations than these are drawn as smaller points.
_MANY = 30
#: Contrast of at least 3 : 1 on white and on nearly black.
_BLUE, _ORANGE = "#3d85c6", "#d9730d"


def loss_curve(training: Points, held_out: Points) -> str:
    """The losses of all steps and of all evaluations, as SVG; "" where there is nothing to draw."""
    training = [point for point in training if math.isfinite(point[1])]
    held_out = [point for point in held_out if math.isfinite(point[1])]
    points = [*training, *held_out]
    if not points:
        return ""
    last = max(1.0, *(x for x, _ in points))
    ordered = sorted(y for _, y in points)
    # A few outliers, such as the loss of the first steps, must not flatten all the rest.
    high = ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.995))]
    x_ticks = [tick for tick in _ticks(0.0, last) if tick <= last and tick == round(tick)]
    y_ticks = _ticks(ordered[0], high)
    bottom, top = y_ticks[0], y_ticks[-1]

    def across(x: float) -> float:
        return _LEFT + x / last * (_WIDTH - _LEFT - _RIGHT)

    def down(y: float) -> float:
        share = (min(max(y, bottom), top) - bottom) / (top - bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    parts = []
    for tick in y_ticks:
        y = down(tick)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="currentColor" opacity=".2"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        )
    for tick in x_ticks:
        anchor = "end" if across(tick) > _WIDTH - 2 * _RIGHT else "middle"  # "1,000" must fit
        x = across(tick) + (_RIGHT if anchor == "end" else 0)
        parts.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="{anchor}">'
            f"{tick:,.0f}</text>"
        )
    middle = (_HEIGHT - _BOTTOM + _TOP) / 2
    parts.append(
        f'<text transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">loss</text>'
    )
    if training:
        smooth = smoothed([y for _, y in training]).tolist()
        line = [(x, y) for (x, _), y in zip(training, smooth, strict=True)]
        for points, look in ((training, 'opacity=".45"'), (line, 'stroke-width="2"')):
            path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in _thin(points))
            parts.append(f'<polyline points="{path}" fill="none" stroke="{_BLUE}" {look}/>')
    if held_out:
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in _thin(held_out))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{_ORANGE}" stroke-width="2" '
            'stroke-linejoin="round"/>'
        )
        radius = 3 if len(held_out) <= _MANY else 1.5  # of many points, the line must be seen
        parts += [
            f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="{radius}" fill="{_ORANGE}">'
            f"<title>step {x:,.0f}: {y:.4g}</title></circle>"
            for x, y in _thin(held_out)
        ]
    parts.append(_legend(bool(training), bool(held_out)))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="loss over the steps" '
        f'style="display:block;width:100%;max-width:{_WIDTH * 1.3:.0f}px;height:auto;'
        'font-family:inherit;font-size:12px" fill="currentColor">'
        f"{''.join(parts)}</svg>"
    )


def _legend(training: bool, held_out: bool) -> str:
    """Beneath the axis: the names of the curves, and what the axis counts."""
    y = _HEIGHT - 8
    parts = [f'<text x="{_WIDTH - _RIGHT}" y="{y}" text-anchor="end">step</text>']
    x = _LEFT
    for shown, name, color in ((training, "training", _BLUE), (held_out, "held out", _ORANGE)):
        if shown:
            parts.append(
                f'<path d="M{x} {y - 4}h16" stroke="{color}" stroke-width="3"/>'
                f'<text x="{x + 21}" y="{y}">{name}</text>'
            )
            x += 90
    return "".join(parts)
