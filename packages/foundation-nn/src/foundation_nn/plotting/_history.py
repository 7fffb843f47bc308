"""Loss and learning rate over a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.plotting._figure import COLORS, finished, log_scale, new_figure, one_panel
from foundation_nn.training import History
from foundation_nn.training._smoothing import smoothed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_history(
    history: History,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Training",
    unit: str = "nats per token",
    log: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Loss and learning rate over the steps.

    Parameters
    ----------
    history : History
        What ``trainer.fit`` returns.
    path : path, optional
        Where to write the picture, e.g. ``loss.png``.
    title : str
    unit : str
        What the loss counts; "" if nothing.
    log : bool
        The loss on a logarithmic axis: a loss that falls by a constant factor is a straight line.
        What has no logarithm, such as a loss of 0, is a gap in the line.
    ax : matplotlib axes, optional
        Draw the loss there, without the learning rate: for the losses of several runs side by side.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If the history has no steps.
    """
    if not history.steps:
        raise ValueError("plot_history: the history has no steps")
    steps = np.array([s.step for s in history.steps])
    if ax is not None:
        figure, upper = one_panel(ax, 8, 4)
        upper.set_xlabel("step")
    else:
        figure, axes = new_figure(8, 5.5, rows=2)
        upper, lower = axes[:, 0]
        rates = np.array([s.lr for s in history.steps])
        lower.plot(steps, rates, color=COLORS[2], linewidth=1.6, **_mark_if_alone(steps))
        lower.set(xlabel="step", ylabel="learning rate")
        lower.set_ylim(bottom=0)
        lower.grid(alpha=0.25)
        lower.sharex(upper)
        upper.tick_params(labelbottom=False)
    _draw_losses(upper, history, steps, log)
    upper.set(title=title, ylabel=f"loss ({unit})" if unit else "loss")
    upper.legend(frameon=False)
    upper.grid(alpha=0.25)
    upper.locator_params(axis="x", integer=True)
    return finished(figure, path)


def _draw_losses(ax: Axes, history: History, steps: NDArray[Any], log: bool) -> None:
    """Each batch pale, the trend on top of it, and the evaluations with a mark at each."""
    losses = np.array([s.loss for s in history.steps])
    finite = np.isfinite(losses)
    trend = np.full_like(losses, np.nan)
    trend[finite] = smoothed(losses[finite])
    held_out = np.array([e.loss for e in history.evaluations])
    if log:
        everything = log_scale(ax, "y", np.concatenate([losses, trend, held_out]))
        losses, trend, held_out = np.split(everything, [len(steps), 2 * len(steps)])
    ax.plot(
        steps,
        losses,
        color=COLORS[0],
        alpha=0.35,
        linewidth=0.8,
        label="each batch",
        **_mark_if_alone(steps),
    )
    ax.plot(steps, trend, color=COLORS[0], linewidth=1.8, label="training, smoothed")
    if len(held_out):
        ax.plot(
            [e.step for e in history.evaluations],
            held_out,
            color=COLORS[1],
            marker="o",
            markersize=4,
            linewidth=1.4,
            label="held out",
        )


def _mark_if_alone(steps: Sequence[Any] | NDArray[Any]) -> dict[str, Any]:
    """A line through a single point cannot be seen; a mark can."""
    return {"marker": "o", "markersize": 5} if len(steps) == 1 else {}
