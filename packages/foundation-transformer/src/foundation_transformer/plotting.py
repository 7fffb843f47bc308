"""Pictures of what is inside a transformer; needs the extra ``plot``."""

from __future__ import annotations

import os

from foundation_nn.plotting import new_figure, save_figure

from foundation_transformer._positions import SinusoidalPositions


def plot_positions(positions: SinusoidalPositions, path: str | os.PathLike[str]) -> None:
    """The encodings of all positions, and how similar each two of them are.

    The right picture shows PE · PEᵀ / (D/2): one on the diagonal, and falling with the distance
    alone, wherever the two positions are.

    Parameters
    ----------
    positions : SinusoidalPositions
    path : path
        Where to write the picture.
    """
    table = positions.table[:100]
    figure, axes = new_figure(11, 4.6, columns=2)
    left, right = axes[0]
    image = left.imshow(table, aspect="auto", cmap="RdBu", vmin=-1, vmax=1, interpolation="none")
    left.set(title="Sinusoidal position encodings", xlabel="dimension", ylabel="position")
    figure.colorbar(image, ax=left, fraction=0.046, pad=0.03)
    similarity = table @ table.T / (table.shape[1] / 2)
    image = right.imshow(similarity, cmap="viridis", vmax=1, interpolation="none")
    right.set(title="Similarity of two positions", xlabel="position", ylabel="position")
    figure.colorbar(image, ax=right, fraction=0.046, pad=0.03)
    save_figure(figure, path)
