"""How large a vector or a matrix is: the norms that NumPy has, under the same names.

A norm has a kink at zero, where its gradient is taken as 0.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from foundation_nn._arguments import described
from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Axis, Tensor
from foundation_nn.functional._axes import squeeze
from foundation_nn.functional._kinks import abs, sign
from foundation_nn.functional._reductions import max, min, restore, sum
from foundation_nn.functional._shaping import transpose
from foundation_nn.functional._spread import or_zero


@explains_keywords
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The length of ``x``, √Σ x² over ``axis``, or another norm, as ``numpy.linalg.norm``.

    =========  ==========================  =================================
    ord        over one axis               over two axes, of a matrix
    =========  ==========================  =================================
    None       √Σ x²                       √Σ x², and so over any axes
    p          (Σ abs(x)^p)^(1/p)          refused, but for 1, -1, 2 and -2
    1, -1      the rule for p              largest, smallest sum of a column
    2, -2      the rule for p              largest, smallest singular value
    inf, -inf  largest, smallest abs(x)    largest, smallest sum of a row
    0          how many are not 0          refused
    "fro"      refused                     √Σ x²
    "nuc"      refused                     the sum of the singular values
    =========  ==========================  =================================

    The sums of columns and rows are those of absolute values.

    Parameters
    ----------
    x : tensor
    ord : number, "fro" or "nuc", optional
    axis : int, tuple of int, optional
        Without it, ``x`` is one vector or one matrix; if ``ord`` is None, it may have any shape.
    keepdims : bool

    Raises
    ------
    ValueError
        If ``ord`` is no norm over these axes.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> x = [[3.0, 4.0], [0.0, -5.0]]
    >>> F.norm(x, axis=1).data
    array([5., 5.], dtype=float32)
    >>> F.norm(x, 1, axis=1).data
    array([7., 5.], dtype=float32)
    >>> F.norm(x, 1).data, F.norm([[3.0, 0.0], [0.0, 4.0]], "nuc").data  # of matrices
    (array(9., dtype=float32), array(7., dtype=float32))
    """
    if ord is None:
        return _euclidean_norm(x, axis, keepdims)
    ndim = np.ndim(x)
    axes = tuple(range(ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if len(axes) == 1 and isinstance(ord, Real):
        return _of_vectors(x, float(ord), axes[0], keepdims)
    if len(axes) == 2 and ord in _OF_A_MATRIX:
        y = _of_matrices(x, ord, axes)
        return y if keepdims else squeeze(y, axes)
    raise ValueError(
        f"norm: expected ord to be a number over one axis, or one of {_OF_A_MATRIX} over two, got "
        f"{described(ord)} over axis {axis} of shape {np.shape(x)}; without ord it is the square "
        "root of the sum of all squares"
    )


_OF_A_MATRIX = (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc")


def _of_vectors(x: Any, order: float, axis: int, keepdims: bool) -> Tensor:
    if order == 0:
        return sum(abs(sign(x)), axis, keepdims)
    if order == 1:
        return sum(abs(x), axis, keepdims)
    if order == 2:
        return _euclidean_norm(x, axis, keepdims)
    if np.isinf(order):
        return (max if order > 0 else min)(abs(x), axis, keepdims)
    return _power_norm(x, order, axis, keepdims)


def _of_matrices(x: Any, ord: Any, axes: tuple[int, ...]) -> Tensor:
    """With the two axes kept, of length one."""
    rows, columns = axes
    if ord == "fro":
        return _euclidean_norm(x, axes, True)
    extreme = max if ord == "nuc" or ord > 0 else min
    if ord in (1, -1):  # a column runs along the axis of the rows
        return extreme(sum(abs(x), rows, True), columns, True)
    if ord in (np.inf, -np.inf):
        return extreme(sum(abs(x), columns, True), rows, True)
    ndim = np.ndim(x)
    last_two = [axis % ndim for axis in axes]
    order = [axis for axis in range(ndim) if axis not in last_two] + last_two
    values = _singular_values(transpose(x, order))
    y = (sum if ord == "nuc" else extreme)(values, -1, True)
    return transpose(y[..., None], np.argsort(order).tolist())


@operation
def _euclidean_norm(x: Array, axis: Axis, keepdims: bool) -> Result:
    """√Σ x², d/dx = x / norm."""
    # Divided by the largest element, no square overflows or vanishes.
    largest = np.abs(x).max(axis=axis, keepdims=True, initial=0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1)
    scaled = x / scale
    length = np.sqrt((scaled * scaled).sum(axis=axis, keepdims=True))
    y = length * scale
    unit = or_zero(scaled, np.broadcast_to(length, x.shape))
    if not keepdims:
        y = y.reshape(x.sum(axis=axis).shape)

    def backward(g: Array) -> Array:
        return unit * restore(g, x.ndim, axis, keepdims)

    return y, backward


@operation
def _power_norm(x: Array, order: float, axis: int, keepdims: bool) -> Result:
    """(Σ abs(x)^p)^(1/p), d/dx = sign(x) (abs(x) / norm)^(p - 1)."""
    size = np.abs(x)
    # The element that counts most is taken out, so that no power overflows or vanishes.
    if order > 0:
        scale = size.max(axis=axis, keepdims=True, initial=0)
    else:
        scale = size.min(axis=axis, keepdims=True, initial=np.inf)
    scale = np.where((scale > 0) & np.isfinite(scale), scale, 1)
    scaled = size / scale
    with np.errstate(divide="ignore"):  # 0 to a negative power
        length = (scaled**order).sum(axis=axis, keepdims=True) ** (1 / order)
    y = length * scale

    def backward(g: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(x == 0, 0, np.sign(x) * (scaled / length) ** (order - 1))
        return slope * restore(g, x.ndim, axis, keepdims)

    return (y if keepdims else y.squeeze(axis)), backward


@operation
def _singular_values(x: Array) -> Result:
    """The singular values s of X = U diag(s) Vᵀ, the largest first; dX = U diag(g) Vᵀ."""
    u, values, v_transposed = np.linalg.svd(x, full_matrices=False)

    def backward(g: Array) -> Array:
        return (u * g[..., None, :]) @ v_transposed

    return values, backward
