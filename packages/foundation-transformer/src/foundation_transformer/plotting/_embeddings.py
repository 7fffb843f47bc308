"""Where the words of a vocabulary lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from foundation_nn.plotting import COLORS, finished, one_panel
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Of the labels on a map, in points.
_FONT_SIZE = 9
#: How many places of a label are so near to its point that no line has to lead there.
_BESIDE = 8


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
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Embeddings",
    ax: Axes | None = None,
) -> Figure:
    """A map of embeddings: their first two principal components, with their words.

    The axes say how much of the variance of the vectors each of them shows. No word lies on another
    one or on a point: where there is no room beside its point, a line leads to it.

    Parameters
    ----------
    vectors : (N, D) array
        Such as rows of ``model.embedding.weight.data``.
    labels : sequence of N str
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
        If there is not one label for each vector, or there are fewer than two vectors.
    """
    table = np.asarray(vectors, np.float64)
    if len(labels) != len(table):
        raise ValueError(
            f"plot_embeddings: expected a label for each of the {len(table)} vectors, got "
            f"{len(labels)}"
        )
    xy = principal_components(table)
    variance = ((table - table.mean(axis=0)) ** 2).sum() or 1.0
    shares = (xy**2).sum(axis=0) / variance
    figure, ax = one_panel(ax, 8, 6.5)
    ax.axhline(0, color="0.9", zorder=0)
    ax.axvline(0, color="0.9", zorder=0)
    ax.scatter(xy[:, 0], xy[:, 1], s=14, color=COLORS[0])
    ax.set(
        title=title,
        xlabel=f"first principal component ({100 * shares[0]:.0f} % of the variance)",
        ylabel=f"second principal component ({100 * shares[1]:.0f} %)",
    )
    ax.margins(0.08)
    figure.draw_without_rendering()  # only now it is known where a point lies on the page
    write_apart(ax, xy, labels)
    return finished(figure, path)


def write_apart(ax: Axes, points: ArrayLike, labels: Sequence[str]) -> None:
    """Write a label beside each point, as near to it as the other points and labels leave room."""
    pixels = ax.figure.dpi / 72  # in a point, the unit of fonts
    centers = ax.transData.transform(points)
    radius = 2.5 * pixels
    taken = np.concatenate([centers - radius, centers + radius], axis=1)  # left, low, right, high
    page = ax.get_window_extent()
    for index, label in enumerate(labels):
        text = ax.text(0, 0, label, fontsize=_FONT_SIZE, parse_math=False)
        size = np.array(text.get_window_extent().size)
        text.remove()
        around = _offsets(size, radius + pixels)  # (places, 2)
        middle = centers[index] + around
        boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
        apart = (boxes[:, None, :2] > taken[:, 2:]) | (boxes[:, None, 2:] < taken[:, :2])
        on_the_page = np.concatenate([boxes[:, :2] > page.p0, boxes[:, 2:] < page.p1], axis=1)
        free = np.all(apart.any(axis=2), axis=1) & on_the_page.all(axis=1)
        place = int(free.argmax())  # the first one that is free
        taken = np.concatenate([taken, boxes[place : place + 1]])
        line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
        note = ax.annotate(
            label,
            np.asarray(points)[index],
            xytext=around[place] / pixels,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_FONT_SIZE,
            parse_math=False,
            arrowprops=line if place >= _BESIDE else None,
        )
        note.set_in_layout(False)


def _offsets(size: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Where the middle of a label of ``size`` may lie from its point: (places, 2), nearest first.

    The first ``_BESIDE`` places touch the point: right, left, above, below and the corners.
    """
    right, up = size / 2 + gap
    beside = [(right, 0), (-right, 0), (0, up), (0, -up)]
    corners = [(x, y) for x in (right, -right) for y in (up, -up)]
    angle = np.arange(16) * np.pi / 8
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = [circle * (size / 2 + gap + distance * size[1]) for distance in range(1, 40)]
    return np.concatenate([beside, corners, *rings])
