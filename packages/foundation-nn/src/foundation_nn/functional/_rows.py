"""Kernels that work row by row see every array as a matrix."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._operation import Array


@lru_cache(maxsize=64)
def filled(n: int, value: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A read-only vector: a product with one of 1, or of 1/n, is five times faster than a sum, or
    a mean."""
    vector = np.full(n, value, dtype)
    vector.flags.writeable = False
    return vector


def as_rows(x: Array) -> Array:
    """``x`` (..., D) as (N, D), a view where NumPy can; a scalar is one row of one.

    Unlike ``reshape(-1, D)`` it also works for D = 0.
    """
    if x.dtype.kind != "f":
        raise TypeError(f"expected floating numbers, got {x.dtype}; write 1.0, not 1")
    if x.ndim == 2:
        return x
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1] if x.ndim else 1)
