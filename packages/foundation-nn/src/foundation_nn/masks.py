"""Masks: boolean arrays in which True means "may attend" or "is real"."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundation_nn._arguments import whole_number


def padding_mask(lengths: ArrayLike, max_len: int | None = None) -> NDArray[np.bool_]:
    """True for the first ``lengths[b]`` positions of row b, False for the padding after them.

    Parameters
    ----------
    lengths : (B,) integer array_like
    max_len : int, optional
        The number of columns; the largest length by default.

    Returns
    -------
    (B, max_len) bool array

    Raises
    ------
    TypeError
        If the lengths are not integers.
    ValueError
        If they are not one-dimensional, are negative, or exceed ``max_len``.

    Examples
    --------
    >>> padding_mask([1, 3]).astype(int)
    array([[1, 0, 0],
           [1, 1, 1]])
    """
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise TypeError(f"padding_mask: expected integer lengths, got {lengths.dtype}")
    if lengths.ndim != 1:
        raise ValueError(f"padding_mask: expected lengths of shape (B,), got {lengths.shape}")
    longest = int(lengths.max(initial=0))
    width = longest
    if max_len is not None:
        width = whole_number("padding_mask", "max_len", max_len, at_least=0)
    if longest > width or lengths.min(initial=0) < 0:
        raise ValueError(
            f"padding_mask: expected lengths between 0 and max_len={width}, got "
            f"{lengths.min()} to {longest}"
        )
    return np.arange(width) < lengths[:, None]


def causal_mask(T: int) -> NDArray[np.bool_]:
    """The (T, T) mask in which position t may attend to s ≤ t.

    Examples
    --------
    >>> causal_mask(3).astype(int)
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]])
    """
    return np.tri(whole_number("causal_mask", "T", T, at_least=0), dtype=bool)
