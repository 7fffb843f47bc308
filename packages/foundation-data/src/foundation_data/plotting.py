"""Pictures of vocabularies, padding and masks; needs the extra ``plot``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from foundation_nn.plotting import COLORS, new_figure, save_figure

from foundation_data._arrays import BoolArray
from foundation_data.batches import Batch
from foundation_data.tokenizers import Vocabulary

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
    vocabularies: Mapping[str, Vocabulary], path: str | os.PathLike[str], title: str = "Coverage"
) -> None:
    """How much of a text its most frequent tokens make up.

    Parameters
    ----------
    vocabularies : mapping of str to Vocabulary
        By the name of each curve, up to six; built without a limit, or the curves end there.
    path : path
        Where to write the picture, e.g. ``coverage.png``.
    title : str

    Raises
    ------
    ValueError
        If there is no vocabulary, or more than six.
    """
    if not 1 <= len(vocabularies) <= len(COLORS):
        raise ValueError(
            f"plot_coverage: expected 1 to {len(COLORS)} vocabularies, got {len(vocabularies)}"
        )
    figure, axes = new_figure(7, 4.5)
    ax = axes[0, 0]
    for color, (name, vocabulary) in zip(COLORS, vocabularies.items(), strict=False):
        covered = np.cumsum(vocabulary.counts[4:]) / max(vocabulary.total, 1)  # no specials
        size = np.arange(1, len(covered) + 1)
        ax.plot(size, 100 * covered, color=color, linewidth=1.8, label=name)
        ax.plot(size[-1:], 100 * covered[-1:], color=color, marker="o", markersize=4)
    ax.set(title=title, xlabel="the most frequent tokens", ylabel="% of the text", xscale="log")
    ax.set_ylim(0, 102)
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="lower right")
    save_figure(figure, path)


def plot_padding(
    batches: Mapping[str, Sequence[Batch]], path: str | os.PathLike[str], title: str = "Padding"
) -> None:
    """The sources of batches as they lie in memory, with real tokens and padding in two colours.

    Parameters
    ----------
    batches : mapping of str to sequence of Batch
        A row of the picture for each way to make batches, by its name.
    path : path
        Where to write the picture.
    title : str

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not batches or not all(batches.values()):
        raise ValueError("plot_padding: expected at least one batch of each kind, got none")
    figure, axes = new_figure(9, 0.7 + 2.1 * len(batches), rows=len(batches))
    gap = 2  # positions between two batches
    height = 0
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
            height = max(height, rows)
        width = max(width, left)
        padding = 1 - num_real / num_positions
        ax.set_title(f"{name}: {padding:.1%} of these is padding", loc="left", fontsize=10)
        ax.set_ylabel("sentences")
        ax.set_xticks([])
    for ax in axes[:, 0]:
        ax.set(xlim=(0, width), ylim=(height, 0))  # one scale for all rows
    axes[-1, 0].set_xlabel("positions, batch after batch")
    figure.suptitle(title)
    save_figure(figure, path)


def plot_masks(maps: Sequence[MaskMap], path: str | os.PathLike[str], title: str = "Masks") -> None:
    """Masks side by side: a row may attend to the columns that are filled.

    Parameters
    ----------
    maps : sequence of MaskMap
    path : path
        Where to write the picture.
    title : str

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
    width = max(len(each.keys) for each in maps)
    figure, axes = new_figure(
        (1.2 + 0.3 * width) * len(maps), 1.8 + 0.3 * height, columns=len(maps)
    )
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
        # Cells have one size in all maps; a smaller map stands in the upper left of its place.
        ax.set(xlim=(0, width), ylim=(height, 0), anchor="NW")
        ax.set_title(each.title, fontsize=10, loc="left")
    figure.suptitle(title)
    save_figure(figure, path)


def _rgb(color: str) -> list[float]:
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
