"""Smooth curves: sine, cosine, and the error function, which NumPy does not have."""

from __future__ import annotations

import math

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.functional._normal import upper_tail
from foundation_nn.functional._rows import by_rows


@operation
def sin(x: Array) -> Result:
    """Sine of an angle in radians, d/dx = cos(x).

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.sin(np.array([0.0, np.pi / 2])).data
    array([0., 1.])
    """

    def backward(g: Array) -> Array:
        return g * np.cos(x)

    return np.sin(x), backward


@operation
def cos(x: Array) -> Result:
    """Cosine of an angle in radians, d/dx = -sin(x).

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.cos(np.array([0.0, np.pi])).data
    array([ 1., -1.])
    """

    def backward(g: Array) -> Array:
        return -g * np.sin(x)

    return np.cos(x), backward


@operation
@by_rows
def erf(x: Array) -> Result:
    """The error function 2/√π ∫₀ˣ exp(-s²) ds, d/dx = 2/√π exp(-x²).

    Near 0 it is summed as its power series, which is exact for tiny x, too. Further out it is
    1 - 2 Q(√2 x), where Q is the upper tail of the normal distribution.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.linspace(-3, 3, 7)
    >>> np.allclose([math.erf(v) for v in x], F.erf(x).data)
    True
    """
    distance = np.abs(x)
    near = distance.clip(0, _NEAR)
    far = distance.clip(_NEAR, _FAR)
    tail = upper_tail(far * math.sqrt(2), np.exp(-far * far))
    y = np.where(distance < _NEAR, _series(near), 1 - 2 * tail)

    def backward(g: Array) -> Array:
        with np.errstate(over="ignore"):
            return g * (2 / math.sqrt(math.pi) * np.exp(-x * x))

    return np.copysign(y, x), backward


#: Below this distance from 0 the series is used.
_NEAR = 0.5
#: From there on the error function is 1 in float64, too.
_FAR = 9.0
#: Terms of the series; the first that is left out is below 1e-17.
_TERMS = 13


def _series(x: Array) -> Array:
    """2/√π Σₙ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)) for small x."""
    square = x * x
    total = np.zeros_like(x)
    for n in reversed(range(_TERMS)):  # Horner's rule
        total = total * square + (-1) ** n / (math.factorial(n) * (2 * n + 1))
    return 2 / math.sqrt(math.pi) * x * total
