"""Loss and learning rate over a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.plotting._figure import COLORS, new_figure, save_figure
from foundation_nn.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_history(
    history: History,
    path: str | os.PathLike[str],
    title: str = "Training",
    unit: str = "nats per token",
) -> None:
    """Loss and learning rate over the steps.

    Parameters
    ----------
    history : History
    path : path
        Where to write the picture, e.g. ``loss.png``.
    title : str
    unit : str
        What the loss counts; "" if nothing.

    Raises
    ------
    ValueError
        If the history has no steps.
    """
    if not history.steps:
        raise ValueError("plot_history: the history has no steps")
    figure, axes = new_figure(8, 5.5, rows=2)
    upper, lower = axes[:, 0]
    steps = np.array([s.step for s in history.steps])
    losses = np.array([s.loss for s in history.steps])
    upper.plot(steps, losses, color=COLORS[0], alpha=0.25, linewidth=0.8, label="each batch")
    upper.plot(steps, _smooth(losses), color=COLORS[0], linewidth=1.8, label="training, smoothed")
    if history.evaluations:
        upper.plot(
            [e.step for e in history.evaluations],
            [e.loss for e in history.evaluations],
            color=COLORS[1],
            marker="o",
            markersize=3.5,
            linewidth=1.4,
            label="held out",
        )
    upper.set(title=title, ylabel=f"loss ({unit})" if unit else "loss")
    upper.legend(frameon=False)
    upper.grid(alpha=0.25)
    lower.plot(steps, [s.lr for s in history.steps], color=COLORS[2], linewidth=1.6)
    lower.set(xlabel="step", ylabel="learning rate")
    lower.set_ylim(bottom=0)
    lower.grid(alpha=0.25)
    _share_x(upper, lower)
    save_figure(figure, path)


def _smooth(values: NDArray[Any]) -> NDArray[Any]:
    """An exponential mean over about a fiftieth of the run, without a bias at the start."""
    keep = 1 - 1 / max(1.0, len(values) / 50)
    mean, weight, out = 0.0, 0.0, []
    for value in values:
        mean = keep * mean + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        out.append(mean / weight)
    return np.array(out)


def _share_x(upper: Axes, lower: Axes) -> None:
    lower.sharex(upper)
    upper.tick_params(labelbottom=False)
