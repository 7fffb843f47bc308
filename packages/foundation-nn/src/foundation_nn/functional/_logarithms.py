"""Logarithms of sums: written so that no exponential overflows and no digits are lost.

Each is the logarithm of 1 + something or of a sum of exponentials. Composed of ``log`` and ``exp``
they would be infinite for large numbers, and zero for small ones.
"""

from __future__ import annotations

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Axis
from foundation_nn.functional._activations import logistic
from foundation_nn.functional._basic import zero_where
from foundation_nn.functional._reductions import restore
from foundation_nn.functional._rows import by_rows


@operation
def log1p(x: Array) -> Result:
    """log(1 + x), exact also for an x so small that 1 + x is rounded to 1; d/dx = 1 / (1 + x).

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.log1p(np.array([1e-20, np.e - 1])).data
    array([1.e-20, 1.e+00])
    """

    def backward(g: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return zero_where(g, g / (1 + x))

    return np.log1p(x), backward


@operation
@by_rows
def softplus(x: Array) -> Result:
    """log(1 + eˣ), a relu without its kink, d/dx = σ(x).

    Computed as max(x, 0) + log(1 + exp(-abs x)), in which the exponential is at most 1.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.linspace(-3, 3, 7)
    >>> np.allclose(np.log(1 + np.exp(x)), F.softplus(x).data)
    True
    >>> F.softplus(np.array([-1000.0, 1000.0])).data
    array([   0., 1000.])
    """

    def backward(g: Array) -> Array:
        return g * logistic(x)

    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), backward


@operation
@by_rows
def log_sigmoid(x: Array) -> Result:
    """log σ(x) = -log(1 + e⁻ˣ), d/dx = 1 - σ(x) = σ(-x).

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.linspace(-3, 3, 7)
    >>> np.allclose(np.log(1 / (1 + np.exp(-x))), F.log_sigmoid(x).data)
    True
    >>> F.log_sigmoid(np.array([-1000.0, 1000.0])).data
    array([-1000.,     0.])
    """

    def backward(g: Array) -> Array:
        return g * logistic(-x)

    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))), backward


@operation
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Result:
    """log Σ exp(x) over ``axis``; dx = g softmax(x).

    The largest element m is taken out, log Σ exp(x) = m + log Σ exp(x - m), so that nothing
    overflows. The sum over no elements is 0, and its logarithm -∞. So it is where all elements are
    -∞, which then have the gradient 0.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> np.allclose(np.log(np.exp(x).sum(axis=1)), F.logsumexp(x, axis=1).data)
    True
    >>> F.logsumexp(np.array([1000.0, 1000.0])).item() - 1000 < 0.6932  # log 2
    True
    """
    top = x.max(axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)  # ∞ - ∞ would be NaN
    with np.errstate(over="ignore"):
        exponentials = np.exp(x - top)
    total = exponentials.sum(axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):
        y = top + np.log(total)
    if not keepdims:
        y = y.reshape(np.sum(total, axis=axis).shape)

    def backward(g: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            softmax = np.where(total == 0, 0, exponentials / total)
        return softmax * restore(g, x.ndim, axis, keepdims)

    return y, backward
