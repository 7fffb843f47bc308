"""How far numbers lie from their mean: variance and standard deviation.

The standard deviation has a kink where all numbers are equal. Its gradient is taken as 0 there.
"""

from __future__ import annotations

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Axis
from foundation_nn.functional._reductions import restore


def first_along(x: Array, axis: Axis) -> Array:
    """The first element along each of the axes, with these axes kept, of length one."""
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    index = [slice(None)] * x.ndim
    for number in axes[: x.ndim]:  # NumPy lets one reduce a scalar over axis -1
        index[number] = slice(1)
    return x[tuple(index)]


def _centred(name: str, x: Array, axis: Axis, ddof: float) -> tuple[Array, float]:
    """Each element minus the mean over the axis, and the number to divide the squares by.

    The elements are counted from the first one. So numbers that are all equal have exactly no
    spread, and a mean that is large beside the spread costs no digits.
    """
    x = x - first_along(x, axis)
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
        share = or_zero(g / divisor, y)
        return centred * restore(share, x.ndim, axis, keepdims)

    return y, backward


def or_zero(g: Array, y: Array) -> Array:
    """g / y, and 0 where y is 0."""
    return np.divide(g, y, out=np.zeros_like(g), where=y != 0)
