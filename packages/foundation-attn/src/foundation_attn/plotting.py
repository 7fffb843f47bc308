"""Pictures of attention; the ``plot_`` functions need the extra ``plot``."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from foundation_nn.plotting import new_figure, save_figure
from numpy.typing import NDArray

from foundation_attn._measures import hard_alignment, head_scores
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
        _check(m, "plot_attention")
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
    keys, queries = _visible(m.keys), _visible(m.queries)
    if max(map(len, keys), default=0) > 2:
        ax.set_xticks(np.arange(len(keys)), keys, rotation=45, ha="left", rotation_mode="anchor")
    else:
        ax.set_xticks(np.arange(len(keys)), keys)
    ax.set_yticks(np.arange(len(queries)), queries)
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


def _visible(tokens: Sequence[str]) -> list[str]:
    """Tokens in which a space and the end of a line can be seen."""
    return [token.replace(" ", "␣").replace("\n", "⏎") for token in tokens]


def plot_heads(
    layers: Sequence[LayerMap], path: str | os.PathLike[str], title: str = "Attention heads"
) -> None:
    """All heads of all layers as small heat maps: a layer is a row, with what each head does.

    Above each map stands what :func:`foundation_attn.head_scores` finds: the spread of its
    weights and, in self-attention, the weight on the token before and, where tokens are repeated,
    on those that followed the last time (induction). The tokens stand beside the first head.

    Raises
    ------
    ValueError
        If there is no layer.
    """
    if not layers:
        raise ValueError("plot_heads: nothing to draw")
    columns = max(len(layer.weights) for layer in layers)
    figure, axes = new_figure(1 + 2.1 * columns, 0.8 + 2.6 * len(layers), len(layers), columns)
    for layer, row in zip(layers, axes, strict=True):
        itself = list(layer.queries) == list(layer.keys)
        scores = head_scores(layer.weights, layer.keys if itself else None)
        for h, ax in enumerate(row):
            if h >= len(layer.weights):
                ax.set_axis_off()
                continue
            ax.imshow(layer.weights[h], cmap="Blues", vmin=0, vmax=1, interpolation="none")
            ax.set(xticks=[], yticks=[])
            notes = [f"spread {scores.entropy[h]:.2f}"]
            if itself:
                notes.append(f"before {scores.previous[h]:.2f}")
            if not np.isnan(scores.induction[h]):
                notes.append(f"induction {scores.induction[h]:.2f}")
            ax.set_title(f"head {h}\n" + ",  ".join(notes), fontsize=7)
        size = min(8.0, 120 / max(1, len(layer.queries), len(layer.keys)))
        if size >= 4:  # smaller letters cannot be read
            upright = max(map(len, layer.keys), default=0) <= 2
            keys, queries = _visible(layer.keys), _visible(layer.queries)
            row[0].set_xticks(
                np.arange(len(keys)), keys, fontsize=size, rotation=0 if upright else 90
            )
            row[0].set_yticks(np.arange(len(queries)), queries, fontsize=size)
            row[0].tick_params(length=0)
        row[0].set_ylabel(layer.name, fontsize=9)
    figure.suptitle(title)
    save_figure(figure, path)


def plot_alignment(m: HeatMap, path: str | os.PathLike[str]) -> None:
    """The weights, with a frame around the key that each query looks at most.

    Raises
    ------
    ValueError
        If tokens and weights do not fit together.
    """
    _check(m, "plot_alignment")
    side = 1.6 + 0.42 * max(len(m.keys), len(m.queries))
    figure, axes = new_figure(max(3.2, side), max(2.8, side))
    ax = axes[0, 0]
    _draw(ax, m)
    ax.autoscale(False)
    corners = 0.46 * np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]])
    for t, s in enumerate(hard_alignment(m.weights).tolist()):
        if s >= 0:
            ax.plot(s + corners[0], t + corners[1], color="#d9480f", linewidth=1.6)
    save_figure(figure, path)


def _check(m: HeatMap, name: str) -> None:
    if m.weights.shape != (len(m.queries), len(m.keys)):
        raise ValueError(
            f"{name}: expected weights of shape ({len(m.queries)}, {len(m.keys)}) for "
            f"as many queries and keys, got {m.weights.shape}"
        )
