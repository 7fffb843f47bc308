"""The affine map."""

from __future__ import annotations

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._threads import product
from foundation_nn.functional._rows import as_rows, column_sum


@operation
def linear(x: Array, weight: Array, bias: Array | None = None) -> Result:
    """Y = X Wᵀ + b, for every row of ``x``.

    With N rows: dX = G W,  dW = Gᵀ X,  db = Σ_n G_n.

    Parameters
    ----------
    x : (..., in) tensor
    weight : (out, in) tensor
        PyTorch's layout.
    bias : (out,) tensor, optional

    Returns
    -------
    (..., out) tensor

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x, weight, bias = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.ones(2)
    >>> x @ weight.T + bias
    array([[12., 18.]])
    >>> F.linear(x, weight, bias).data
    array([[12., 18.]])
    """
    if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: expected x of shape (..., in={weight.shape[-1]}) for a weight of shape "
            f"{weight.shape}, got {x.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: expected bias of shape {weight.shape[:1]}, got {bias.shape}")
    x2 = as_rows(x)  # (N, in)
    y = product(x2, weight.T)  # (N, out)
    if bias is not None:
        y += bias

    def backward(g: Array) -> tuple[Array, Array, Array]:
        g2 = as_rows(g)  # (N, out)

        def dx() -> Array:
            return product(g2, weight).reshape(x.shape)

        def dw() -> Array:
            return product(g2.T, x2)

        def db() -> Array:
            return column_sum(g2)

        return dx, dw, db

    if x.ndim != 2:
        y = y.reshape(*x.shape[:-1], len(weight))
    return y, backward
