"""Where the words of a vocabulary lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from foundation_nn.plotting import COLORS, new_figure, save_figure
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def principal_components(vectors: ArrayLike, count: int = 2) -> NDArray[np.float64]:
    """Coordinates (N, count) of ``vectors`` (N, D) along the directions in which they differ most.

    The left singular vectors of the centred matrix, times the singular values. Each direction
    points to where its largest coordinate is, so that a picture comes out the same everywhere.

    Raises
    ------
    ValueError
        If there are fewer vectors or dimensions than directions.
    """
    x = np.asarray(vectors, np.float64)
    if x.ndim != 2 or min(x.shape) < count:
        raise ValueError(
            f"principal_components: expected at least {count} vectors of {count} dimensions, got "
            f"shape {x.shape}"
        )
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    y = u[:, :count] * s[:count]
    largest = y[np.abs(y).argmax(axis=0), np.arange(count)]
    return np.asarray(y * np.where(largest < 0, -1, 1))


def plot_embeddings(
    vectors: ArrayLike,
    labels: Sequence[str],
    path: str | os.PathLike[str],
    title: str = "Embeddings",
) -> None:
    """A map of embeddings: their first two principal components, with their words.

    Where words would lie on each other they are moved up or down, and a line leads to their point.

    Parameters
    ----------
    vectors : (N, D) array
        Such as rows of ``model.embedding.weight.data``.
    labels : sequence of N str
    path : path
        Where to write the picture.
    title : str

    Raises
    ------
    ValueError
        If there is not one label for each vector, or there are fewer than two vectors.
    """
    if len(labels) != len(np.asarray(vectors)):
        raise ValueError(
            f"plot_embeddings: expected a label for each of the {len(np.asarray(vectors))} "
            f"vectors, got {len(labels)}"
        )
    xy = principal_components(vectors)
    figure, axes = new_figure(7, 6)
    ax = axes[0, 0]
    ax.axhline(0, color="0.9", zorder=0)
    ax.axvline(0, color="0.9", zorder=0)
    ax.scatter(*xy.T, s=9, color=COLORS[0])
    ax.set(title=title, xlabel="first principal component", ylabel="second")
    figure.draw_without_rendering()  # only now it is known where a point lies on the page
    write_apart(ax, xy, labels)
    save_figure(figure, path)


def write_apart(ax: Axes, points: NDArray[Any], labels: Sequence[str]) -> None:
    """Write a label beside each point, as near to it as the labels before leave room."""
    line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 0}
    taken: list[Any] = []
    for point, label in zip(points, labels, strict=True):
        note = ax.annotate(
            label,
            point,
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            parse_math=False,
        )
        box = note.get_window_extent()
        for places in range(1, 2 * len(taken) + 1):  # one up, one down, two up, ...
            if not box.count_overlaps(taken):
                break
            note.set_position((14, (places + 1) // 2 * (9 if places % 2 else -9)))
            box = note.get_window_extent()
        taken.append(box)
        if note.get_position() != (4, 0):
            ax.annotate(
                "", point, xytext=note.get_position(), textcoords="offset points", arrowprops=line
            )
