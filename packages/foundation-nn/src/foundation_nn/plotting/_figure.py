"""Figures without a display, and the colours and marks of all pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from foundation_nn.files import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Colours that are told apart by the colour-blind, too (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Shapes of points: a class is told by its shape as well as by its colour.
MARKERS = ("o", "^", "s", "D", "v", "P")


def new_figure(
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    *,
    heights: Sequence[float] | None = None,
    widths: Sequence[float] | None = None,
) -> tuple[Figure, NDArray[Any]]:
    """A figure of ``width`` by ``height`` inches and its (rows, columns) array of axes.

    It is drawn without a display and without pyplot, and a notebook shows it where it is the value
    of the last line. ``heights`` and ``widths`` say in which proportion the rows and the columns
    share the space; without them, all are equal.

    Raises
    ------
    ImportError
        If matplotlib is not installed, with the extra to install.

    Examples
    --------
    Two pictures side by side; in a notebook, ``figure`` as the last line would show them:

    >>> from foundation_nn.plotting import plot_decision_boundary
    >>> corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> figure, axes = new_figure(10, 4, columns=2)
    >>> for name, classes, ax in zip(("or", "and"), ([0, 1, 1, 1], [0, 0, 0, 1]), axes[0]):
    ...     threshold = 0.5 if name == "or" else 1.5
    ...     same = plot_decision_boundary(
    ...         lambda x: x.sum(axis=1) - threshold, corners, classes, title=name, ax=ax
    ...     )
    >>> same is figure
    True
    """
    try:
        from foundation_nn.plotting._picture import Picture
    except ImportError:
        raise ImportError(
            "pictures need matplotlib: install the extra, e.g. foundation-nn[plot]"
        ) from None
    figure = Picture(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights, width_ratios=widths)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def one_panel(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    """The figure and the axes to draw on: those given, or the only ones of a new figure.

    How each ``plot_`` function with ``ax`` begins.
    """
    if ax is None:
        figure, axes = new_figure(width, height)
        return figure, axes[0, 0]
    figure = ax.figure.canvas.figure  # the whole figure, also if the axes are in a part of it
    return figure, ax


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure whole or not at all; the ending of the path decides on the format.

    If the fonts lack characters, such as Chinese ones or emoji, they become boxes. That is told to
    the logger ``foundation``, once.
    """
    from foundation_nn.plotting._picture import one_message_for_all_glyphs

    with one_message_for_all_glyphs(os.fspath(path)), new_file(path) as unfinished:
        figure.savefig(unfinished, dpi=150)


def finished(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """The figure, written to ``path`` if there is one: how each ``plot_`` function ends."""
    if path is not None:
        save_figure(figure, path)
    return figure


def log_scale(ax: Axes, which: Literal["x", "y"], values: NDArray[Any]) -> NDArray[Any]:
    """Make the x or y axis logarithmic, with ticks labelled 1, 10, 100 instead of powers.

    Zeros, negative numbers, NaN and infinities have no place on it.

    Returns
    -------
    array
        ``values`` with NaN for what cannot be drawn: a gap in the line. Where nothing at all could
        be drawn, the axis stays as it is, and so do the values.
    """
    drawable = np.isfinite(values) & (values > 0)
    if not drawable.any():
        return values
    from foundation_nn.plotting._picture import PlainLogFormatter

    axis = ax.xaxis if which == "x" else ax.yaxis
    ax.set(**{f"{which}scale": "log"})
    axis.set_major_formatter(PlainLogFormatter())
    axis.set_minor_formatter(PlainLogFormatter())
    return np.where(drawable, values, np.nan)
