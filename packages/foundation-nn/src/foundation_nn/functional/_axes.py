"""Axes added, removed, stretched and turned round: the same numbers, or copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Axis


@operation(integers=True)
def squeeze(x: Array, axis: Axis = None) -> Result:
    """Remove axes of length one: all of them, or those that ``axis`` names.

    Raises
    ------
    ValueError
        If a named axis has another length.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.squeeze(np.zeros((1, 3, 1)), axis=0).shape
    (3, 1)
    """

    def backward(g: Array) -> Array:
        return g.reshape(x.shape)

    return np.squeeze(x, axis), backward


@operation(integers=True)
def expand_dims(x: Array, axis: int | Sequence[int]) -> Result:
    """Insert axes of length one, which have the places ``axis`` in the result.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.expand_dims(np.zeros((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """

    def backward(g: Array) -> Array:
        return g.reshape(x.shape)

    return np.expand_dims(x, axis), backward


@operation(integers=True)
def broadcast_to(x: Array, shape: int | Sequence[int]) -> Result:
    """``x`` in a larger shape, without a copy; the gradient is the sum over all copies.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> from foundation_nn import functional as F
    >>> x = Tensor([[1.0], [2.0]], requires_grad=True)
    >>> y = F.broadcast_to(x, (2, 3))
    >>> y.data
    array([[1., 1., 1.],
           [2., 2., 2.]], dtype=float32)
    >>> y.sum().backward()
    >>> x.grad
    array([[3.],
           [3.]], dtype=float32)
    """

    def backward(g: Array) -> Array:
        return g  # the engine sums over what was repeated

    return np.broadcast_to(x, shape), backward


@operation(integers=True)
def flip(x: Array, axis: Axis = None) -> Result:
    """The elements in reverse order along ``axis``, or along all axes.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> F.flip([[1.0, 2.0], [3.0, 4.0]], axis=1).data
    array([[2., 1.],
           [4., 3.]], dtype=float32)
    """

    def backward(g: Array) -> Array:
        return np.flip(g, axis)

    return np.flip(x, axis), backward


@operation(integers=True)
def repeat(x: Array, repeats: int | Sequence[int], axis: int | None = None) -> Result:
    """Each element ``repeats`` times, one after the other; the gradient is the sum over the copies.

    This is ``torch.repeat_interleave``. Without an axis, the elements are taken in a row.

    Parameters
    ----------
    x : tensor
    repeats : int or sequence of int
        For all elements along the axis, or for each of them.
    axis : int, optional

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> from foundation_nn import functional as F
    >>> x = Tensor([5.0, 7.0], requires_grad=True)
    >>> y = F.repeat(x, [1, 3])
    >>> y.data
    array([5., 7., 7., 7.], dtype=float32)
    >>> y.sum().backward()
    >>> x.grad
    array([1., 3.], dtype=float32)
    """
    in_a_row = x.reshape(-1) if axis is None else x
    along = 0 if axis is None else axis
    counts: Any = np.array(repeats)
    source = np.repeat(np.arange(in_a_row.shape[along]), counts)  # of each copy

    def backward(g: Array) -> Array:
        return back_to_sources(g, source, along, in_a_row.shape[along]).reshape(x.shape)

    return np.take(in_a_row, source, along), backward


def back_to_sources(g: Array, source: Array, axis: int, length: int) -> Array:
    """The gradient of ``np.take(x, source, axis)``: each element of x has the sum of its copies.

    Parameters
    ----------
    g : array
    source : (n,) array
        Where each of the n copies along the axis comes from.
    axis, length : int
        The length of x along the axis.
    """
    g = np.moveaxis(g, axis, 0)
    dx = np.zeros((length, *g.shape[1:]), g.dtype)
    np.add.at(dx, source, g)
    return np.moveaxis(dx, 0, axis)
