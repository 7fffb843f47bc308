"""Pictures of what is inside a transformer; needs the extra ``plot``.

Each ``plot_`` function returns the matplotlib figure, which a notebook shows, and writes it where a
``path`` is given.

Attention is drawn by :mod:`foundation_attn.plotting`, training by :mod:`foundation_nn.plotting`.
"""

from foundation_transformer.plotting._embeddings import plot_embeddings, principal_components
from foundation_transformer.plotting._positions import plot_distances, plot_positions
from foundation_transformer.plotting._schedules import plot_schedules
from foundation_transformer.plotting._surprisal import plot_surprisal, surprisal_text

__all__ = [
    "plot_distances",
    "plot_embeddings",
    "plot_positions",
    "plot_schedules",
    "plot_surprisal",
    "principal_components",
    "surprisal_text",
]
