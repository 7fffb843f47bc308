"""Arithmetic, element by element, and the matrix product.

Broadcasting follows NumPy; the engine sums the gradients back to the shapes of the inputs.
"""

from __future__ import annotations

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._threads import product


@operation(integers=True, blas=False)
def add(x: Array, y: Array) -> Result:
    """``x + y``."""

    def backward(g: Array) -> tuple[Array, Array]:
        return g, g

    return x + y, backward


@operation(integers=True, blas=False)
def subtract(x: Array, y: Array) -> Result:
    """``x - y``."""

    def backward(g: Array) -> tuple[Array, Array]:
        return g, -g

    return x - y, backward


@operation(integers=True, blas=False)
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


@operation(blas=False)
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


@operation(integers=True, blas=False)
def negative(x: Array) -> Result:
    """``-x``."""

    def backward(g: Array) -> Array:
        return -g

    return -x, backward


@operation(integers=True, blas=False)
def power(x: Array, exponent: Array) -> Result:
    """``x ** y`` with y = ``exponent``, d/dx = y · x^(y - 1) and d/dy = x^y log x.

    Base and exponent may each be a number or a tensor. Whole numbers stay whole unless an exponent
    is negative. The power of a negative number is no smooth function of its exponent: there d/dy is
    NaN. At x = 0 it is 0 if y is not negative.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> y = Tensor([0.0, 1.0, 3.0], requires_grad=True)
    >>> z = 2.0**y
    >>> z.data
    array([1., 2., 8.], dtype=float32)
    >>> z.sum().backward()
    >>> y.grad / z.data  # log 2
    array([0.6931472, 0.6931472, 0.6931472], dtype=float32)
    """
    if np.ndim(exponent) == 0 and isinstance(exponent, np.ndarray):
        exponent = exponent.item()  # NumPy is faster with a number, and knows squares and roots
    whole = np.asarray(x).dtype.kind != "f" and np.asarray(exponent).dtype.kind != "f"
    if whole and np.any(np.less(exponent, 0)):
        x, exponent = np.asarray(x, np.float32), np.asarray(exponent, np.float32)
    y = x**exponent

    def backward(g: Array) -> tuple[Array, Array]:
        def dx() -> Array:
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = np.where(np.equal(exponent, 0), 0, exponent * x ** (exponent - 1))
                return zero_where(g, g * slope)

        def dexponent() -> Array:
            with np.errstate(divide="ignore", invalid="ignore"):
                flat = (x == 0) & np.greater_equal(exponent, 0)
                slope = np.where(flat, 0, y * np.log(x))
                return zero_where(g, g * slope)

        return dx, dexponent

    return y, backward


@operation(blas=False)
def exp(x: Array) -> Result:
    """eˣ, which is its own derivative."""
    y = np.exp(x)

    def backward(g: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return zero_where(g, g * y)

    return y, backward


@operation(blas=False)
def log(x: Array) -> Result:
    """Natural logarithm, d/dx = 1 / x."""

    def backward(g: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return zero_where(g, g / x)

    return np.log(x), backward


@operation(blas=False)
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
