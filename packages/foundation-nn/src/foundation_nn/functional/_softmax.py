"""Softmax and its logarithm."""

from __future__ import annotations

import numpy as np

from foundation_nn._operation import Array, Result, operation


def _shifted(x: Array, axis: int, name: str) -> Array:
    """x minus its maximum, so that the largest exponential is one."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: axis {axis} does not exist in shape {x.shape}")
    if x.shape[axis] == 0:
        raise ValueError(f"{name}: axis {axis} of shape {x.shape} has nothing to normalise over")
    return x - x.max(axis=axis, keepdims=True)


@operation
def softmax(x: Array, axis: int = -1) -> Result:
    """y_i = exp(x_i) / Σ_j exp(x_j) along ``axis``, dx = y (g - Σ_j g_j y_j).

    Raises
    ------
    ValueError
        If the axis has length zero.
    """
    y = _shifted(x, axis, "softmax")
    np.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)

    def backward(g: Array) -> Array:
        dx = g * y
        dx -= y * dx.sum(axis=axis, keepdims=True)
        return dx

    return y, backward


@operation
def log_softmax(x: Array, axis: int = -1) -> Result:
    """y_i = x_i - log Σ_j exp(x_j) along ``axis``, dx = g - exp(y) Σ_j g_j.

    Raises
    ------
    ValueError
        If the axis has length zero.
    """
    y = _shifted(x, axis, "log_softmax")
    y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))

    def backward(g: Array) -> Array:
        return g - np.exp(y) * g.sum(axis=axis, keepdims=True)

    return y, backward
