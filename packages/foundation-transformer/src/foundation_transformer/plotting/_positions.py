"""How a model is told where a token stands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from foundation_nn import Tensor
from foundation_nn.plotting import COLORS, finished, new_figure

from foundation_transformer._positions import LearnedPositions, SinusoidalPositions
from foundation_transformer._relative import ALiBi, Rotary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_positions(
    positions: SinusoidalPositions | LearnedPositions, path: str | os.PathLike[str] | None = None
) -> Figure:
    """The vectors of all positions, and how similar each two of them are.

    The right picture shows the cosine of the angle between them. Of sinusoidal encodings it falls
    with the distance alone, wherever the two positions are; learned vectors become similar to
    those of their neighbours as far as training has taught them to.

    Parameters
    ----------
    positions : SinusoidalPositions or LearnedPositions
    path : path, optional
        Where to write the picture.

    Returns
    -------
    matplotlib figure
    """
    if isinstance(positions, LearnedPositions):
        name, table = "Learned position vectors", positions.weight.data[:100]
    else:
        name, table = "Sinusoidal position encodings", positions.table[:100]
    figure, axes = new_figure(11, 4.6, columns=2)
    left, right = axes[0]
    limit = np.abs(table).max()
    image = left.imshow(
        table, aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit, interpolation="none"
    )
    left.set(title=name, xlabel="dimension", ylabel="position")
    figure.colorbar(image, ax=left, fraction=0.046, pad=0.03, label="value")
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    image = right.imshow(unit @ unit.T, cmap="viridis", vmax=1, interpolation="none")
    right.set(title="Similarity of two positions", xlabel="position", ylabel="position")
    figure.colorbar(image, ax=right, fraction=0.046, pad=0.03, label="cosine")
    return finished(figure, path)


def plot_distances(
    rotary: Rotary,
    alibi: ALiBi,
    path: str | os.PathLike[str] | None = None,
    *,
    distances: int = 64,
) -> Figure:
    """What two positions that are relative do to a score, by the distance of query and key.

    Rotary positions turn both: of a query and a key that are equal, with the same weight on all
    pairs, the product falls from one and sways around zero. ALiBi takes away slope · distance, and
    e to that power is by how much a weight shrinks.

    Parameters
    ----------
    rotary : Rotary
    alibi : ALiBi
    path : path, optional
        Where to write the picture.
    distances : int
        How many to show; within the positions of ``rotary``.

    Returns
    -------
    matplotlib figure
    """
    distance = np.arange(distances)
    width = rotary.head_width
    x = np.full((1, 1, distances, width), width**-0.5)
    turned = rotary(Tensor(x), distance).data[0, 0]  # (distances, K)
    figure, axes = new_figure(11, 3.6, columns=2)
    left, right = axes[0]
    left.plot(distance, turned @ turned[0], color=COLORS[0])
    left.axhline(0, color="0.8", linewidth=0.8)
    left.set(title="Rotary: query · key", xlabel="distance", ylabel="product")
    factors = np.exp(-alibi.slopes[:, None] * distance)  # (H, distances)
    for head, factor in enumerate(factors):
        color = COLORS[head % len(COLORS)]
        right.plot(distance, factor, color=color, alpha=0.8, label=f"head {head + 1}")
    right.set(title="ALiBi", xlabel="distance", ylabel="weight shrinks to")
    # Beside the picture: the lines leave no room for it.
    right.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
    for ax in (left, right):
        ax.grid(alpha=0.25)
    return finished(figure, path)
