"""Pictures of attention; the ``plot_`` functions need the extra ``plot``.

Each of them returns the matplotlib figure, which a notebook shows, and writes it where a ``path``
is given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from foundation_nn.plotting import COLORS, finished, new_figure, one_panel
from numpy.typing import NDArray

from foundation_attn._measures import hard_alignment
from foundation_attn._page import LayerMap, save_page
from foundation_attn._text_view import attention_text

__all__ = [
    "HeatMap",
    "LayerMap",
    "attention_text",
    "plot_alignment",
    "plot_attention",
    "plot_heads",
    "save_page",
]

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    maps: Sequence[HeatMap],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    columns: int = 2,
) -> Figure:
    """Heat maps side by side: rows look at columns, the darker the more.

    Parameters
    ----------
    maps : sequence of HeatMap
    path : path, optional
        Where to write the picture.
    title : str
        Above all of them.
    columns : int
        Heat maps in a row.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is no map, or tokens and weights do not fit together.
    """
    if not maps:
        raise ValueError("plot_attention: nothing to draw")
    for m in maps:
        _check(m, "plot_attention")
    columns = min(columns, len(maps))
    # Cells of one size in all maps: a column is as wide as its widest map, a row as high as its
    # highest, and a smaller map hangs from the upper left of its place.
    widths = [max(len(m.keys) for m in maps[column::columns]) for column in range(columns)]
    in_rows = [maps[start : start + columns] for start in range(0, len(maps), columns)]
    heights = [max(len(m.queries) for m in row) for row in in_rows]
    figure, axes = new_figure(
        sum(map(_inches, widths)) + 0.8,
        sum(map(_inches, heights)) + 0.3,
        len(heights),
        columns,
        heights=heights,
        widths=widths,
    )
    for place, m in enumerate(maps):
        row, column = divmod(place, columns)
        image = _draw(axes[row, column], m)
        axes[row, column].set(
            xlim=(-0.5, widths[column] - 0.5), ylim=(heights[row] - 0.5, -0.5), anchor="NW"
        )
    for ax in axes.flat[len(maps) :]:
        ax.set_axis_off()
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, label=_WEIGHT)
    if title:
        figure.suptitle(title)
    return finished(figure, path)


#: What the colour of a cell means.
_WEIGHT = "attention weight"


def _inches(cells: int) -> float:
    """For so many cells in a row or a column, and the tokens beside them."""
    return 1.5 + 0.42 * cells


def _draw(ax: Axes, m: HeatMap) -> Any:
    image = ax.imshow(m.weights, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    ax.xaxis.tick_top()
    keys, queries = _visible(m.keys), _visible(m.queries)
    if max(map(len, keys), default=0) > 3:
        ax.set_xticks(np.arange(len(keys)), keys, rotation=45, ha="left", rotation_mode="anchor")
    else:
        ax.set_xticks(np.arange(len(keys)), keys)
    ax.set_yticks(np.arange(len(queries)), queries)
    ax.tick_params(length=0)
    for (t, s), weight in np.ndenumerate(m.weights):
        if weight >= 0.1:
            color = "white" if weight > 0.6 else "black"
            text = f"{weight:.1f}".lstrip("0")
            ax.text(s, t, text, ha="center", va="center", fontsize=8, color=color)
    ax.spines[["bottom", "left"]].set_visible(False)
    if m.title:
        ax.set_title(m.title, fontsize=10, loc="left")
    return image


def _visible(tokens: Sequence[str]) -> list[str]:
    """Tokens in which a space and the end of a line can be seen."""
    return [token.replace(" ", "␣").replace("\n", "⏎") for token in tokens]


def plot_heads(
    layers: Sequence[LayerMap],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Attention heads",
) -> Figure:
    """All heads of all layers as small heat maps: a layer is a row, with what each head does.

    Above each map stands what :func:`foundation_attn.head_scores` finds: the spread of its
    weights and, in self-attention, the weight on the token before and, where tokens are repeated,
    on those that followed the last time (induction). The tokens stand beside the first head.

    Parameters
    ----------
    layers : sequence of LayerMap
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is no layer.
    """
    if not layers:
        raise ValueError("plot_heads: nothing to draw")
    columns = max(len(layer.weights) for layer in layers)
    figure, axes = new_figure(1.6 + 2.5 * columns, 0.8 + 3.1 * len(layers), len(layers), columns)
    # Room between the notes below a row and the titles above the next one.
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.16)
    for layer, row in zip(layers, axes, strict=True):
        scores = layer.scores()
        for ax in row[len(layer.weights) :]:
            ax.set_axis_off()
        for number, (ax, weights) in enumerate(zip(row, layer.weights, strict=False), start=1):
            image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, interpolation="none")
            ax.set(xticks=[], yticks=[])
            notes = [f"spread {scores.entropy[number - 1]:.2f}"]
            if layer.is_self:
                notes.append(f"token before {scores.previous[number - 1]:.2f}")
            if not np.isnan(scores.induction[number - 1]):
                notes.append(f"induction {scores.induction[number - 1]:.2f}")
            ax.set_title(f"head {number}", fontsize=10, loc="left")
            ax.set_xlabel("\n".join(notes), fontsize=9, loc="left")
        _write_tokens(row[0], layer)
        row[0].set_ylabel(layer.name, fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.5, aspect=30, label=_WEIGHT)
    figure.suptitle(title)
    return finished(figure, path)


def _write_tokens(ax: Axes, layer: LayerMap) -> None:
    """The tokens beside the rows and above the columns, unless they would be too small to read."""
    size = min(9.0, 130 / max(1, len(layer.queries), len(layer.keys)))
    if size < 5:
        return
    upright = max(map(len, layer.keys), default=0) <= 2
    keys, queries = _visible(layer.keys), _visible(layer.queries)
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(keys)), keys, fontsize=size, rotation=0 if upright else 90)
    ax.set_yticks(np.arange(len(queries)), queries, fontsize=size)
    ax.tick_params(length=0)


def plot_alignment(
    m: HeatMap, path: str | os.PathLike[str] | None = None, *, ax: Axes | None = None
) -> Figure:
    """The weights, with a frame around the key that each query looks at most.

    Parameters
    ----------
    m : HeatMap
    path : path, optional
        Where to write the picture.
    ax : matplotlib axes, optional
        Where to draw; a new figure without.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If tokens and weights do not fit together.
    """
    _check(m, "plot_alignment")
    figure, ax = one_panel(ax, max(4.0, _inches(len(m.keys)) + 0.8), _inches(len(m.queries)))
    image = _draw(ax, m)
    ax.autoscale(False)
    corners = 0.46 * np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]])
    for t, s in enumerate(hard_alignment(m.weights).tolist()):
        if s >= 0:
            ax.plot(s + corners[0], t + corners[1], color=COLORS[1], linewidth=1.6)
    figure.colorbar(image, ax=ax, shrink=0.6, aspect=30, label=_WEIGHT)
    return finished(figure, path)


def _check(m: HeatMap, name: str) -> None:
    if m.weights.shape != (len(m.queries), len(m.keys)):
        raise ValueError(
            f"{name}: expected weights of shape ({len(m.queries)}, {len(m.keys)}) for "
            f"as many queries and keys, got {m.weights.shape}"
        )
