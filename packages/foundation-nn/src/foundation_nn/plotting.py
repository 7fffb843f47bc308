"""Pictures of a training run; needs the extra ``plot``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Line colours that are told apart by the colour-blind, too (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> tuple[Figure, NDArray[Any]]:
    """A figure of ``width`` by ``height`` inches and its (rows, columns) array of axes.

    Drawn without a display; to be closed by :func:`save_figure`.

    Raises
    ------
    ImportError
        If matplotlib is not installed, with the extra to install.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "pictures need matplotlib: install the extra, e.g. foundation-nn[plot]"
        ) from None
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure; the ending of the path decides on the format."""
    figure.savefig(path, dpi=150)


def plot_history(history: History, path: str | os.PathLike[str], title: str = "Training") -> None:
    """Loss and learning rate over the steps.

    Parameters
    ----------
    history : History
    path : path
        Where to write the picture, e.g. ``loss.png``.
    title : str

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
    upper.set(title=title, ylabel="loss (nats per token)")
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
