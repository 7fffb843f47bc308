"""Arithmetic of gates that needs no new memory.

A recurrence runs these lines once per step, on arrays so small that allocating the results would
take a good part of the time. Each function therefore writes into memory that it is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sigmoid(z: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """σ(z) = (1 + tanh(z / 2)) / 2: tanh is fast and cannot overflow."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5
    return out


def tanh_slope(tanh_z: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """The derivative of tanh where it has this value: 1 - tanh² z."""
    squared = np.multiply(tanh_z, tanh_z, out=out)
    np.subtract(1, squared, out=out)
    return out


def product_into(first: NDArray[Any], *factors: NDArray[Any]) -> NDArray[Any]:
    """The product of all, in the memory of the first, whose former values are lost.

    Examples
    --------
    >>> slope, dh = np.array([0.5, 0.25]), np.array([2.0, 4.0])
    >>> dz = product_into(slope, dh)
    >>> dz, dz is slope
    (array([1., 1.]), True)
    """
    for factor in factors:
        first *= factor
    return first
