"""The tail of the normal distribution, which NumPy does not have.

With t = 1 / (1 + a/4), the ratio of Q(a) = 1 - Φ(a) to exp(-a²/2) is a smooth function of
0 < t ≤ 1. A polynomial for it is fitted once to ``math.erfc``, which serves scalars only.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from foundation_nn.engine._operation import Array

_SLOWNESS = 0.25
_LARGEST = 14.0  # Q(14) = 8e-45


@cache
def _polynomial(dtype: np.dtype[np.floating]) -> tuple[float, ...]:
    """Coefficients of t, t², …; there is no constant, as Q(a) vanishes with t."""
    degree = 6 if dtype.itemsize <= 4 else 18
    least = 1 / (1 + _SLOWNESS * _LARGEST)
    t = least + (1 - least) * (np.polynomial.chebyshev.chebpts1(400) + 1) / 2
    a = (1 / t - 1) / _SLOWNESS
    gauss = np.exp(-a * a / 2)
    tail = np.array([math.erfc(v / math.sqrt(2)) / 2 for v in a])
    # Chebyshev's polynomials keep the equations well conditioned, and the weights the error of
    # Q(a) even from the middle to the far end.
    basis = np.polynomial.chebyshev.chebvander(2 * t - 1, degree - 1) * t[:, None]
    weights = gauss**0.4
    solution = np.linalg.lstsq(basis * weights[:, None], tail / gauss * weights, rcond=None)[0]
    series = np.polynomial.Chebyshev(solution, domain=[0, 1])
    return tuple(series.convert(kind=np.polynomial.Polynomial).coef.tolist())


def upper_tail(a: Array, gauss: Array) -> Array:
    """Q(a) = ∫ₐ^∞ exp(-s²/2) ds / √2π for a ≥ 0, given ``gauss`` = exp(-a²/2).

    The absolute error is below 2e-7 in float32 and 2e-15 in float64.
    """
    *others, highest = _polynomial(a.dtype)
    t = a * _SLOWNESS
    t += 1
    np.divide(1, t, out=t)
    q = t * highest  # Horner's rule
    for coefficient in reversed(others):
        q += coefficient
        q *= t
    q *= gauss
    return q
