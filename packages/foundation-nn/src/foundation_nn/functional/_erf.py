"""The Gauss error function, which NumPy does not have.

With t = 1 / (1 + x/2), the function exp(x²) erfc(x) is smooth on 0 < t ≤ 1. A polynomial for it is
fitted once to ``math.erfc``, which serves scalars only.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from foundation_nn._operation import Array
from foundation_nn._threads import scratch

_LARGEST = 9.0  # erfc(9) = 4e-37: one minus it is one
_NEAREST = 1 / (1 + _LARGEST / 2)  # t there


@cache
def _polynomial(dtype: np.dtype[np.floating]) -> tuple[float, ...]:
    """Coefficients in u, which runs from -1 to 1 as t does from its least value to 1."""
    degree = 9 if dtype.itemsize <= 4 else 22
    nodes = np.polynomial.chebyshev.chebpts1(128)
    x = 2 * (1 / (_NEAREST + (nodes + 1) * (1 - _NEAREST) / 2) - 1)
    values = [math.exp(v * v) * math.erfc(v) for v in np.maximum(x, 0)]
    series = np.polynomial.chebyshev.chebfit(nodes, values, degree)
    return tuple(np.polynomial.chebyshev.cheb2poly(series).tolist())


def erf(x: Array, gauss: Array, out: Array) -> Array:
    """erf(x) = 2/√π ∫₀ˣ exp(-s²) ds, given ``gauss`` = exp(-x²), into ``out``.

    The absolute error is below 4e-7 in float32 and 2e-15 in float64.
    """
    *others, last, highest = _polynomial(x.dtype)
    u = np.abs(x, out=scratch(x.shape, x.dtype))
    np.minimum(u, _LARGEST, out=u)
    u *= 0.5
    u += 1
    np.divide(2 / (1 - _NEAREST), u, out=u)
    u -= (1 + _NEAREST) / (1 - _NEAREST)
    # Horner's rule. The series falls fast enough for powers of u to lose no digits.
    y = np.multiply(u, highest, out=out)
    y += last
    for c in reversed(others):
        y *= u
        y += c
    y *= gauss
    np.subtract(1, y, out=y)
    return np.copysign(y, x, out=y)
