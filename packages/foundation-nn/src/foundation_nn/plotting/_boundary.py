"""What a classifier says of every point of the plane."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundation_nn.engine._tape import no_grad
from foundation_nn.plotting._figure import COLORS, MARKERS, finished, one_panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_decision_boundary(
    model_fn: Callable[[NDArray[Any]], Any],
    x: ArrayLike,
    y: ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Decision boundary",
    ax: Axes | None = None,
) -> Figure:
    """What a classifier answers everywhere in the plane, and the points it learned from.

    The background mixes the colours of the classes by their probabilities; black lines run where
    two classes are equally likely.

    Parameters
    ----------
    model_fn : callable
        From points (N, 2) to logits: (N, C), or (N,) or (N, 1) if a positive one means class 1.
        A module will do.
    x : (N, 2) array_like
    y : (N,) array_like of int
        Classes from 0.
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
        If the points are not in the plane, do not match their classes, or there are more than
        six classes.
    """
    x, y = np.asarray(x), np.asarray(y).astype(int)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ValueError(f"plot_decision_boundary: expected points of shape (N, 2), got {x.shape}")
    if y.shape != (len(x),) or y.min() < 0:
        raise ValueError(
            f"plot_decision_boundary: expected one class >= 0 for each of the {len(x)} points, "
            f"got shape {y.shape}"
        )
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.12 * np.maximum(high - low, 1e-3)
    (left, lower), (right, upper) = low - margin, high + margin
    across, up = np.linspace(left, right, 301), np.linspace(lower, upper, 301)
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)  # (N, 2)
    logits = _class_logits(model_fn, grid.astype(x.dtype if x.dtype.kind == "f" else np.float32))
    classes = logits.shape[1]
    if max(classes, y.max() + 1) > len(COLORS):
        raise ValueError(f"plot_decision_boundary: can draw up to {len(COLORS)} classes")
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)

    figure, ax = one_panel(ax, 7, 6)
    palette = np.array([_rgb(color) for color in COLORS[:classes]])
    shade = 1 - 0.45 * (1 - probabilities @ palette)  # towards white, so that the points stand out
    ax.imshow(
        shade.reshape(301, 301, 3),
        extent=(left, right, lower, upper),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
    )
    for label in range(classes):
        lead = logits[:, label] - np.delete(logits, label, axis=1).max(axis=1)
        if lead.min() < 0 < lead.max():
            ax.contour(
                across, up, lead.reshape(301, 301), levels=[0], colors="black", linewidths=1.2
            )
    for label in range(max(classes, y.max() + 1)):
        ax.scatter(
            x[y == label, 0],
            x[y == label, 1],
            s=26 if len(x) > 20 else 120,
            color=COLORS[label],
            marker=MARKERS[label],
            edgecolors="black",
            linewidths=0.6,
            label=f"class {label}",
        )
    ax.set(title=title, xlabel="x₁", ylabel="x₂", xlim=(left, right), ylim=(lower, upper))
    # Beside the picture: above it, it would hide points.
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
    return finished(figure, path)


def _class_logits(model_fn: Callable[[NDArray[Any]], Any], points: NDArray[Any]) -> NDArray[Any]:
    """(N, C) logits; a single one becomes two with the same probabilities."""
    with no_grad():
        logits = np.asarray(model_fn(points), dtype=np.float64)
    if logits.ndim == 1:
        logits = logits[:, None]
    if logits.ndim != 2 or len(logits) != len(points):
        raise ValueError(
            f"plot_decision_boundary: expected model_fn to give logits of shape "
            f"({len(points)}, C), got {logits.shape}"
        )
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)  # (N, 2)
    return logits


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue
