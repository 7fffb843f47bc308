"""Losses for numbers and for yes-or-no questions. They refuse unequal shapes."""

from __future__ import annotations

import numpy as np

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.functional._activations import logistic


def _check(name: str, x: Array, target: Array) -> None:
    if np.shape(target) != x.shape:
        raise ValueError(
            f"{name}: expected a target of shape {x.shape} like the prediction, got "
            f"{np.shape(target)}; reshape one of them, it is not broadcast"
        )
    if x.size == 0:
        raise ValueError(f"{name}: nothing to average, the shape is {x.shape}")


@operation
def mse_loss(x: Array, target: Array) -> Result:
    """mean((x - target)²), dx = 2 (x - target) / n.

    Raises
    ------
    ValueError
        If the shapes differ or are empty.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.mse_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0])).item()  # (0 + 9) / 2
    4.5
    """
    _check("mse_loss", x, target)
    difference = x - target
    n = x.size

    def backward(g: Array) -> tuple[Array, Array]:
        dx = difference * (2 * g / n)
        return dx, -dx

    return np.vdot(difference, difference) / n, backward


@operation
def binary_cross_entropy_with_logits(x: Array, target: Array) -> Result:
    """mean(-t log σ(x) - (1 - t) log(1 - σ(x))), dx = (σ(x) - t) / n.

    Computed as the mean of t max(-x, 0) + (1 - t) max(x, 0) + log(1 + exp(-abs x)), which neither
    overflows nor loses digits.

    Raises
    ------
    ValueError
        If the shapes differ or are empty, or a target lies outside [0, 1].

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x, t = np.array([-1.0, 0.0, 2.0]), np.array([0.0, 1.0, 0.75])
    >>> p = 1 / (1 + np.exp(-x))
    >>> loss = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    >>> np.allclose(loss, F.binary_cross_entropy_with_logits(x, t).data)
    True
    """
    _check("binary_cross_entropy_with_logits", x, target)
    if target.min() < 0 or target.max() > 1:
        raise ValueError(
            "binary_cross_entropy_with_logits: expected targets in [0, 1], got "
            f"[{target.min()}, {target.max()}]"
        )
    loss = _weighted(target, np.maximum(-x, 0)) + _weighted(1 - target, np.maximum(x, 0))
    loss += np.log1p(np.exp(-np.abs(x)))

    def backward(g: Array) -> tuple[Array, Array]:
        scale = g / x.size
        return (logistic(x) - target) * scale, -x * scale

    return loss.sum() / x.size, backward


def _weighted(weights: Array, values: Array) -> Array:
    """weights · values, and 0 where the weight is 0, also if the value is infinite."""
    return np.multiply(weights, values, out=np.zeros_like(values), where=weights != 0)
