"""Looking up rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor
from foundation_nn.functional._shaping import index_array


@operation
def _embedding(weight: Array, ids: NDArray[np.integer[Any]]) -> Result:
    def backward(g: Array) -> Array:
        def dw() -> Array:
            flat = ids.reshape(-1)
            gradient = np.zeros_like(weight)
            if flat.size:
                # Sorting brings equal ids together: one segment sum each, and no np.add.at.
                order = np.argsort(flat, kind="stable")
                rows, starts = np.unique(flat[order], return_index=True)
                gradient[rows] = np.add.reduceat(g.reshape(flat.size, -1)[order], starts, axis=0)
            return gradient

        return dw

    return weight[ids], backward


@explains_keywords
def embedding(ids: NDArray[np.integer[Any]], weight: Tensor) -> Tensor:
    """Row ``ids[...]`` of the table, for every id; dW_v = Σ of the gradients where id = v.

    Parameters
    ----------
    ids : (...) integer array
    weight : (V, D) tensor

    Returns
    -------
    (..., D) tensor

    Raises
    ------
    TypeError
        If the ids are not integers.
    ValueError
        If an id lies outside [0, V), or the weight is no matrix.
    """
    ids = index_array(ids)  # a copy: the backward needs it as it is now
    if ids.dtype.kind not in "iu":
        raise TypeError(f"embedding: expected integer ids, got {ids.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"embedding: expected a weight of shape (V, D), got {weight.shape}")
    outside = (ids < 0) | (ids >= len(weight))
    if outside.any():
        raise ValueError(
            f"embedding: id {ids[outside][0]} lies outside the table of {len(weight)} rows "
            f"(ids 0..{len(weight) - 1}); was the text encoded with another vocabulary?"
        )
    return _embedding(weight, ids)
