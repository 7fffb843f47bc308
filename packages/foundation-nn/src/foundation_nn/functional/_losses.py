"""Losses for numbers, for yes-or-no questions and for distributions.

They refuse unequal shapes. With ``reduction="mean"`` they are averaged over all elements, with
"sum" added up, and with "none" there is one number for each element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described, number
from foundation_nn.engine._habit_tables import REDUCTIONS
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.functional._activations import logistic


def check_reduction(name: str, reduction: str) -> None:
    """Refuse a reduction that does not exist."""
    if reduction not in ("mean", "sum", "none"):
        fix = REDUCTIONS.get(str(reduction), "")
        raise ValueError(
            f'{name}: expected reduction to be "mean", "sum" or "none", got '
            f"{described(reduction)}{fix}"
        )


def _check(name: str, x: Array, target: Array, reduction: str) -> None:
    check_reduction(name, reduction)
    if np.shape(target) != x.shape:
        raise ValueError(
            f"{name}: expected a target of shape {x.shape} like the prediction, got "
            f"{np.shape(target)}; reshape one of them, it is not broadcast"
        )
    if x.size == 0 and reduction == "mean":
        raise ValueError(f"{name}: nothing to average, the shape is {x.shape}")


def _reduced(losses: Array, reduction: str) -> tuple[Any, Callable[[Array], Array]]:
    """The reduced losses, and the function from their gradient to that of each loss."""
    if reduction == "none":
        return losses, lambda g: g
    if reduction == "sum":
        return losses.sum(), lambda g: g
    return losses.sum() / losses.size, lambda g: g / losses.size


@operation
def mse_loss(x: Array, target: Array, reduction: str = "mean") -> Result:
    """mean((x - target)²), dx = 2 (x - target) / n.

    With ``reduction="sum"`` the squares are added up, and with "none" each is given.

    Raises
    ------
    ValueError
        If the shapes differ, there is nothing to average, or the reduction is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x, t = np.array([1.0, 2.0]), np.array([1.0, 5.0])
    >>> F.mse_loss(x, t).item()  # (0 + 9) / 2
    4.5
    >>> F.mse_loss(x, t, "none").data
    array([0., 9.])
    """
    _check("mse_loss", x, target, reduction)
    difference = x - target
    count = x.size if reduction == "mean" else 1

    def backward(g: Array) -> tuple[Array, Array]:
        dx = difference * (2 * g / count)
        return dx, -dx

    if reduction == "none":
        return difference * difference, backward
    return np.vdot(difference, difference) / count, backward


@operation
def l1_loss(x: Array, target: Array, reduction: str = "mean") -> Result:
    """mean(``|x - target|``), dx = sign(x - target) / n; ``reduction`` as for :func:`mse_loss`.

    Raises
    ------
    ValueError
        If the shapes differ, there is nothing to average, or the reduction is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.l1_loss(np.array([1.0, 2.0]), np.array([2.0, 5.0])).item()  # (1 + 3) / 2
    2.0
    """
    _check("l1_loss", x, target, reduction)
    difference = x - target
    y, share = _reduced(np.abs(difference), reduction)

    def backward(g: Array) -> tuple[Array, Array]:
        dx = np.sign(difference) * share(g)
        return dx, -dx

    return y, backward


@operation
def huber_loss(x: Array, target: Array, reduction: str = "mean", delta: float = 1.0) -> Result:
    """d²/2 for a distance ``d = |x - target|`` up to δ, and δ (d - δ/2) beyond it, reduced [1]_.

    It is squared near the target, and grows like the distance far from it, so that outliers do not
    count too much. The slope is x - target, limited to [-δ, δ].

    Raises
    ------
    ValueError
        If the shapes differ, there is nothing to average, the reduction is unknown, or δ ≤ 0.

    References
    ----------
    .. [1] P. J. Huber, "Robust Estimation of a Location Parameter", 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> F.huber_loss(np.array([0.5, 3.0]), np.zeros(2), "none").data
    array([0.125, 2.5  ])
    """
    _check("huber_loss", x, target, reduction)
    delta = number("huber_loss", "delta", delta, more_than=0)
    difference = x - target
    slope = difference.clip(-delta, delta)
    y, share = _reduced(slope * (difference - slope / 2), reduction)

    def backward(g: Array) -> tuple[Array, Array]:
        dx = slope * share(g)
        return dx, -dx

    return y, backward


@operation
def kl_div(x: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Result:
    """t (log t - x) for log-probabilities x and probabilities t, reduced; dx = -t g.

    The sum over all classes is the Kullback-Leibler divergence of t from exp(x). As in PyTorch,
    "mean" divides by the number of elements; for the mean over N rows, write "sum" and divide.
    Where t is 0, the loss is 0.

    Parameters
    ----------
    x : tensor
        The logarithms of the predicted probabilities, such as ``log_softmax`` gives.
    target : tensor
    reduction : {"mean", "sum", "none"}
    log_target : bool
        The target is given as logarithms, too.

    Raises
    ------
    ValueError
        If the shapes differ, there is nothing to average, or the reduction is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> p, t = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    >>> expected = (t * np.log(t / p)).sum()
    >>> np.allclose(expected, F.kl_div(np.log(p), t, "sum").data)
    True
    """
    _check("kl_div", x, target, reduction)
    t = np.exp(target) if log_target else target
    with np.errstate(divide="ignore", invalid="ignore"):
        log_t = target if log_target else np.log(target)
        losses = np.where(t == 0, 0, t * (log_t - x))
    y, share = _reduced(losses, reduction)

    def backward(g: Array) -> tuple[Array, Array]:
        def dtarget() -> Array:
            slope = losses + t if log_target else log_t - x + 1
            return slope * share(g)

        return -t * share(g), dtarget

    return y, backward


@operation
def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    reduction: str = "mean",
    pos_weight: NDArray[np.floating[Any]] | float | None = None,
) -> Result:
    """mean(-t log σ(x) - (1 - t) log(1 - σ(x))), dx = (σ(x) - t) / n.

    With ``pos_weight`` w, the first part is multiplied by w, which balances rare positives.
    Computed as w t max(-x, 0) + (1 - t) max(x, 0) + (w t + 1 - t) log(1 + exp(-abs x)), which
    neither overflows nor loses digits.

    Parameters
    ----------
    x, target : tensor
        Of one shape.
    reduction : {"mean", "sum", "none"}
    pos_weight : number or array, optional
        w, the importance of a yes: a number, or an array that broadcasts to the shape of x.

    Raises
    ------
    ValueError
        If the shapes differ, there is nothing to average, the reduction is unknown, a target lies
        outside [0, 1], or a weight is negative.

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
    >>> loss = -(3 * t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    >>> np.allclose(loss, F.binary_cross_entropy_with_logits(x, t, pos_weight=3).data)
    True
    """
    name = "binary_cross_entropy_with_logits"
    _check(name, x, target, reduction)
    if target.size and (target.min() < 0 or target.max() > 1):
        raise ValueError(
            f"{name}: expected targets in [0, 1], got [{target.min()}, {target.max()}]"
        )
    weight: Any = 1
    if pos_weight is not None:
        weight = np.array(pos_weight, x.dtype)
        fits = np.broadcast_shapes(weight.shape, x.shape) == x.shape
        if not fits or not ((weight >= 0) & np.isfinite(weight)).all():
            raise ValueError(
                f"{name}: expected finite pos_weight >= 0 of a shape that broadcasts to {x.shape}, "
                f"got {pos_weight if weight.size <= 8 else weight.shape}"
            )
    yes = weight * target
    no = 1 - target
    losses = weighted(yes, np.maximum(-x, 0)) + weighted(no, np.maximum(x, 0))
    softened = np.log1p(np.exp(-np.abs(x)))
    losses += softened if pos_weight is None else weighted(yes + no, softened)
    y, share = _reduced(losses, reduction)

    def backward(g: Array) -> tuple[Array, Array]:
        scale = share(g)

        def dtarget() -> Array:
            if pos_weight is None:
                return -x * scale
            loss_of_yes = weighted(weight, np.maximum(-x, 0) + softened)
            return (loss_of_yes - np.maximum(x, 0) - softened) * scale

        slope = logistic(x) - target if pos_weight is None else (yes + no) * logistic(x) - yes
        return slope * scale, dtarget

    return y, backward


def weighted(weights: Array, values: Array) -> Array:
    """weights · values, and 0 where the weight is 0, also if the value is infinite."""
    return np.multiply(weights, values, out=np.zeros_like(values), where=np.not_equal(weights, 0))
