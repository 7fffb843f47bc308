"""Layer normalisation, and RMS normalisation, which leaves the mean out.

Both bring each row of the last axis to a common scale. So the kernels below are written for a block
of rows, (n, D), whatever the shape of ``x`` was. The decorator ``by_rows`` cuts ``x`` into blocks
and adds up the gradients of weight and bias of all blocks. The parameter ``out`` is between it and
the kernel: the memory for y or dx, as for functions of NumPy. Callers do not see it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import number
from foundation_nn.engine._operation import Array, Result, Vector, operation
from foundation_nn.functional._rows import by_rows, centred, column_sum, row_dot


@operation
@by_rows
def layer_norm(
    x: Array,
    weight: Vector | None = None,
    bias: Vector | None = None,
    eps: float = 1e-5,
    out: NDArray[Any] | None = None,
) -> Result:
    """y = x̂ w + b with x̂ = (x - μ) r and r = 1 / √(σ² + ε), for each row [1]_.

    μ and σ² are the mean and the variance of the row. An element x_j acts on x̂_i in three ways,
    directly (if i = j), through the mean, and through r:

        ∂x̂_i / ∂x_j = r ([i = j] - 1/D - x̂_i x̂_j / D)

    Multiplied by the gradient of x̂_i and summed over i, that is the gradient of x_j. The vectors w
    and b act on all rows, so that their gradients are sums over the rows. Together, with
    dx̂ = g w:  dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)),  dw = Σ g x̂,  db = Σ g.

    A constant row gives exact zeros, and a row whose mean is large beside its spread keeps its
    digits, see :func:`foundation_nn.centred`.

    Parameters
    ----------
    x : (..., D) tensor
        Each row of the last axis is normalised by itself.
    weight, bias : (D,) tensor, optional
        By default 1 and 0.
    eps : float
        Keeps the root away from 0 where a row is constant.

    Returns
    -------
    (..., D) tensor

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``eps`` is negative.

    References
    ----------
    .. [1] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> rng = np.random.default_rng(0)
    >>> x, weight, bias = rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=5)
    >>> mean = x.mean(axis=-1, keepdims=True)
    >>> variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    >>> y = (x - mean) / np.sqrt(variance + 1e-5) * weight + bias
    >>> np.allclose(y, F.layer_norm(x, weight, bias).data)
    True
    """
    _check("layer_norm", x, eps, weight=weight, bias=bias)
    D = x.shape[-1]
    w = np.ones(D, x.dtype) if weight is None else weight
    b = np.zeros(D, x.dtype) if bias is None else bias
    # x̂ = (x - μ) r with r = 1 / √(σ² + ε)
    deviation, variance = centred(x)  # x - μ, (n, D), and σ², (n, 1)
    r = 1 / np.sqrt(variance + eps)
    xhat = np.multiply(deviation, r, out=deviation)  # in the memory of x - μ
    # y = x̂ w + b
    y = np.multiply(xhat, w, out=out)
    y += b

    def backward(g: Array, out: Array | None = None) -> tuple[Array, Array | None, Array | None]:
        # dw = Σ g x̂ and db = Σ g, over the rows of this block
        g_times_xhat = g * xhat
        dw = None if weight is None else column_sum(g_times_xhat)
        db = None if bias is None else column_sum(g)
        # The means over a row of dx̂ = g w and of dx̂ x̂ are products with w: Σ_j g_j w_j / D.
        mean_dxhat = (g @ w / D)[:, None]
        mean_dxhat_xhat = (g_times_xhat @ w / D)[:, None]
        # dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂))
        dx = np.multiply(g, w, out=out)
        dx -= mean_dxhat
        dx -= np.multiply(xhat, mean_dxhat_xhat, out=g_times_xhat)  # in memory not needed again
        dx *= r
        return dx, dw, db

    return y, backward


@operation
@by_rows
def rms_norm(
    x: Array,
    weight: Vector | None = None,
    eps: float = 1e-5,
    out: NDArray[Any] | None = None,
) -> Result:
    """y = x̂ w with x̂ = x r and r = 1 / √(mean(x²) + ε), for each row [1]_.

    An element x_j acts on x̂_i directly (if i = j) and through r, so that

        ∂x̂_i / ∂x_j = r ([i = j] - x̂_i x̂_j / D)

    Together, with dx̂ = g w:  dx = r (dx̂ - x̂ mean(dx̂ x̂)),  dw = Σ g x̂.

    Parameters
    ----------
    x : (..., D) tensor
        Each row of the last axis is normalised by itself.
    weight : (D,) tensor, optional
        By default 1.
    eps : float
        Keeps the root away from 0. PyTorch's default is the machine epsilon of the dtype; ours is
        the one that Llama uses.

    Returns
    -------
    (..., D) tensor

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``eps`` is negative.

    References
    ----------
    .. [1] B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization", 2019,
       arXiv:1910.07467.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> rng = np.random.default_rng(0)
    >>> x, weight = rng.normal(size=(3, 5)), rng.normal(size=5)
    >>> y = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * weight
    >>> np.allclose(y, F.rms_norm(x, weight).data)
    True
    """
    _check("rms_norm", x, eps, weight=weight)
    D = x.shape[-1]
    w = np.ones(D, x.dtype) if weight is None else weight
    # x̂ = x r with r = 1 / √(mean(x²) + ε)
    r = 1 / np.sqrt(row_dot(x, x) / D + eps)
    xhat = x * r
    # y = x̂ w
    y = np.multiply(xhat, w, out=out)

    def backward(g: Array, out: Array | None = None) -> tuple[Array, Array | None]:
        # dw = Σ g x̂, over the rows of this block
        g_times_xhat = g * xhat
        dw = None if weight is None else column_sum(g_times_xhat)
        # The mean over a row of dx̂ x̂ = g w x̂ is a product with w.
        mean_dxhat_xhat = (g_times_xhat @ w / D)[:, None]
        # dx = r (dx̂ - x̂ mean(dx̂ x̂))
        dx = np.multiply(g, w, out=out)
        dx -= np.multiply(xhat, mean_dxhat_xhat, out=g_times_xhat)  # in memory not needed again
        dx *= r
        return dx, dw

    return y, backward


def _check(name: str, x: Array, eps: float, **vectors: Vector | None) -> None:
    number(name, "eps", eps, at_least=0)
    width = x.shape[-1]
    if width == 0:
        raise ValueError(f"{name}: the rows of x have no elements: nothing to normalise")
    for role, vector in vectors.items():
        if vector is not None and vector.shape != (width,):
            raise ValueError(
                f"{name}: expected {role} of shape {(width,)}, as the rows of x have {width} "
                f"elements, got {vector.shape}"
            )
