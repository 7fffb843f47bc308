"""Kernels that work row by row see every array as a matrix."""

from __future__ import annotations

import math

from foundation_nn._operation import Array


def as_rows(x: Array) -> Array:
    """``x`` (..., D) as (N, D), a view where NumPy can; a scalar is one row of one.

    Unlike ``reshape(-1, D)`` it also works for D = 0.
    """
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1] if x.ndim else 1)
