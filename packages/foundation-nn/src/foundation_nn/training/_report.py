"""A run as one HTML page, which needs no other file."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from typing import Any

from foundation_nn.files import write_file
from foundation_nn.training._chart import Line, chart
from foundation_nn.training._history import History

_BLUE, _ORANGE, _GREEN, _RED = "#1f5fa8", "#c2570c", "#2f7d4f", "#b3261e"
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem }
figure { margin: 1.2rem 0 }
figcaption { font-weight: 600 }
figcaption span { font-weight: 400; margin-right: .8em }
svg { width: 100%; height: auto }
svg text { font-size: 12px; fill: currentColor }
polyline { fill: none; stroke-width: 2 }
.grid { stroke: currentColor; opacity: .15 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top }
td { overflow-wrap: anywhere }
tr + tr { border-top: 1px solid #8884 }
.columns { display: grid; gap: 2rem; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)) }
.warning { color: #b3261e }
"""


def write_report(
    history: History,
    path: str | os.PathLike[str],
    title: str = "Training",
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
) -> None:
    """Write a page with curves, what they tell, samples, settings and environment.

    The file holds its pictures and style; it asks no network for anything.

    Parameters
    ----------
    history : History
        As it was kept, or read by :func:`read_history`, also of a run that goes on.
    path : path
        The file to write.
    title : str
    settings, environment : dict, optional
        Shown as tables.

    Raises
    ------
    ValueError
        If the history has no steps.
    OSError
        If the file cannot be written; an older one is untouched.
    """
    if not history.steps:
        raise ValueError("write_report: the history has no steps")
    title = html.escape(title)
    body = [
        f"<h1>{title}</h1>",
        _table(_summary(history)),
        *(f'<p class="warning">{html.escape(text)}</p>' for text in diagnose(history)),
        *_charts(history),
        _samples(history),
        '<div class="columns">',
        *(
            f"<section><h2>{name}</h2>{_table(content)}</section>"
            for name, content in (("Settings", settings), ("Environment", environment))
            if content
        ),
        "</div>",
    ]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    write_file(path, page)


def diagnose(history: History) -> list[str]:
    """What an experienced eye would see in the curves; empty if nothing is amiss.

    The held-out loss has risen again; most gradients are clipped; the loss has hardly moved.
    """
    found = []
    steps, evaluations = history.steps, history.evaluations
    if len(evaluations) >= 3:
        best = min(evaluations, key=lambda e: e.loss)
        last = evaluations[-1]
        if last.loss > best.loss * 1.02:
            found.append(
                f"The held-out loss was best at step {best.step:,} ({best.loss:.3f}) and is "
                f"{last.loss:.3f} now: the model learns its training data by heart. Stop earlier, "
                "raise dropout, or find more data."
            )
    if len(steps) >= 20:
        tail = steps[len(steps) // 2 :]
        share = sum(s.clipped for s in tail) / len(tail)
        if share > 0.5:
            found.append(
                f"{share:.0%} of the gradients in the second half were clipped: in effect the "
                "learning rate is lower than it says. Lower it, or raise the norm."
            )
        tenth = max(1, len(steps) // 10)
        first, end = (sum(s.loss for s in part) / tenth for part in (steps[:tenth], steps[-tenth:]))
        if end > 0.98 * first:
            found.append(
                f"The loss has hardly moved, from {first:.3f} to {end:.3f}. Try a learning rate "
                "three times larger or smaller, and look at the data."
            )
    return found


def _summary(history: History) -> dict[str, str]:
    steps, evaluations = history.steps, history.evaluations
    content = {
        "steps": f"{len(steps):,} in {sum(s.seconds for s in steps):,.0f} s",
        "targets": f"{sum(s.tokens for s in steps):,} "
        f"({history.tokens_per_second:,.0f} each second)",
        "loss": f"{steps[0].loss:.4f} at first, {steps[-1].loss:.4f} at last",
        "clipped": f"{history.num_clipped:,} steps ({history.num_clipped / len(steps):.0%})",
    }
    if evaluations:
        best = min(evaluations, key=lambda e: e.loss)
        content["held-out loss"] = (
            f"{best.loss:.4f} at step {best.step:,} (the best), {evaluations[-1].loss:.4f} at last"
        )
    return content


def _charts(history: History) -> list[str]:
    steps, evaluations = history.steps, history.evaluations
    losses = [(s.step, s.loss) for s in steps]
    norms = [(s.step, s.grad_norm) for s in steps]
    clipped = [(s.step, s.grad_norm) for s in steps if s.clipped]
    held_out = Line("held out", [(e.step, e.loss) for e in evaluations], _ORANGE, style="marked")
    drawn = [
        chart(
            [
                Line("each step", losses, _BLUE, style="faint"),
                Line("smoothed", _smooth(losses), _BLUE),
                held_out,
            ],
            "Loss",
        )
    ]
    for name in evaluations[-1].metrics if evaluations else ():
        points = [(e.step, e.metrics[name]) for e in evaluations if name in e.metrics]
        drawn.append(chart([Line("held out", points, _ORANGE, style="marked")], name))
    lr = [(s.step, s.lr) for s in steps]
    drawn.append(chart([Line("schedule", lr, _GREEN)], "Learning rate", zero=True))
    drawn.append(
        chart(
            [
                Line("each step", norms, _BLUE, style="faint"),
                Line("smoothed", _smooth(norms), _BLUE),
                Line("clipped", clipped, _RED, style="dots"),
            ],
            "Gradient norm, before clipping",
            zero=True,
        )
    )
    return drawn


def _samples(history: History) -> str:
    told = [e for e in history.evaluations if e.samples]
    if not told:
        return ""
    chosen = told if len(told) <= 6 else [told[i * (len(told) - 1) // 5] for i in range(6)]
    rows = "".join(
        f"<tr><td>{e.step:,}</td><td>{'<br>'.join(map(html.escape, e.samples))}</td></tr>"
        for e in chosen
    )
    return f"<h2>Samples</h2><table><tr><th>step</th><th></th></tr>{rows}</table>"


def _table(content: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in content.items()
    )
    return f"<table>{rows}</table>"


def _smooth(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """An exponential mean over about a fiftieth of the run, without a bias at the start."""
    keep = 1 - 1 / max(1.0, len(points) / 50)
    mean, weight, out = 0.0, 0.0, []
    for x, y in points:
        mean = keep * mean + (1 - keep) * y
        weight = keep * weight + (1 - keep)
        out.append((x, mean / weight))
    return out
