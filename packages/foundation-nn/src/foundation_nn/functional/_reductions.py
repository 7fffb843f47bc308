"""Sums, means and extremes over axes; sums of everything up to a place."""

from __future__ import annotations

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Axis


def restore(g: Array, ndim: int, axis: Axis, keepdims: bool) -> Array:
    """The gradient of a reduction with its reduced axes back, of length one."""
    if keepdims or not ndim:  # NumPy lets one reduce a scalar over axis -1, which it does not have
        return g
    return g.reshape((1,) * ndim) if axis is None else np.expand_dims(g, axis)


@operation(integers=True, blas=False)
def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Result:
    """Σ x over ``axis`` (all axes by default); every element gets the gradient of its sum."""
    shape = x.shape  # all that the backward keeps

    def backward(g: Array) -> Array:
        return np.broadcast_to(restore(g, len(shape), axis, keepdims), shape)

    return x.sum(axis=axis, keepdims=keepdims), backward


@operation(blas=False)
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Result:
    """The mean over ``axis``. The mean of nothing is an error, not NaN.

    Raises
    ------
    ValueError
        If an axis of length zero is averaged.
    """
    y = x.sum(axis=axis, keepdims=keepdims)
    if y.size and not x.size:
        raise ValueError(f"mean: nothing to average over axis {axis} of shape {x.shape}")
    n = x.size // y.size if y.size else 1
    shape = x.shape  # all that the backward keeps

    def backward(g: Array) -> Array:
        return np.broadcast_to(restore(g, len(shape), axis, keepdims) / n, shape)

    return y / n, backward


def _extreme(x: Array, y: Array, axis: Axis, keepdims: bool) -> Result:
    def backward(g: Array) -> Array:
        # Ties share the gradient, so that the result does not depend on the order of elements.
        chosen = x == restore(y, x.ndim, axis, keepdims)
        share = chosen / chosen.sum(axis=axis, keepdims=True, dtype=x.dtype)
        return share * restore(g, x.ndim, axis, keepdims)

    return y, backward


@operation(integers=True, blas=False)
def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Result:
    """The largest element over ``axis``; elements that tie share the gradient equally.

    Differs from ``torch.max(x, dim)``, which gives it to one of them; ``torch.amax`` shares.
    """
    return _extreme(x, x.max(axis=axis, keepdims=keepdims), axis, keepdims)


@operation(integers=True, blas=False)
def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Result:
    """The smallest element over ``axis``; elements that tie share the gradient equally."""
    return _extreme(x, x.min(axis=axis, keepdims=keepdims), axis, keepdims)


@operation(integers=True, blas=False)
def cumsum(x: Array, axis: int | None = None) -> Result:
    """The sums of all elements up to each one along ``axis``; dx is the sum of g from there on.

    Without an axis, the elements are taken in a row, as NumPy does.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> from foundation_nn import functional as F
    >>> x = Tensor([1.0, 2.0, 4.0], requires_grad=True)
    >>> y = F.cumsum(x)
    >>> y.data
    array([1., 3., 7.], dtype=float32)
    >>> y.sum().backward()
    >>> x.grad  # the first element is part of three sums
    array([3., 2., 1.], dtype=float32)
    """
    along = 0 if axis is None else axis

    def backward(g: Array) -> Array:
        return np.flip(np.cumsum(np.flip(g, along), along), along).reshape(x.shape)

    return np.cumsum(x, axis), backward
