"""The Gauss error function, which NumPy does not have.

With t = 1 / (1 + x/2), the function exp(x²) erfc(x) is smooth on 0 < t ≤ 1. Its Chebyshev series
is computed once from ``math.erfc``, which serves scalars only.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from foundation_nn._operation import Array

_LARGEST = 9.0  # erfc(9) = 4e-37: one minus it is one


@cache
def _series(dtype: np.dtype[np.floating]) -> tuple[float, ...]:
    degree = 9 if dtype.itemsize <= 4 else 22
    low = 1 / (1 + _LARGEST / 2)
    nodes = np.polynomial.chebyshev.chebpts1(128)
    x = 2 * (1 / (low + (nodes + 1) * (1 - low) / 2) - 1)
    values = [math.exp(v * v) * math.erfc(v) for v in np.maximum(x, 0)]
    return tuple(np.polynomial.chebyshev.chebfit(nodes, values, degree).tolist())


def erf(x: Array, gauss: Array) -> Array:
    """erf(x) = 2/√π ∫₀ˣ exp(-s²) ds, given ``gauss`` = exp(-x²).

    The absolute error is below 3e-7 in float32 and 2e-15 in float64.
    """
    series = _series(x.dtype)
    low = 1 / (1 + _LARGEST / 2)
    s = np.abs(x)
    np.minimum(s, _LARGEST, out=s)
    s *= 0.5
    s += 1
    np.divide(4 / (1 - low), s, out=s)
    s -= 2 * (1 + low) / (1 - low)  # twice t, moved to [-1, 1]
    # Clenshaw's recurrence: b_k = c_k + 2 s b_(k+1) - b_(k+2)
    b1, b2 = np.full_like(s, series[-1]), np.zeros_like(s)
    for c in series[-2:0:-1]:
        np.subtract(c, b2, out=b2)
        b2 += s * b1
        b1, b2 = b2, b1
    s *= 0.5
    s *= b1
    s -= b2
    s += series[0]
    s *= gauss
    np.subtract(1, s, out=s)
    return np.copysign(s, x, out=s)
