"""Pictures of networks and their training; needs the extra ``plot``.

Each ``plot_`` function returns the matplotlib figure, which a notebook shows where it is the value
of the last line, and writes it where a ``path`` is given. Those of one panel draw on the axes
``ax`` if there are some.
"""

from foundation_nn.plotting._boundary import plot_decision_boundary
from foundation_nn.plotting._figure import (
    COLORS,
    MARKERS,
    finished,
    log_scale,
    new_figure,
    one_panel,
    save_figure,
)
from foundation_nn.plotting._history import plot_history
from foundation_nn.plotting._images import plot_images
from foundation_nn.plotting._layers import plot_histograms, plot_weights
from foundation_nn.plotting._range_test import plot_range_test

__all__ = [
    "COLORS",
    "MARKERS",
    "new_figure",
    "one_panel",
    "log_scale",
    "save_figure",
    "finished",
    "plot_history",
    "plot_range_test",
    "plot_decision_boundary",
    "plot_histograms",
    "plot_weights",
    "plot_images",
]
