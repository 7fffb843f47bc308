"""Layer normalisation and its simpler sibling, row by row over the last axis."""

from __future__ import annotations

import math

import numpy as np

from foundation_nn._operation import Array, Result, operation
from foundation_nn._threads import BlockSums, over_rows, scratch
from foundation_nn.functional._rows import as_rows, filled


def _check(name: str, x: Array, **vectors: Array) -> None:
    width = x.shape[-1:]
    for role, vector in vectors.items():
        if vector is not None and vector.shape != width:
            raise ValueError(
                f"{name}: expected {role} of shape {width} for x of shape {x.shape}, "
                f"got {vector.shape}"
            )
    if not width or width == (0,):
        raise ValueError(f"{name}: the last axis of shape {x.shape} has nothing to normalise")


def _inverse_root(h: Array, eps: float, out: Array) -> Array:
    """r = 1 / √(mean(h²) + ε) = √D / √(Σ h² + D ε) of each row, into ``out`` (N, 1)."""
    width = h.shape[-1]
    root = np.sqrt(np.vecdot(h, h) + width * eps)
    return np.divide(math.sqrt(width), root[:, None], out=out)


@operation
def layer_norm(x: Array, weight: Array = None, bias: Array = None, eps: float = 1e-5) -> Result:
    """y = x̂ w + b with x̂ = (x - μ) r and r = 1 / √(σ² + ε), for each row [1]_.

    With dx̂ = g w:  dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)).

    Parameters
    ----------
    x : (..., D) tensor
    weight, bias : (D,) tensor, optional
    eps : float

    Raises
    ------
    ValueError
        If the shapes do not fit.

    References
    ----------
    .. [1] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016, arXiv:1607.06450.
    """
    _check("layer_norm", x, weight=weight, bias=bias)
    shape, width, dtype = x.shape, x.shape[-1], x.dtype
    x2 = as_rows(x)  # (N, D)
    mean = filled(width, 1 / width, dtype)
    xhat, y = np.empty_like(x2), np.empty_like(x2)
    r = np.empty((len(x2), 1), dtype)

    def forward(rows: slice) -> None:
        block, out = x2[rows], y[rows]
        h = np.subtract(block, (block @ mean)[:, None], out=xhat[rows])
        h *= _inverse_root(h, eps, r[rows])
        if weight is None:
            out[...] = h
        else:
            np.multiply(h, weight, out=out)
        if bias is not None:
            out += bias

    over_rows(forward, len(x2), width * dtype.itemsize)

    def backward(g: Array) -> tuple[Array, Array, Array]:
        g2 = as_rows(g)
        dx = np.empty_like(xhat)
        w = np.ones(width, dtype) if weight is None else weight
        dw, db = BlockSums(), BlockSums()

        def rows_of_dx(rows: slice) -> None:
            h, gr = xhat[rows], g2[rows]
            product = np.multiply(gr, h, out=scratch(h.shape, h.dtype))
            dw.add(rows, product)
            db.add(rows, gr)
            along, across = product @ (w / width), gr @ (w / width)  # mean(dx̂ x̂), mean(dx̂)
            # All that is subtracted is made in one pass over a copy of x̂ that stays in the cache.
            np.multiply(h, along[:, None], out=product)
            product += across[:, None]
            d = np.multiply(gr, w, out=dx[rows])
            d -= product
            d *= r[rows]

        over_rows(rows_of_dx, len(xhat), width * dtype.itemsize)
        return (
            dx.reshape(shape),
            None if weight is None else dw.total(w),
            None if bias is None else db.total(w),
        )

    return y.reshape(shape), backward


@operation
def rms_norm(x: Array, weight: Array = None, eps: float = 1e-5) -> Result:
    """y = x̂ w with x̂ = x r and r = 1 / √(mean(x²) + ε), for each row [1]_.

    With dx̂ = g w:  dx = r (dx̂ - x̂ mean(dx̂ x̂)).

    Parameters
    ----------
    x : (..., D) tensor
    weight : (D,) tensor, optional
    eps : float
        PyTorch's default is the machine epsilon of the dtype; ours is Llama's.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    References
    ----------
    .. [1] B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization", 2019,
       arXiv:1910.07467.
    """
    _check("rms_norm", x, weight=weight)
    shape, width, dtype = x.shape, x.shape[-1], x.dtype
    x2 = as_rows(x)  # (N, D)
    xhat = np.empty_like(x2)
    y = xhat if weight is None else np.empty_like(x2)
    r = np.empty((len(x2), 1), dtype)

    def forward(rows: slice) -> None:
        block = x2[rows]
        h = np.multiply(block, _inverse_root(block, eps, r[rows]), out=xhat[rows])
        if weight is not None:
            np.multiply(h, weight, out=y[rows])

    over_rows(forward, len(x2), width * dtype.itemsize)

    def backward(g: Array) -> tuple[Array, Array]:
        g2 = as_rows(g)
        dx = np.empty_like(xhat)
        w = np.ones(width, dtype) if weight is None else weight
        dw = BlockSums()

        def rows_of_dx(rows: slice) -> None:
            h = xhat[rows]
            product = np.multiply(g2[rows], h, out=scratch(h.shape, h.dtype))
            dw.add(rows, product)
            along = (product @ w)[:, None] / width  # mean(dx̂ x̂)
            d = np.multiply(g2[rows], w, out=dx[rows])
            d -= np.multiply(h, along, out=product)
            d *= r[rows]

        over_rows(rows_of_dx, len(xhat), width * dtype.itemsize)
        return dx.reshape(shape), None if weight is None else dw.total(w)

    return y.reshape(shape), backward
