"""The loss over the learning rate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from foundation_nn.plotting._figure import COLORS, finished, one_panel
from foundation_nn.training import RangeTest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_range_test(
    found: RangeTest,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Learning rate",
    ax: Axes | None = None,
) -> Figure:
    """Draw what :func:`foundation_nn.training.find_lr` has found, with its suggestion.

    Parameters
    ----------
    found : RangeTest
    path : path, optional
        Where to write the picture, e.g. ``find_lr.png``.
    title : str
    ax : matplotlib axes, optional
        Draw there.

    Returns
    -------
    matplotlib figure
    """
    figure, ax = one_panel(ax, 8, 4.5)
    ax.plot(found.lrs, found.losses, color=COLORS[0], alpha=0.3, linewidth=0.8, label="each batch")
    ax.plot(found.lrs, found.smoothed, color=COLORS[0], linewidth=1.8, label="smoothed")
    ax.axvline(
        found.suggestion,
        color=COLORS[1],
        linewidth=1.4,
        linestyle="--",
        label=f"suggestion: {found.suggestion:.2g}",
    )
    ax.set_xscale("log")
    lowest = min(found.losses)
    room = 0.1 * (found.losses[0] - lowest) or 1.0
    ax.set_ylim(lowest - room, found.losses[0] + 2 * room)  # without what has diverged
    ax.set(title=title, xlabel="learning rate", ylabel="loss")
    ax.legend(frameon=False)
    ax.grid(alpha=0.25)
    return finished(figure, path)
