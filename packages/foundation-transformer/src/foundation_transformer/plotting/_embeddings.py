"""Where the words of a vocabulary lie."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from foundation_nn.plotting import COLORS, new_figure, save_figure
from numpy.typing import ArrayLike, NDArray


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
    for (x, y), label in zip(xy, labels, strict=True):
        ax.annotate(
            label, (x, y), xytext=(3, 2), textcoords="offset points", fontsize=8, parse_math=False
        )
    ax.set(title=title, xlabel="first principal component", ylabel="second")
    save_figure(figure, path)
