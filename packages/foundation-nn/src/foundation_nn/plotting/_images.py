"""Grids of images."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from foundation_nn.plotting._figure import finished, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_images(
    images: ArrayLike,
    captions: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
) -> Figure:
    """A grid of small grey images, up to eight in a row, each under its caption.

    Parameters
    ----------
    images : (N, height, width) array_like
        Dark where the numbers are large.
    captions : sequence of str
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If there is no image, or not one caption for each.
    """
    images = np.asarray(images)
    if images.ndim != 3 or not len(images) or len(captions) != len(images):
        raise ValueError(
            f"plot_images: expected images (N, height, width) and N captions, got "
            f"{images.shape} and {len(captions)}"
        )
    columns = min(8, len(images))
    rows = math.ceil(len(images) / columns)
    figure, axes = new_figure(max(4.5, 1.2 * columns), 0.6 + 1.45 * rows, rows, columns)
    figure.suptitle(title)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, caption in zip(axes.flat, images, captions, strict=False):
        ax.imshow(image, cmap="gray_r", interpolation="nearest")
        ax.set_title(caption, fontsize=9)
    return finished(figure, path)
