"""The picture of the chapter on evaluation."""

from typing import Any

import numpy as np
from foundation_nn.plotting import COLORS, new_figure


def how_sure() -> Any:
    """How wide the interval of a share is, by the number of questions, and a bootstrap."""
    figure, axes = new_figure(9.6, 3.4, columns=2)
    p, z = 0.7, 1.96
    n = np.logspace(1, 4, 100)
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    left, right = axes[0]
    left.fill_between(n, middle - half, middle + half, color=COLORS[0], alpha=0.25, linewidth=0)
    left.axhline(p, color=COLORS[0])
    left.axhline(0.5, color="0.4", linestyle=":")
    left.text(1e4, 0.47, "a guess", ha="right", va="top", color="0.3")
    left.set(title="70 % of n questions", xscale="log", xlabel="n", ylabel="share", ylim=(0.3, 1))
    left.grid(alpha=0.25)
    credits = np.repeat([1.0, 0.0], [14, 6])
    rng = np.random.default_rng(0)
    means = rng.choice(credits, size=(2000, 20)).mean(axis=1)
    right.hist(means, bins=np.arange(-0.025, 1.05, 0.05), color=COLORS[0], alpha=0.7)
    for end in np.quantile(means, [0.025, 0.975]):
        right.axvline(end, color=COLORS[1])
    right.set(title="Bootstrap: 14 of 20 are right", xlabel="mean of a drawing", ylabel="drawings")
    right.set(xlim=(0.2, 1.05))
    right.grid(alpha=0.25, axis="y")
    return figure
