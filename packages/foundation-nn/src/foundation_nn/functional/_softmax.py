"""Softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.functional._rows import by_rows, row_sum


@operation
def softmax(x: Array, axis: int = -1) -> Result:
    """y_i = exp(x_i) / Σ_j exp(x_j) along ``axis``, dx = y (g - Σ_j g_j y_j).

    Raises
    ------
    TypeError
        If the axis is no integer.
    ValueError
        If the axis does not exist or has length zero.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.array([0.0, np.log(2), np.log(5)])
    >>> np.exp(x) / np.exp(x).sum()
    array([0.125, 0.25 , 0.625])
    >>> F.softmax(x).data
    array([0.125, 0.25 , 0.625])
    """
    return _along(axis, "softmax", _softmax, x)


@by_rows
def _softmax(x: Array, out: NDArray[Any] | None = None) -> Result:
    # A difference of -∞ has the exponential 0, which is right. To say so takes 1 µs.
    with np.errstate(over="ignore"):
        y = np.subtract(x, row_max(x), out=out)
    np.exp(y, out=y)
    y /= row_sum(y)

    def backward(g: Array, out: Array | None = None) -> Array:
        dx = np.multiply(g, y, out=out)
        dx -= y * row_sum(dx)
        return dx

    return y, backward


@operation
def log_softmax(x: Array, axis: int = -1) -> Result:
    """y_i = x_i - log Σ_j exp(x_j) along ``axis``, dx = g - exp(y) Σ_j g_j.

    Raises
    ------
    TypeError
        If the axis is no integer.
    ValueError
        If the axis does not exist or has length zero.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.array([0.0, 1.0, 2.0])
    >>> np.allclose(x - np.log(np.exp(x).sum()), F.log_softmax(x).data)
    True
    """
    return _along(axis, "log_softmax", _log_softmax, x)


@by_rows
def _log_softmax(x: Array, out: NDArray[Any] | None = None) -> Result:
    y = np.subtract(x, row_max(x), out=out)
    y -= np.log(row_sum(np.exp(y)))

    def backward(g: Array, out: Array | None = None) -> Array:
        dx = np.exp(y, out=out)
        dx *= -row_sum(g)
        dx += g
        return dx

    return y, backward


def row_max(x: Array) -> Array:
    """The greatest element of each row, (N, D) → (N, 1).

    Subtracted from the row, it makes the largest exponential one: none overflows.
    """
    return x.max(axis=-1, keepdims=True)


def _along(axis: int, name: str, of_rows: Callable[[Array], Result], x: Array) -> Result:
    """Apply a kernel for rows along any axis."""
    if not isinstance(axis, int | np.integer):
        raise TypeError(f"{name}: expected one axis, got {described(axis)}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: axis {axis} does not exist in shape {x.shape}")
    if x.shape[axis] == 0:
        raise ValueError(f"{name}: axis {axis} of shape {x.shape} has nothing to normalise over")
    if axis in (-1, x.ndim - 1):
        return of_rows(x)
    y, backward = of_rows(x.swapaxes(axis, -1))
    return y.swapaxes(axis, -1), lambda g: backward(g.swapaxes(axis, -1)).swapaxes(axis, -1)
