"""Arithmetic, element by element, and the matrix product.

Broadcasting follows NumPy; the engine sums the gradients back to the shapes of the inputs.
"""

from __future__ import annotations

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._threads import product


@operation(integers=True)
def add(x: Array, y: Array) -> Result:
    """``x + y``."""

    def backward(g: Array) -> tuple[Array, Array]:
        return g, g

    return x + y, backward


@operation(integers=True)
def subtract(x: Array, y: Array) -> Result:
    """``x - y``."""

    def backward(g: Array) -> tuple[Array, Array]:
        return g, -g

    return x - y, backward


@operation(integers=True)
def multiply(x: Array, y: Array) -> Result:
    """``x * y``."""

    def backward(g: Array) -> tuple[Array, Array]:
        return lambda: g * y, lambda: g * x

    return x * y, backward


def zero_where(g: Array, dx: Array) -> Array:
    """``dx``, but 0 where the gradient ``g`` that it is made of is 0.

    Some derivatives are infinite somewhere, such as that of √x at 0 and that of eˣ where it
    overflows, and 0 · ∞ is NaN. But what has no influence on the loss has no gradient. With this
    rule ``where(x > 0, sqrt(x), 0)`` has the gradient 0 at 0.
    """
    return np.where(g == 0, g, dx)


@operation
def divide(x: Array, y: Array) -> Result:
    """``x / y``, d/dx = 1 / y and d/dy = -x / y²."""
    z = x / y

    def backward(g: Array) -> tuple[Array, Array]:
        def dx() -> Array:
            with np.errstate(divide="ignore", invalid="ignore"):
                return zero_where(g, g / y)

        def dy() -> Array:
            with np.errstate(divide="ignore", invalid="ignore"):
                return zero_where(g, -g * (z / y))

        return dx, dy

    return z, backward


@operation(integers=True)
def negative(x: Array) -> Result:
    """``-x``."""

    def backward(g: Array) -> Array:
        return -g

    return -x, backward


@operation(integers=True)
def power(x: Array, exponent: float) -> Result:
    """``x ** exponent`` for a constant exponent, d/dx = exponent · x^(exponent - 1).

    Whole numbers stay whole with an exponent that is a natural number.

    Raises
    ------
    TypeError
        If the exponent is not a number.
    """
    if not isinstance(exponent, int | float | np.integer | np.floating):
        raise TypeError(
            f"power: the exponent is a number, got {type(exponent).__name__}; "
            "for a tensor as exponent write exp(y * log(x))"
        )
    natural = isinstance(exponent, int | np.integer) and exponent >= 0
    if x.dtype.kind != "f" and not natural:
        x = x.astype(np.float32)

    def backward(g: Array) -> Array:
        if exponent == 0:
            return np.zeros_like(g)
        with np.errstate(divide="ignore", invalid="ignore"):
            return zero_where(g, g * (exponent * x ** (exponent - 1)))

    return x**exponent, backward


@operation
def exp(x: Array) -> Result:
    """eˣ, which is its own derivative."""
    y = np.exp(x)

    def backward(g: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return zero_where(g, g * y)

    return y, backward


@operation
def log(x: Array) -> Result:
    """Natural logarithm, d/dx = 1 / x."""

    def backward(g: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return zero_where(g, g / x)

    return np.log(x), backward


@operation
def sqrt(x: Array) -> Result:
    """Square root, d/dx = 1 / (2 √x)."""
    y = np.sqrt(x)

    def backward(g: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return zero_where(g, g * 0.5 / y)

    return y, backward


@operation(integers=True)
def matmul(x: Array, y: Array) -> Result:
    """Matrix product over the last two axes, broadcasting the others as ``numpy.matmul`` does.

    Z = X Y,  dX = G Yᵀ,  dY = Xᵀ G.

    Raises
    ------
    ValueError
        If the shapes do not fit, or an input is a scalar.
    """
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(
            f"matmul: expected shapes (..., n, k) and (..., k, m), got {x.shape} and {y.shape}"
        )

    def backward(g: Array) -> tuple[Array, Array]:
        # A vector takes part as a matrix with one row (left) or one column (right).
        x2 = x[None, :] if x.ndim == 1 else x
        y2 = y[:, None] if y.ndim == 1 else y
        if x.ndim == 1:
            g = np.expand_dims(g, -1 if y.ndim == 1 else -2)
        if y.ndim == 1:
            g = np.expand_dims(g, -1)

        def dx() -> Array:
            gradient = product(g, y2.swapaxes(-1, -2))
            return gradient[..., 0, :] if x.ndim == 1 else gradient

        def dy() -> Array:
            gradient = product(x2.swapaxes(-1, -2), g)
            return gradient[..., 0] if y.ndim == 1 else gradient

        return dx, dy

    return product(x, y), backward
