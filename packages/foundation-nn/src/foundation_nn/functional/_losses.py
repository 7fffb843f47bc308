"""Losses for numbers and for yes-or-no questions. They refuse unequal shapes."""

from __future__ import annotations

import numpy as np

from foundation_nn._operation import Array, Result, operation
from foundation_nn.functional._activations import _sigmoid


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
    """
    _check("mse_loss", x, target)
    difference = x - target

    def backward(g: Array) -> tuple[Array, Array]:
        dx = difference * (2 * g / x.size)
        return dx, -dx

    return np.vdot(difference, difference) / x.size, backward


@operation
def binary_cross_entropy_with_logits(x: Array, target: Array) -> Result:
    """mean(-t log σ(x) - (1 - t) log(1 - σ(x))), dx = (σ(x) - t) / n.

    Computed as max(x, 0) - x t + log(1 + exp(-abs x)), which neither overflows nor loses digits.

    Raises
    ------
    ValueError
        If the shapes differ or are empty, or a target lies outside [0, 1].
    """
    _check("binary_cross_entropy_with_logits", x, target)
    if target.min() < 0 or target.max() > 1:
        raise ValueError(
            "binary_cross_entropy_with_logits: expected targets in [0, 1], got "
            f"[{target.min()}, {target.max()}]"
        )
    loss = np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))

    def backward(g: Array) -> tuple[Array, Array]:
        return (_sigmoid(x) - target) * (g / x.size), -x * (g / x.size)

    return loss.sum() / x.size, backward
