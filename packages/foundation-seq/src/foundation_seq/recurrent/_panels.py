"""The product of a few rows with a square matrix, again and again: the heart of a recurrence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Up to this many multiplications, OpenBLAS reads the matrices where they lie (on processors with
#: AVX-512); above, it copies both into an order of its own, which for few rows takes longer than
#: the product.
SMALL = 10**6


def panels(w: NDArray[Any], rows: int, uses: int) -> NDArray[Any]:
    """``w`` (K, N) cut into panels (J, K, N / J), so that each product with them is a small one.

    Parameters
    ----------
    w : (K, N) array
    rows : int
        Of the matrices that it will be multiplied with.
    uses : int
        How often; for a few products the cut, a copy, is not worth it.
    """
    depth, width = w.shape
    if uses >= 8 and rows >= 4:
        for columns in (64, 32, 16):
            if width % columns == 0 and rows * columns * depth <= SMALL:
                return np.ascontiguousarray(w.reshape(depth, -1, columns).swapaxes(0, 1))
    return w[None]


def multiply(x: NDArray[Any], w: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """``x`` (b, K) times the matrix of which ``w`` are the panels, into ``out`` (b, N)."""
    np.matmul(x, w, out=out.reshape(len(x), len(w), -1).swapaxes(0, 1))  # (J, b, N / J)
    return out
