"""Figures without a display, and the colours and marks of all pictures."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from foundation_nn.files import new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


#: Colours that are told apart by the colour-blind, too (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Shapes of points: a class is told by its shape as well as by its colour.
MARKERS = ("o", "^", "s", "D", "v", "P")


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> tuple[Figure, NDArray[Any]]:
    """A figure of ``width`` by ``height`` inches and its (rows, columns) array of axes.

    Drawn without a display.

    Raises
    ------
    ImportError
        If matplotlib is not installed, with the extra to install.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "pictures need matplotlib: install the extra, e.g. foundation-nn[plot]"
        ) from None
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure; the ending of the path decides on the format.

    Warns
    -----
    UserWarning
        Once, if the fonts lack characters, such as Chinese ones or emoji: they become boxes.
    """
    lacking: set[str] = set()
    show = warnings.showwarning

    def collect(message: Warning | str, *where: Any, **more: Any) -> None:
        if "missing from" in str(message):
            lacking.add(str(message))
        else:
            show(message, *where, **more)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", "Glyph .* missing from")
        warnings.showwarning = collect
        with new_file(path) as unfinished:
            figure.savefig(unfinished, dpi=150)
    if lacking:
        warnings.warn(
            f"{os.fspath(path)}: matplotlib's font lacks {len(lacking)} of the characters, which "
            "are boxes now",
            stacklevel=3,
        )
