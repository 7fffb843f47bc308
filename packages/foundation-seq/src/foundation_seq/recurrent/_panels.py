"""The product of a few rows with the same matrix, once for each step of a recurrence.

For few rows, BLAS takes longer to copy the matrix into an order of its own than to multiply. It
does not copy small matrices. So the matrix is cut into panels of a few columns once, and each step
multiplies with the panels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Up to this many multiplications OpenBLAS reads the matrices where they lie, without a copy (on
#: processors with AVX-512).
SMALL = 10**6


def panels(w: NDArray[Any], rows: int, uses: int) -> NDArray[Any]:
    """``w`` (K, N) cut into panels (J, K, N / J), so that each product with them is a small one.

    Parameters
    ----------
    w : (K, N) array
    rows : int
        How many rows the matrices have that it will be multiplied with.
    uses : int
        How many products there will be. To cut the matrix is to copy it, which is not worth it for
        a few.
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
