"""A run as one HTML page, which needs no other file."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from foundation_nn.files import write_file
from foundation_nn.training._chart import Line, chart
from foundation_nn.training._diagnose import diagnose
from foundation_nn.training._history import Evaluation, History, Sample
from foundation_nn.training._smoothing import smoothed

#: So many evaluations of a run show their samples: the first, the last, and some between.
_MAX_SHOWN = 6

#: How well-known metrics are written.
_NAMES = {"loss": "held-out loss", "bleu": "BLEU", "chrf": "chrF"}


def write_report(
    history: History,
    path: str | os.PathLike[str],
    title: str = "Training",
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    loss_unit: str = "mean over the targets",
    metric: str = "loss",
    maximize: bool = False,
) -> None:
    """Write a page with curves, what they tell, samples beside what was expected, and tables.

    The file holds its pictures and style; it asks no network for anything. It is written whole or
    not at all. Beside each noisy curve stands a smoothed one: at each step the value of a straight
    line through the steps around it, before and after, so that it does not lag behind.

    Parameters
    ----------
    history : History
        As it was kept, or read by :func:`read_history`, also of a run that goes on.
    path : path
        The file to write.
    title : str
        Such as the model and its data. The best score is added to it.
    tables : dict of str to dict, optional
        What else is to be shown, such as ``{"Settings": {"batch size": 64}}``.
    loss_unit : str
        What the loss is counted in, such as "nats per token".
    metric : str
        By which the best evaluation is found: "loss", or one of the metrics.
    maximize : bool
        More of it is better.

    Raises
    ------
    ValueError
        If the history has no steps, or no such metric.
    OSError
        If the file cannot be written; an older one is untouched.
    """
    if not history.steps:
        raise ValueError("write_report: the history has no steps")
    best = _best(history, metric, maximize)
    score = (
        f"loss {history.steps[-1].loss:.4g} after {len(history.steps):,} steps"
        if best is None
        else f"best {_NAMES.get(metric, metric)} {best.value(metric):.4g}, at step {best.step:,}"
    )
    style = files("foundation_nn").joinpath("training", "report.css").read_text("utf-8")
    body = [
        f'<h1>{html.escape(title)}</h1><p class="best">{html.escape(score)}</p>',
        _facts(history, best),
        *(f'<p class="warning">{html.escape(text)}</p>' for text in diagnose(history)),
        f'<div class="charts">{"".join(_charts(history, loss_unit))}</div>',
        _samples(history),
        f'<div class="columns">{"".join(map(_table, tables or {}, (tables or {}).values()))}</div>',
    ]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(f'{title}: {score}')}</title><style>\n{style}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )
    # Half a surrogate pair, which JSON may hold, is no text in UTF-8.
    write_file(path, page.encode(errors="backslashreplace"))


def _best(history: History, metric: str, maximize: bool) -> Evaluation | None:
    if not history.evaluations:
        return None
    return (max if maximize else min)(history.evaluations, key=lambda e: e.value(metric))


def _facts(history: History, best: Evaluation | None) -> str:
    """The numbers of a run, each with what it is and what it compares with."""
    steps = history.steps
    clipped = history.num_clipped
    facts = []
    if best is not None:
        last = history.evaluations[-1]
        facts.append(("Held-out loss", f"{best.loss:.4g}", f"{last.loss:.4g} at last"))
        facts += [
            (
                f"Held-out {_NAMES.get(name, name)}",
                f"{value:.4g}",
                f"{last.value(name):.4g} at last",
            )
            for name, value in best.metrics.items()
            if name in last.metrics
        ]
    facts += [
        ("Loss in training", f"{steps[-1].loss:.4g}", f"{steps[0].loss:.4g} at first"),
        ("Steps", f"{len(steps):,}", f"in {_duration(sum(s.seconds for s in steps))}"),
        (
            "Targets",
            f"{sum(s.tokens for s in steps):,}",
            f"{history.tokens_per_second:,.0f} each second",
        ),
        ("Clipped gradients", f"{clipped / len(steps):.0%}", f"{clipped:,} steps"),
    ]
    tiles = (f"<div><dt>{a}</dt><dd>{b}</dd><dd>{c}</dd></div>" for a, b, c in _escaped(facts))
    return f'<dl class="facts">{"".join(tiles)}</dl>'


def _charts(history: History, loss_unit: str) -> list[str]:
    steps, evaluations = history.steps, history.evaluations
    losses = [(s.step, s.loss) for s in steps]
    norms = [(s.step, s.grad_norm) for s in steps]
    rates = [(s.step, s.lr) for s in steps]
    clipped = [(s.step, s.grad_norm) for s in steps if s.clipped]
    held_out = Line("held out", [(e.step, e.loss) for e in evaluations], "orange", "marked")
    drawn = [chart([*_noisy(losses), held_out], "Loss", loss_unit, may_be_log=True)]
    for name in evaluations[-1].metrics if evaluations else ():
        points = [(e.step, e.metrics[name]) for e in evaluations if name in e.metrics]
        line = Line("held out", points, "orange", "marked")
        drawn.append(chart([line], _NAMES.get(name, name), "on the held-out data"))
    drawn.append(
        chart([Line("schedule", rates, "green")], "Learning rate", "at each step", from_zero=True)
    )
    drawn.append(
        chart(
            [*_noisy(norms), Line("clipped", clipped, "red", style="dots")],
            "Gradient norm",
            "root of the sum of squares, before clipping",
            from_zero=True,
            may_be_log=True,
        )
    )
    return drawn


def _noisy(points: Sequence[tuple[int, float]]) -> list[Line]:
    """A curve, and the same without its noise."""
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    values = [value for _, value in finite]
    # The lines through the first and the last values may point beyond all of them.
    trend = np.clip(smoothed(values), min(values, default=0), max(values, default=0))
    curve = [(step, value) for (step, _), value in zip(finite, trend.tolist(), strict=True)]
    return [Line("each step", points, "pale", style="thin"), Line("smoothed", curve, "blue")]


def _samples(history: History) -> str:
    """For each input what was made of it in the course of the run, below what was expected."""
    told = [e for e in history.evaluations if e.samples]
    if len(told) > _MAX_SHOWN:
        last = _MAX_SHOWN - 1
        told = [told[i * (len(told) - 1) // last] for i in range(_MAX_SHOWN)]
    by_input: dict[tuple[str, str | None], list[tuple[int, Sample]]] = {}
    for evaluation in told:
        for number, each in enumerate(evaluation.samples, start=1):
            sample = each if isinstance(each, Sample) else Sample(f"Sample {number}", each)
            shown = by_input.setdefault((sample.given, sample.expected), [])
            shown.append((evaluation.step, sample))
    cards = "".join(
        f'<div class="card"><p><b>{html.escape(given)}</b></p><table>'
        + _expected(expected)
        + "".join(_written(step, sample) for step, sample in shown)
        + "</table></div>"
        for (given, expected), shown in by_input.items()
    )
    return f'<h2>Samples</h2><div class="samples">{cards}</div>' if cards else ""


def _expected(text: str | None) -> str:
    if text is None:
        return ""
    return f'<tr class="expected"><th>expected</th><td>{html.escape(text)}</td></tr>'


def _written(step: int, sample: Sample) -> str:
    right = ' class="right"' if sample.is_right else ""
    return f"<tr><th>step {step:,}</th><td{right}>{html.escape(sample.written)}</td></tr>"


def _table(name: str, content: Mapping[str, Any]) -> str:
    pairs = _escaped([(str(key), _as_text(value)) for key, value in content.items()])
    rows = "".join(f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in pairs)
    return (
        f'<section><h2>{html.escape(name)}</h2><div class="card"><table>{rows}</table></div>'
        "</section>"
    )


def _as_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _escaped(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[html.escape(text) for text in row] for row in rows]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"
