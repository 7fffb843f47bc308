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
        What is looked at: the columns.
    queries : T strings
        What is looking: the rows.
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
    """The sources of batches as they lie in memory: what is real, and what is padding.

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
    height = max(len(batch) for kind in batches.values() for batch in kind)
    width = max(sum(b.source.shape[1] for b in kind) + 2 * len(kind) for kind in batches.values())
    for ax, (name, kind) in zip(axes[:, 0], batches.items(), strict=True):
        left = 0
        for batch in kind:
            rows, columns = batch.source.shape
            ax.imshow(
                np.where(batch.source_mask[..., None], _rgb(_REAL), _rgb(_PADDING)),
                extent=(left, left + columns, rows, 0),
                interpolation="nearest",
                aspect="auto",
            )
            left += columns + 2
        real = sum(int(batch.source_mask.sum()) for batch in kind)
        waste = 1 - real / sum(batch.source.size for batch in kind)
        ax.set_title(f"{name}: {waste:.1%} of these is padding", loc="left", fontsize=10)
        ax.set(xlim=(0, width), ylim=(height, 0), ylabel="sentences")
        ax.set_xticks([])
    axes[-1, 0].set_xlabel("positions, batch after batch")
    figure.suptitle(title)
    save_figure(figure, path)


def plot_masks(maps: Sequence[MaskMap], path: str | os.PathLike[str], title: str = "Masks") -> None:
    """Masks side by side: a row may look at the columns that are filled.

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
    for m in maps:
        if m.mask.shape != (len(m.queries), len(m.keys)):
            raise ValueError(
                f"plot_masks: expected a mask of shape ({len(m.queries)}, {len(m.keys)}) for as "
                f"many queries and keys, got {m.mask.shape}"
            )
    height, width = (max(m.mask.shape[axis] for m in maps) for axis in (0, 1))
    figure, axes = new_figure(
        (1.2 + 0.3 * width) * len(maps), 1.8 + 0.3 * height, columns=len(maps)
    )
    for ax, m in zip(axes[0], maps, strict=True):
        rows, columns = m.mask.shape
        colors = np.where(m.mask[..., None], _rgb(_REAL), _rgb(_PADDING))
        ax.imshow(colors, interpolation="nearest", extent=(0, columns, rows, 0))
        ax.hlines(range(rows + 1), 0, columns, color="white", linewidth=0.8)
        ax.vlines(range(columns + 1), 0, rows, color="white", linewidth=0.8)
        ax.xaxis.tick_top()
        slant = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
        ax.set_xticks(np.arange(columns) + 0.5, m.keys, fontsize=8, **slant)
        ax.set_yticks(np.arange(rows) + 0.5, m.queries, fontsize=8)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        # Cells of one size in all maps; a smaller one hangs from the upper left of its place.
        ax.set(xlim=(0, width), ylim=(height, 0), anchor="NW")
        ax.set_title(m.title, fontsize=10, loc="left")
    figure.suptitle(title)
    save_figure(figure, path)


def _rgb(color: str) -> list[float]:
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
