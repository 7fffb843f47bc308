"""Pictures of networks and their training; needs the extra ``plot``."""

from foundation_nn.plotting._boundary import plot_decision_boundary
from foundation_nn.plotting._figure import COLORS, MARKERS, new_figure, save_figure
from foundation_nn.plotting._history import plot_history
from foundation_nn.plotting._images import plot_images
from foundation_nn.plotting._layers import plot_histograms, plot_weights

__all__ = [
    "COLORS",
    "MARKERS",
    "new_figure",
    "save_figure",
    "plot_history",
    "plot_decision_boundary",
    "plot_histograms",
    "plot_weights",
    "plot_images",
]
