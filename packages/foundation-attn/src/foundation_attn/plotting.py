"""Pictures of attention; needs the extra ``plot``."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from foundation_nn.plotting import new_figure, save_figure
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class HeatMap(NamedTuple):
    """Attention weights with the tokens they belong to.

    Attributes
    ----------
    weights : (T, S) array
    keys : S strings
        What is looked at: the columns.
    queries : T strings
        What is looking: the rows.
    title : str
    """

    weights: NDArray[Any]
    keys: Sequence[str]
    queries: Sequence[str]
    title: str = ""


def plot_attention(
    maps: Sequence[HeatMap], path: str | os.PathLike[str], title: str = "", columns: int = 2
) -> None:
    """Heat maps side by side: rows look at columns, the darker the more.

    Parameters
    ----------
    maps : sequence of HeatMap
    path : path
        Where to write the picture.
    title : str
        Above all of them.
    columns : int
        Heat maps in a row.

    Raises
    ------
    ValueError
        If there is no map, or tokens and weights do not fit together.
    """
    if not maps:
        raise ValueError("plot_attention: nothing to draw")
    for m in maps:
        if m.weights.shape != (len(m.queries), len(m.keys)):
            raise ValueError(
                f"plot_attention: expected weights of shape ({len(m.queries)}, {len(m.keys)}) for "
                f"as many queries and keys, got {m.weights.shape}"
            )
    columns = min(columns, len(maps))
    rows = math.ceil(len(maps) / columns)
    side = 1.6 + 0.42 * max(max(len(m.keys), len(m.queries)) for m in maps)
    figure, axes = new_figure(columns * max(3.2, side), rows * max(2.8, side), rows, columns)
    height, width = (max(m.weights.shape[i] for m in maps) for i in (0, 1))
    for ax, m in zip(axes.flat, maps, strict=False):
        image = _draw(ax, m)
        # Cells of one size in all maps; a smaller one hangs from the upper left of its place.
        ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), anchor="NW")
    for ax in axes.flat[len(maps) :]:
        ax.set_axis_off()
    figure.colorbar(image, ax=axes, shrink=0.5, aspect=30, label="attention weight")
    if title:
        figure.suptitle(title)
    save_figure(figure, path)


def _draw(ax: Axes, m: HeatMap) -> Any:
    image = ax.imshow(m.weights, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(m.keys)), m.keys, rotation=45, ha="left", rotation_mode="anchor")
    ax.set_yticks(np.arange(len(m.queries)), m.queries)
    ax.tick_params(length=0)
    for (t, s), weight in np.ndenumerate(m.weights):
        if weight >= 0.1:
            color = "white" if weight > 0.6 else "black"
            text = f"{weight:.1f}".lstrip("0")
            ax.text(s, t, text, ha="center", va="center", fontsize=7, color=color)
    ax.spines[["bottom", "left"]].set_visible(False)
    if m.title:
        ax.set_title(m.title, fontsize=10, loc="left")
    return image
