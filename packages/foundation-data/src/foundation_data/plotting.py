"""Pictures of vocabularies, padding and masks; needs the extra ``plot``.

Each function returns the matplotlib figure, which a notebook shows, and writes it where a ``path``
is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from foundation_nn.plotting import COLORS, finished, log_scale, new_figure, one_panel

from foundation_data._arrays import BoolArray
from foundation_data.batches import Batch
from foundation_data.tokenizers import Vocabulary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MaskMap", "plot_coverage", "plot_padding", "plot_masks"]

_REAL, _PADDING = COLORS[0], "#E8E4DC"


class MaskMap(NamedTuple):
    """A mask with the tokens it belongs to.

    Attributes
    ----------
    mask : (T, S) bool
        True where row t may attend to column s.
    keys : S strings
        The tokens of the columns, which are attended to.
    queries : T strings
        The tokens of the rows, which attend to them.
    title : str
    """

    mask: BoolArray
    keys: Sequence[str]
    queries: Sequence[str]
    title: str = ""


def plot_coverage(
    vocabularies: Mapping[str, Vocabulary],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Coverage",
    ax: Axes | None = None,
) -> Figure:
    """How much of a text its most frequent tokens make up.

    Parameters
    ----------
    vocabularies : mapping of str to Vocabulary
        By the name of each curve, up to six; built without a limit, or the curves end there.
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
        If there is no vocabulary, or more than six.
    """
    if not 1 <= len(vocabularies) <= len(COLORS):
        raise ValueError(
            f"plot_coverage: expected 1 to {len(COLORS)} vocabularies, got {len(vocabularies)}"
        )
    figure, ax = one_panel(ax, 7, 4.5)
    for color, (name, vocabulary) in zip(COLORS, vocabularies.items(), strict=False):
        covered = np.cumsum(vocabulary.counts[4:]) / max(vocabulary.total, 1)  # no specials
        size = log_scale(ax, "x", np.arange(1, len(covered) + 1))
        ax.plot(size, 100 * covered, color=color, linewidth=1.8, label=name)
        ax.plot(size[-1:], 100 * covered[-1:], color=color, marker="o", markersize=4)
    ax.set(title=title, xlabel="size of the vocabulary", ylabel="share of the text covered (%)")
    ax.set_ylim(0, 102)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="lower right")
    return finished(figure, path)


def plot_padding(
    batches: Mapping[str, Sequence[Batch]],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Padding",
) -> Figure:
    """The sources of batches as they lie in memory, with real tokens and padding in two colours.

    Parameters
    ----------
    batches : mapping of str to sequence of Batch
        A row of the picture for each way to make batches, by its name.
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not batches or not all(batches.values()):
        raise ValueError("plot_padding: expected at least one batch of each kind, got none")
    # One scale for all rows of the picture: each is as high as its batches, if that can be seen.
    highest = [max(len(batch.source) for batch in each) for each in batches.values()]
    heights = [max(rows, 0.2 * max(highest)) for rows in highest]
    figure, axes = new_figure(
        9,
        1.1 + 0.6 * len(batches) + 2.6 * sum(heights) / max(heights),
        len(batches),
        heights=heights,
    )
    gap = 2  # positions between two batches
    width = 0
    for ax, name in zip(axes[:, 0], batches, strict=True):
        left = 0
        num_real = 0
        num_positions = 0
        for batch in batches[name]:
            rows, columns = batch.source.shape
            ax.imshow(
                np.where(batch.source_mask[..., None], _rgb(_REAL), _rgb(_PADDING)),
                extent=(left, left + columns, rows, 0),
                interpolation="nearest",
                aspect="auto",
            )
            left += columns + gap
            num_real += int(batch.source_mask.sum())
            num_positions += batch.source.size
        width = max(width, left)
        padding = 1 - num_real / num_positions
        ax.set_title(f"{name}: {padding:.1%} of the positions are padding", loc="left", fontsize=10)
        ax.set_ylabel("sentences")
        ax.set_xticks([])
    for ax, height in zip(axes[:, 0], heights, strict=True):
        ax.set(xlim=(0, width), ylim=(height, 0))
    axes[-1, 0].set_xlabel("positions, batch after batch")
    figure.suptitle(title)
    _add_legend(figure, "token", "padding")
    return finished(figure, path)


def plot_masks(
    maps: Sequence[MaskMap],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Masks",
) -> Figure:
    """Masks side by side: a row may attend to the columns that are filled.

    Parameters
    ----------
    maps : sequence of MaskMap
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is no mask, or tokens and mask do not fit together.
    """
    if not maps:
        raise ValueError("plot_masks: nothing to draw")
    for each in maps:
        if each.mask.shape != (len(each.queries), len(each.keys)):
            raise ValueError(
                f"plot_masks: expected a mask of shape ({len(each.queries)}, {len(each.keys)}) "
                f"for as many queries and keys, got {each.mask.shape}"
            )
    height = max(len(each.queries) for each in maps)
    widths = [len(each.keys) for each in maps]
    inches = sum(1.2 + 0.3 * width for width in widths)  # with the names of the rows
    figure, axes = new_figure(inches, 2.2 + 0.3 * height, columns=len(maps), widths=widths)
    for ax, each in zip(axes[0], maps, strict=True):
        rows, columns = each.mask.shape
        colors = np.where(each.mask[..., None], _rgb(_REAL), _rgb(_PADDING))
        ax.imshow(colors, interpolation="nearest", extent=(0, columns, rows, 0))
        ax.hlines(range(rows + 1), 0, columns, color="white", linewidth=0.8)
        ax.vlines(range(columns + 1), 0, rows, color="white", linewidth=0.8)
        ax.xaxis.tick_top()
        slant = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
        ax.set_xticks(np.arange(columns) + 0.5, each.keys, fontsize=8, **slant)
        ax.set_yticks(np.arange(rows) + 0.5, each.queries, fontsize=8)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        # Cells have one size in all maps, as all are equally high; a smaller map ends earlier.
        ax.set(xlim=(0, columns), ylim=(height, 0), anchor="NW")
        ax.set_title("\n".join(wrap(each.title, 24)), fontsize=10, loc="left")
    figure.suptitle(title)
    _add_legend(figure, "the row may attend to the column", "it may not")
    return finished(figure, path)


def _add_legend(figure: Figure, filled: str, empty: str) -> None:
    """What the two colours mean, beneath the picture."""
    from matplotlib.patches import Patch

    patches = [Patch(color=_REAL, label=filled), Patch(color=_PADDING, label=empty)]
    figure.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False)


def _rgb(color: str) -> list[float]:
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
