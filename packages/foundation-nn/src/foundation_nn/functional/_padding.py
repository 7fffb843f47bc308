"""Making padding invisible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor


@operation
def _mask_rows(x: Array, real: NDArray[np.bool_]) -> Result:
    padding = ~real

    def backward(g: Array) -> Array:
        dx = g.copy()
        dx[padding] = 0
        return dx

    y = x.copy()
    y[padding] = 0
    return y, backward


@explains_keywords
def mask_rows(x: Tensor | NDArray[Any], real: NDArray[np.bool_]) -> Tensor:
    """The rows of ``x`` where ``real`` is True, zeros elsewhere.

    What stood in the other rows has no influence on any output or gradient after this, even if it
    was NaN. Multiplying by zero would not achieve that.

    Parameters
    ----------
    x : (..., D) tensor
    real : (...) bool array

    Raises
    ------
    TypeError
        If ``real`` is not boolean.
    ValueError
        If its shape is not that of ``x`` without the last axis.
    """
    real = np.asarray(real)
    if real.dtype != np.bool_:
        raise TypeError(f"mask_rows: expected a boolean mask, got {real.dtype}; use ids != pad_id")
    if real.shape != x.shape[:-1]:
        raise ValueError(
            f"mask_rows: expected a mask of shape {x.shape[:-1]} for x of shape {x.shape}, "
            f"got {real.shape}"
        )
    if real.all():
        return x if isinstance(x, Tensor) else Tensor(x)
    return _mask_rows(x, real)
