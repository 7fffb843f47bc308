"""Element-wise nonlinearities, computed block by block in the cache."""

from __future__ import annotations

import math

import numpy as np

from foundation_nn._operation import Array, Result, operation
from foundation_nn._tape import recording
from foundation_nn._threads import over_rows, scratch
from foundation_nn.functional._normal import normal_tail
from foundation_nn.functional._rows import as_rows


@operation(integers=True)
def relu(x: Array) -> Result:
    """max(x, 0); the derivative at 0 is taken as 0, as in PyTorch."""
    # Three times faster than np.maximum(x, 0); NaN stays NaN.
    y = x.clip(0, np.inf) if x.dtype.kind == "f" else np.maximum(x, 0)

    def backward(g: Array) -> Array:
        return g * (y != 0)  # y is never negative; NaN passes the gradient on

    return y, backward


@operation
def tanh(x: Array) -> Result:
    """tanh x, d/dx = 1 - tanh² x."""
    y = np.tanh(x)

    def backward(g: Array) -> Array:
        return g * (1 - y * y)

    return y, backward


def _sigmoid(x: Array) -> Array:
    """σ(x), accurate down to the smallest numbers: σ(-x) is about e⁻ˣ, not 0."""
    # e⁻ˣ must not overflow; of a 0-d array, clip makes a scalar, which is no `out`.
    y = np.asarray(x.clip(math.log(np.finfo(x.dtype).tiny), np.inf))
    np.negative(y, out=y)
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


@operation
def sigmoid(x: Array) -> Result:
    """σ(x) = 1 / (1 + e⁻ˣ), d/dx = σ (1 - σ)."""
    y = _sigmoid(x)

    def backward(g: Array) -> Array:
        return g * y * (1 - y)

    return y, backward


@operation
def silu(x: Array) -> Result:
    """x σ(x), also called swish [1]_, d/dx = σ (1 + x (1 - σ)).

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415.
    """
    s = _sigmoid(x)

    def backward(g: Array) -> Array:
        return g * (s * (1 + x * (1 - s)))

    return x * s, backward


@operation
def gelu(x: Array, approximate: str = "none") -> Result:
    """x Φ(x) with Φ the normal distribution function [1]_, d/dx = Φ(x) + x φ(x).

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "tanh" replaces Φ by (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, as GPT-2 does.

    Raises
    ------
    ValueError
        If ``approximate`` is neither.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", 2016, arXiv:1606.08415.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate is "none" or "tanh", got {approximate!r}')
    value_and_slope = _gelu_exact if approximate == "none" else _gelu_tanh
    shape, x2 = x.shape, as_rows(x)  # (N, D)
    y = np.empty_like(x2)
    slope: Array = np.empty_like(x2) if recording.get() else None

    def forward(rows: slice) -> None:
        value_and_slope(x2[rows], y[rows], None if slope is None else slope[rows])

    over_rows(forward, len(x2), x2.shape[-1] * x.itemsize)

    def backward(g: Array) -> Array:
        return g * slope.reshape(shape)

    return y.reshape(shape), backward


@np.errstate(over="ignore")  # x² may be inf: what is made of it is finite
def _gelu_exact(x: Array, y: Array, slope: Array | None) -> None:
    # With a = |x|, Q = 1 - Φ and φ the density: x Φ(x) = max(x, 0) - a Q(a), and the derivative
    # is 1/2 ± (1/2 - Q(a) + a φ(a)) with the sign of x.
    gauss = np.multiply(x, x, out=scratch(x.shape, x.dtype, 2) if slope is None else slope)
    gauss *= -0.5
    np.exp(gauss, out=gauss)
    a = np.abs(x, out=scratch(x.shape, x.dtype, 0))
    q = normal_tail(a, gauss, scratch(x.shape, x.dtype, 1), y)
    x.clip(0, np.inf, out=y)  # faster than np.maximum
    if slope is not None:
        slope *= a
        slope *= 1 / math.sqrt(2 * math.pi)
        slope -= q
        slope += 0.5
        _give_sign(slope, x)
        slope += 0.5
    q *= a
    y -= q


def _give_sign(values: Array, signs: Array) -> None:
    """``np.copysign(values, signs)`` for values ≥ 0, in a quarter of its time."""
    bits = np.dtype(f"u{signs.itemsize}")
    sign = np.bitwise_and(
        signs.view(bits), bits.type(1 << 8 * signs.itemsize - 1), out=scratch(signs.shape, bits, 2)
    )
    values.view(bits)[...] |= sign


@np.errstate(over="ignore")
def _gelu_tanh(x: Array, y: Array, slope: Array | None) -> None:
    scale, cubic = math.sqrt(2 / math.pi), 0.044715
    square = np.multiply(x, x, out=scratch(x.shape, x.dtype, 0))
    square.clip(0, 100, out=square)  # tanh is ±1 from there on, and 0 · inf were NaN
    t = np.multiply(square, scale * cubic, out=scratch(x.shape, x.dtype, 1))
    t += scale
    t *= x
    np.tanh(t, out=t)
    if slope is not None:
        # Φ = (1 + t) / 2,  dΦ/dx = (1 - t²) / 2 · √(2/π) (1 + 3 · 0.044715 x²)
        square *= 1.5 * scale * cubic
        square += 0.5 * scale
        np.multiply(t, t, out=slope)
        np.subtract(1, slope, out=slope)
        slope *= square
        slope *= x
    t *= 0.5
    t += 0.5
    if slope is not None:
        slope += t
    np.multiply(x, t, out=y)
