"""Learning-rate schedules before they are used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from foundation_nn.plotting import COLORS, finished, one_panel
from foundation_nn.schedules import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_schedules(
    schedules: Mapping[str, Schedule],
    steps: int,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Learning-rate schedules",
    ax: Axes | None = None,
) -> Figure:
    """The learning rate at each step, one line for each schedule.

    Parameters
    ----------
    schedules : mapping from str to Schedule
        With the names for the legend, such as ``{"Noam": schedules.noam(512)}``.
    steps : int
    path : path, optional
        Where to write the picture.
    title : str
    ax : matplotlib axes, optional
        Where to draw; a new figure without.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not schedules or steps < 1:
        raise ValueError(f"plot_schedules: nothing to draw: {len(schedules)} lines, {steps} steps")
    figure, ax = one_panel(ax, 7, 3.4)
    shown = np.unique(np.linspace(1, steps, min(steps, 2000)).round().astype(int))
    for i, (name, schedule) in enumerate(schedules.items()):
        rates = [schedule(step) for step in shown.tolist()]
        ax.plot(shown, rates, label=name, color=COLORS[i % len(COLORS)])
    ax.set(xlabel="step", ylabel="learning rate", title=title)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return finished(figure, path)
