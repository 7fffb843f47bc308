"""Functions with a kink: absolute values, signs, bounds, and the larger or smaller of two.

At the kink itself the derivative is a convention. These are PyTorch's: 0 for ``abs`` and ``sign``,
half for each of two equal numbers, and 1 for a number that lies exactly on a bound of ``clip``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation


@operation(integers=True, blas=False)
def abs(x: Array) -> Result:
    """``|x|``, d/dx = sign(x), which is 0 at 0.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> from foundation_nn import functional as F
    >>> x = Tensor([-2.0, 0.0, 3.0], requires_grad=True)
    >>> F.abs(x).data
    array([2., 0., 3.], dtype=float32)
    >>> F.abs(x).sum().backward()
    >>> x.grad
    array([-1.,  0.,  1.], dtype=float32)
    """

    def backward(g: Array) -> Array:
        return g * np.sign(x)

    return np.abs(x), backward


@operation(integers=True, blas=False)
def sign(x: Array) -> Result:
    """-1, 0 or 1. It is constant around every x but 0, so its gradient is zero everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.sign(np.array([-2.0, 0.0, 3.0])).data
    array([-1.,  0.,  1.])
    """

    def backward(g: Array) -> Array:
        return np.zeros_like(g)

    return np.sign(x), backward


@operation(integers=True, blas=False)
def maximum(x: Array, y: Array) -> Result:
    """The larger of two, element by element; equal ones share the gradient.

    The largest element of one tensor is :func:`max`.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> from foundation_nn import functional as F
    >>> x = Tensor([1.0, 2.0, 5.0], requires_grad=True)
    >>> y = F.maximum(x, 2.0)
    >>> y.data
    array([2., 2., 5.], dtype=float32)
    >>> y.sum().backward()
    >>> x.grad
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return np.maximum(x, y), _shared(x, y, np.less)


@operation(integers=True, blas=False)
def minimum(x: Array, y: Array) -> Result:
    """The smaller of two, element by element; equal ones share the gradient.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> F.minimum([1.0, 2.0, 5.0], 2.0).data
    array([1., 2., 2.], dtype=float32)
    """
    return np.minimum(x, y), _shared(x, y, np.greater)


def _shared(x: Array, y: Array, loses: np.ufunc) -> Any:
    """The backward of ``maximum`` and ``minimum``; where ``loses(x, y)``, x has no influence."""

    def backward(g: Array) -> tuple[Array, Array]:
        def dx() -> Array:
            return g * np.where(x == y, 0.5, ~loses(x, y)).astype(g.dtype)

        def dy() -> Array:
            return g * np.where(x == y, 0.5, ~loses(y, x)).astype(g.dtype)

        return dx, dy

    return backward


@operation(integers=True, blas=False)
def clip(x: Array, min: Any = None, max: Any = None) -> Result:
    """``x`` where it lies between the bounds, and the nearer bound elsewhere.

    The gradient passes where x lies within the bounds or on one of them.

    Parameters
    ----------
    x : tensor
    min, max : number or array, optional
        Constants that broadcast to ``x``; None bounds nothing. If a bound is a tensor that has a
        gradient, write :func:`maximum` and :func:`minimum`.

    Raises
    ------
    TypeError
        If a bound is a tensor that has a gradient.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> from foundation_nn import functional as F
    >>> x = Tensor([-3.0, 0.5, 2.0], requires_grad=True)
    >>> y = F.clip(x, -1, 1)
    >>> y.data
    array([-1. ,  0.5,  1. ], dtype=float32)
    >>> y.sum().backward()
    >>> x.grad
    array([0., 1., 0.], dtype=float32)
    """
    for bound in (min, max):
        if getattr(bound, "requires_grad", False):
            raise TypeError(
                "clip: the bounds are constants, got a tensor that has a gradient; write "
                "maximum(x, low) or minimum(x, high), which have gradients for both"
            )
    bounds = [None if bound is None else np.array(bound) for bound in (min, max)]
    fractions = any(bound is not None and bound.dtype.kind == "f" for bound in bounds)
    dtype = np.dtype(np.float32) if x.dtype.kind != "f" and fractions else x.dtype
    x = x.astype(dtype, copy=False)
    low, high = (bound if bound is None else bound.astype(dtype) for bound in bounds)

    def backward(g: Array) -> Array:
        within = np.ones(g.shape, bool)
        if low is not None:
            within &= x >= low
        if high is not None:
            within &= x <= high
        return g * within

    return np.clip(x, low, high), backward
