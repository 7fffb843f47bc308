"""Element-wise nonlinearities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tape import recording
from foundation_nn.functional._normal import upper_tail
from foundation_nn.functional._rows import by_rows, limited, surely_finite


@operation(integers=True, blas=False)
def relu(x: Array) -> Result:
    """max(x, 0); the derivative at 0 is taken as 0, as in PyTorch."""
    # Three times as fast as np.maximum(x, 0); NaN stays NaN.
    y = x.clip(0, np.inf) if x.dtype.kind == "f" else np.maximum(x, 0)

    def backward(g: Array) -> Array:
        return g * (y != 0)  # y is never negative; where it is NaN, the gradient passes

    return y, backward


@operation(blas=False)
def tanh(x: Array) -> Result:
    """tanh x, d/dx = 1 - tanh² x."""
    y = np.tanh(x)

    def backward(g: Array) -> Array:
        return g * (1 - y * y)

    return y, backward


def logistic(x: Array, out: Array | None = None) -> Array:
    """σ(x) = 1 / (1 + e⁻ˣ) of an array; where e⁻ˣ overflows, 1 / (1 + ∞) = 0 is right."""
    with np.errstate(over="ignore"):
        divisor = np.exp(np.negative(x, out=out), out=out)
    divisor += 1
    return np.divide(1, divisor, out=out)


@operation(blas=False)
@by_rows
def sigmoid(x: Array, out: NDArray[Any] | None = None) -> Result:
    """σ(x) = 1 / (1 + e⁻ˣ), d/dx = σ (1 - σ)."""
    y = logistic(x, out)

    def backward(g: Array, out: Array | None = None) -> Array:
        dx = np.subtract(1, y, out=out)
        dx *= y
        return np.multiply(dx, g, out=dx)

    return y, backward


@operation
@by_rows
def silu(x: Array, out: NDArray[Any] | None = None) -> Result:
    """x σ(x), also called swish [1]_, d/dx = σ (1 + x (1 - σ)).

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.linspace(-3, 3, 7)
    >>> np.allclose(x / (1 + np.exp(-x)), F.silu(x).data)
    True
    """
    s = logistic(x)
    finite = above = x
    if not surely_finite(x):  # 0 · ∞ would be NaN, but the limits are 0 and ∞
        largest = np.finfo(x.dtype).max
        finite = x.clip(-largest, largest)
        above = x.clip(-largest, np.inf)

    def backward(g: Array, out: Array | None = None) -> Array:
        dx = np.subtract(1, s, out=out)
        dx *= finite
        dx += 1
        dx *= s
        return np.multiply(dx, g, out=dx)

    return np.multiply(above, s, out=out), backward


@operation(blas=False)
def gelu(x: Array, approximate: str = "none") -> Result:
    """x Φ(x) with Φ the normal distribution function [1]_, d/dx = Φ(x) + x φ(x).

    Parameters
    ----------
    x : tensor
    approximate : {"none", "tanh"}
        "tanh" replaces Φ by (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, as GPT-2 does.

    Raises
    ------
    ValueError
        If ``approximate`` is neither.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415.

    Examples
    --------
    Both formulas in plain Python:

    >>> import math
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x = np.linspace(-3, 3, 7)
    >>> Phi = np.array([(1 + math.erf(v / math.sqrt(2))) / 2 for v in x])
    >>> np.allclose(x * Phi, F.gelu(x).data)
    True
    >>> Phi = (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    >>> np.allclose(x * Phi, F.gelu(x, "tanh").data)
    True
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate is "none" or "tanh", got {approximate!r}')
    # The slope is made of the same exponentials as the value, so it is computed with it. Between
    # the forward and the backward pass it takes the place of x.
    if approximate == "tanh":
        return _gelu_tanh(x, recording.get())
    return _gelu_exact(x, recording.get())


#: From there on Φ is 0 or 1, and x φ(x) is 0, in float64, too.
_FAR = 40.0


@by_rows
def _gelu_exact(x: Array, slope_wanted: bool, out: NDArray[Any] | None = None) -> Result:
    near = limited(x, -_FAR, _FAR)
    gauss = near * near
    gauss *= -0.5
    np.exp(gauss, out=gauss)
    distance = np.abs(near)
    distance += np.finfo(x.dtype).tiny
    cdf = 0.5 - upper_tail(distance, gauss)  # Φ(|x|) - ½; with the sign of x it is Φ(x) - ½
    cdf /= distance
    cdf *= near
    cdf += 0.5
    slope: Array = None
    if slope_wanted:
        slope = near * gauss
        slope *= 1 / math.sqrt(2 * math.pi)
        slope += cdf

    def backward(g: Array, out: Array | None = None) -> Array:
        return np.multiply(g, slope, out=out)

    above = near if near is x else x.clip(-_FAR, np.inf)
    return np.multiply(above, cdf, out=out), backward


@by_rows
def _gelu_tanh(x: Array, slope_wanted: bool, out: NDArray[Any] | None = None) -> Result:
    # Φ = (1 + tanh u) / 2 with u = √(2/π) (x + 0.044715 x³), so that dΦ/dx = 2 Φ (1 - Φ) du/dx.
    scale = math.sqrt(2 / math.pi)
    near = limited(x, -_FAR, _FAR)
    square = near * near
    cdf = square * (scale * 0.044715)
    cdf += scale
    cdf *= near  # this is u
    np.tanh(cdf, out=cdf)
    cdf *= 0.5
    cdf += 0.5
    slope: Array = None
    if slope_wanted:
        slope = 1 - cdf
        slope *= cdf
        slope *= near
        square *= 6 * scale * 0.044715
        square += 2 * scale
        slope *= square
        slope += cdf

    def backward(g: Array, out: Array | None = None) -> Array:
        return np.multiply(g, slope, out=out)

    above = near if near is x else x.clip(-_FAR, np.inf)
    return np.multiply(above, cdf, out=out), backward
