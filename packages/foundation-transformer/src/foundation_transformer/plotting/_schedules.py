"""Learning-rate schedules before they are used."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from foundation_nn.plotting import COLORS, new_figure, save_figure
from foundation_nn.schedules import Schedule


def plot_schedules(
    schedules: Mapping[str, Schedule], steps: int, path: str | os.PathLike[str]
) -> None:
    """The learning rate at each step, one line for each schedule.

    Parameters
    ----------
    schedules : mapping from str to Schedule
        With the names for the legend, such as ``{"Noam": schedules.noam(512)}``.
    steps : int
    path : path
        Where to write the picture.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not schedules or steps < 1:
        raise ValueError(f"plot_schedules: nothing to draw: {len(schedules)} lines, {steps} steps")
    figure, axes = new_figure(7, 3.4)
    ax = axes[0, 0]
    shown = np.unique(np.linspace(1, steps, min(steps, 2000)).round().astype(int))
    for i, (name, schedule) in enumerate(schedules.items()):
        rates = [schedule(step) for step in shown.tolist()]
        ax.plot(shown, rates, label=name, color=COLORS[i % len(COLORS)])
    ax.set(xlabel="step", ylabel="learning rate", title="Learning-rate schedules")
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    save_figure(figure, path)
