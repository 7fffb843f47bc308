"""How far numbers lie from their mean, and from zero: variance, standard deviation, norm.

The standard deviation and the norm have a kink where everything is equal, or zero. Their gradient
is taken as 0 there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn._arguments import described
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Axis, Tensor
from foundation_nn.functional._kinks import abs
from foundation_nn.functional._reductions import max, restore, sum


def _centred(name: str, x: Array, axis: Axis, ddof: float) -> tuple[Array, float]:
    """Each element minus the mean over the axis, and the number to divide the squares by."""
    total = x.sum(axis=axis, keepdims=True)
    count = x.size // total.size if x.size else 0
    if total.size and count <= ddof:
        raise ValueError(
            f"{name}: expected more than ddof={ddof} elements to take it of, got {count} over axis "
            f"{axis} of shape {x.shape}"
        )
    return x - total / (count or 1), count - ddof


@operation
def var(x: Array, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Result:
    """Σ (x - mean)² / (n - ddof) over ``axis``, dx = 2 g (x - mean) / (n - ddof).

    As in NumPy, ``ddof`` is 0 unless it is given. ``torch.var`` divides by n - 1: ``ddof=1``.

    Raises
    ------
    ValueError
        If there are not more than ``ddof`` elements.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.array([1.0, 2.0, 6.0])  # the mean is 3
    >>> F.var(x).item() == (4 + 1 + 9) / 3
    True
    >>> F.var(x, ddof=1).item() == (4 + 1 + 9) / 2
    True
    """
    centred, divisor = _centred("var", x, axis, ddof)

    def backward(g: Array) -> Array:
        return centred * (2 / divisor * restore(g, x.ndim, axis, keepdims))

    return (centred * centred).sum(axis=axis, keepdims=keepdims) / divisor, backward


@operation
def std(x: Array, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Result:
    """The square root of :func:`var`, dx = g (x - mean) / ((n - ddof) std).

    Raises
    ------
    ValueError
        If there are not more than ``ddof`` elements.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.std(np.array([1.0, 1.0, 4.0, 4.0])).item()
    1.5
    """
    centred, divisor = _centred("std", x, axis, ddof)
    y = np.sqrt((centred * centred).sum(axis=axis, keepdims=keepdims) / divisor)

    def backward(g: Array) -> Array:
        share = _or_zero(g / divisor, y)
        return centred * restore(share, x.ndim, axis, keepdims)

    return y, backward


def _or_zero(g: Array, y: Array) -> Array:
    """g / y, and 0 where y is 0."""
    return np.divide(g, y, out=np.zeros_like(g), where=y != 0)


@operation
def _euclidean_norm(x: Array, axis: Axis, keepdims: bool) -> Result:
    # Divided by the largest element, no square overflows or vanishes.
    largest = np.abs(x).max(axis=axis, keepdims=True, initial=0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1)
    scaled = x / scale
    length = np.sqrt((scaled * scaled).sum(axis=axis, keepdims=True))
    y = length * scale
    unit = _or_zero(scaled, np.broadcast_to(length, x.shape))
    if not keepdims:
        y = y.reshape(x.sum(axis=axis).shape)

    def backward(g: Array) -> Array:
        return unit * restore(g, x.ndim, axis, keepdims)

    return y, backward


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The length of ``x``, √Σ x² over ``axis``; d/dx = x / norm, and 0 where the norm is 0.

    Parameters
    ----------
    x : tensor
    ord : {None, 1, 2, inf}
        None is the length of everything over ``axis``. Over one axis, 1 is the sum and inf the
        maximum of the absolute values, and 2 is the length.
    axis : int, tuple of int, optional
    keepdims : bool

    Raises
    ------
    ValueError
        For another ``ord``, or one that NumPy takes for a norm of matrices.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> x = [[3.0, 4.0], [0.0, -5.0]]
    >>> F.norm(x, axis=1).data
    array([5., 5.], dtype=float32)
    >>> F.norm(x, 1, axis=1).data
    array([7., 5.], dtype=float32)
    """
    if ord is None:
        return _euclidean_norm(x, axis, keepdims)
    several = np.ndim(x) != 1 if axis is None else np.ndim(axis) > 0
    if several or ord not in (1, 2, np.inf):
        raise ValueError(
            f"norm: expected ord to be None, or 1, 2 or inf over one axis, got {described(ord)} "
            f"over axis {axis} of shape {np.shape(x)}; without ord it is the square root of the "
            "sum of all squares"
        )
    if ord == 2:
        return _euclidean_norm(x, axis, keepdims)
    return (sum if ord == 1 else max)(abs(x), axis, keepdims)
