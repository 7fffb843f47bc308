"""Softmax and cross-entropy in one function, from logits.

``cross_entropy`` tells the formula. ``_hard_rows`` computes it, and the gradient beneath it, for a
block of rows whose targets are classes, and ``_soft_rows`` for targets that are probabilities. What
is refused, and with which words, stands at the end of the file.

The annotations of a kernel are read by its decorator. An ``Array`` has a gradient, an ``NDArray``
has none, and what is ``PerRow`` has one number for each row of the logits and is cut with them. A
``Result`` is the value and its backward: a kernel for a block of rows returns that for the block,
and the decorator ``by_rows`` makes of it a function that returns it for all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described, number
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.functional._losses import check_reduction, weighted
from foundation_nn.functional._rows import PerRow, as_rows, by_rows, ones, row_sum
from foundation_nn.functional._softmax import row_max


@operation
def cross_entropy(
    logits: Array,
    targets: NDArray[Any],
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    weight: NDArray[np.floating[Any]] | None = None,
    reduction: str = "mean",
) -> Result:
    """The mean of -Σ_v q_v log p_v over the targets that count, p = softmax(logits).

    q is the distribution that the target stands for: 1 at the target class and 0 elsewhere, or the
    probabilities that are given as the target. With ``label_smoothing`` ε it is (1 - ε) q_v, and
    ε/V more at each of the V classes [1]_.

    Since log p_v = z_v - log Σ_u exp(z_u), and the derivative of that sum's logarithm with respect
    to z_v is p_v, the gradient of a row is p Σ_v q_v - q, divided by the number of targets; that
    is p - q unless class weights make the sum of q another one than 1.

    The exponentials are computed twice instead of being kept. So between forward and backward no
    second array of the size of the logits is held, but for the probabilities of soft targets.

    Parameters
    ----------
    logits : (..., V) tensor
        The last axis holds the classes. In PyTorch the second one does, (B, V, T): such logits are
        refused, unless T happens to equal V, which nobody can notice here. Write
        ``logits.swapaxes(1, -1)``.
    targets : (...) integer array, or (..., V) array of floating numbers
        One class per row of ``logits``, or the probability of each class in each row. These are
        constants and get no gradient. They need not add up to 1; a q_v of 0 leaves its class out,
        also where log p_v is -∞.
    ignore_index : int, optional
        Rows with this target do not count: their loss and gradient are 0, whatever the logits are,
        NaN included. If none counts, loss and gradient are 0.
        PyTorch's default is -100; ours ignores nothing. Of probabilities every row counts: choose
        rows by ``logits[real], targets[real]``.
    label_smoothing : float
        0 ≤ ε < 1.
    weight : (V,) array, optional
        Importance of each class: q_v is multiplied by w_v. The mean is weighted by the w of the
        target classes; over probabilities it is the sum divided by the number of rows, as in
        PyTorch.
    reduction : {"mean", "sum", "none"}
        "sum" does not divide by anything; "none" gives the loss of each row, which is 0 where the
        target does not count.

    Returns
    -------
    () tensor, or (...) for "none"
        In nats: the logarithm is the natural one.

    Raises
    ------
    TypeError
        If the targets are neither classes nor probabilities, or probabilities that have a gradient,
        or ``ignore_index`` is no whole number.
    ValueError
        If the shapes differ, a class lies outside [0, V), a probability is negative or no number, ε
        outside [0, 1), the class weights do not fit, the reduction is unknown, or an
        ``ignore_index`` is given for probabilities.

    References
    ----------
    .. [1] C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016,
       section 7.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> logits = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]])
    >>> targets = np.array([0, 2])
    >>> p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    >>> q = np.eye(3)[targets] * (1 - 0.1) + 0.1 / 3
    >>> loss = -(q * np.log(p)).sum(axis=-1).mean()
    >>> np.allclose(loss, F.cross_entropy(logits, targets, label_smoothing=0.1).data)
    True

    The same with probabilities as targets:

    >>> np.allclose(loss, F.cross_entropy(logits, q).data)
    True
    """
    check_reduction("cross_entropy", reduction)
    soft = _are_probabilities(targets, logits)
    _check_options(logits, soft, ignore_index, label_smoothing)
    w = None if weight is None else _class_weights(weight, logits.shape[-1], logits.dtype)
    if soft:
        losses, backward_of_rows, count = _soft(logits, targets, label_smoothing, w)
    else:
        losses, backward_of_rows, count = _hard(logits, targets, ignore_index, label_smoothing, w)
    # Where no row counts, losses are 0, and so is their mean: it is divided by 1 then.
    divisor = (count or 1.0) if reduction == "mean" else 1.0

    def backward(g: Array) -> Array:
        if reduction == "none":
            g_of_each_row = g.reshape(losses.shape)
        else:
            g_of_each_row = np.full(losses.shape, g / divisor, losses.dtype)
        return backward_of_rows(g_of_each_row).reshape(logits.shape)

    if reduction == "none":
        return losses.reshape(logits.shape[:-1]), backward
    return losses.sum() / divisor, backward


#: The loss of each row, its backward, and the number that a mean divides by.
_Losses: TypeAlias = "tuple[Array, Callable[[Array], Array], float]"


def _hard(
    logits: Array, targets: Any, ignore_index: int | None, smoothing: float, w: Array | None
) -> _Losses:
    """For targets that are classes."""
    z = as_rows(logits)  # (N, V)
    classes = z.shape[-1]
    t = np.asarray(targets).flatten()  # (N,), a copy: the backward needs it as it is now
    counted = None  # which rows count; None: all
    if ignore_index is not None:
        counted = t != ignore_index
        t = np.where(counted, t, 0)  # a class that exists, so that it can be an index
    outside = (t < 0) | (t >= classes)
    if np.count_nonzero(outside):  # faster than outside.any() where there are few rows
        raise ValueError(
            f"cross_entropy: target {t[outside][0]} lies outside the {classes} classes "
            f"0..{classes - 1}; pass ignore_index= for targets that shall not count"
        )
    importance = ones(len(z), z.dtype) if w is None else w[t]  # (N,)
    if counted is not None:
        importance = np.where(counted, importance, z.dtype.type(0))

    # q of a row: `at_target` at its target, plus `everywhere` at each class, also at the target.
    at_target = importance  # (N,)
    everywhere = None
    if smoothing:
        at_target = importance * z.dtype.type(1 - smoothing)
        everywhere = np.full(classes, smoothing / classes, z.dtype)  # (V,)
        if w is not None:
            everywhere *= w
    losses, backward = _hard_rows(z, t, at_target, counted, everywhere)
    return losses, backward, float(importance.sum())


def _soft(logits: Array, targets: Any, smoothing: float, w: Array | None) -> _Losses:
    """For targets that are probabilities."""
    z = as_rows(logits)  # (N, V)
    q = as_rows(np.array(targets, z.dtype))  # (N, V), a copy: the backward needs it as it is now
    if not (q >= 0).all():
        row = int(np.flatnonzero(~(q >= 0).all(axis=-1))[0])
        raise ValueError(
            f"cross_entropy: expected probabilities >= 0, got {q[row].min()} in row {row}; logits "
            "become probabilities by softmax"
        )
    if smoothing:
        q *= 1 - smoothing
        q += smoothing / q.shape[-1]
    if w is not None:
        q *= w
    losses, backward = _soft_rows(z, q)
    return losses, backward, float(len(z))


@by_rows  # cuts z into blocks of rows, and with it what is marked PerRow
def _hard_rows(
    z: Array,
    target: PerRow,
    at_target: PerRow,
    counted: PerRow | None,
    everywhere: NDArray[Any] | None,
) -> Result:
    """The loss -Σ_v q_v log p_v of each row (n,), where p is the softmax of z.

    q_v is everywhere_v, and at_target more where v is the target. With m = Σ_v q_v, the total of
    the exponentials and top, the greatest z of the row::

        log p_v = z_v - top - log(total)
        loss    = m log(total) - Σ_v q_v (z_v - top)
        dz      = m p - q

    Rows that do not count have the loss 0. They may hold anything, even NaN.
    """
    target_index = (np.arange(len(z)), target)  # the element of each row at its target
    m = at_target if everywhere is None else at_target + everywhere.sum()
    # The maximum and the sum of exponentials are kept apart. Their logarithm as one rounded number,
    # top + log(total), would lose digits: near 10⁴, float32 has steps of 10⁻³.
    top = row_max(z)
    with np.errstate(invalid="ignore", over="ignore"):  # in rows that do not count
        shifted = z - top
        # loss = m log(total) - Σ_v q_v (z_v - top), beginning with the sum
        loss = -weighted(at_target, shifted[target_index])
        if everywhere is not None:
            if everywhere.all():
                loss -= shifted @ everywhere
            else:  # a class of weight 0 does not count, even if z - top is -∞: 0 · ∞ would be NaN
                counts = np.broadcast_to(everywhere != 0, z.shape)
                loss -= weighted(counts, shifted) @ everywhere
        total = row_sum(np.exp(shifted, out=shifted))
        loss += m * np.log(total[:, 0])
    if counted is not None:
        loss[~counted] = 0

    def backward(g: Array, out: Array | None = None) -> Array:
        # dz = g (m p - q)
        with np.errstate(invalid="ignore", over="ignore"):
            dz = _times_softmax(m * g, z, top, total, out)
        if everywhere is not None:
            dz -= g[:, None] * everywhere
        dz[target_index] -= at_target * g
        if counted is not None:
            dz[~counted] = 0
        return dz

    return loss, backward


@by_rows
def _soft_rows(z: Array, q: PerRow) -> Result:
    """The loss -Σ_v q_v log p_v of each row (n,), and dz = m p - q with m = Σ_v q_v.

    As in :func:`_hard_rows`, the loss is m log(total) - Σ_v q_v (z_v - top).
    """
    m = row_sum(q)[:, 0]
    top = row_max(z)
    shifted = z - top
    loss = -row_sum(weighted(q, shifted))[:, 0]
    total = row_sum(np.exp(shifted, out=shifted))
    loss += m * np.log(total[:, 0])

    def backward(g: Array, out: Array | None = None) -> Array:
        # dz = g (m p - q)
        dz = _times_softmax(m * g, z, top, total, out)
        dz -= g[:, None] * q
        return dz

    return loss, backward


def _times_softmax(factor: Array, z: Array, top: Array, total: Array, out: Array | None) -> Array:
    """factor p, with a factor (n,) for each row and p = exp(z - top) / total, (n, V)."""
    p = np.subtract(z, top, out=out)
    np.exp(p, out=p)
    p *= factor[:, None] / total
    return p


# --- what is refused


def _are_probabilities(targets: Any, logits: Array) -> bool:
    """Whether the targets are probabilities; False if they are classes, and refused otherwise."""
    if getattr(targets, "requires_grad", False):
        raise TypeError(
            "cross_entropy: the targets are constants, got a tensor that has a gradient; write "
            "targets.detach(), or -(targets * log_softmax(logits)).sum(-1).mean() to train them, "
            "too"
        )
    if not logits.ndim:
        raise ValueError("cross_entropy: expected logits of shape (..., V), got a scalar")
    given: NDArray[Any] = np.asarray(targets)
    rows = logits.shape[:-1]
    # One floating number for each row would be a class of the wrong dtype: it is refused below.
    soft = given.dtype.kind == "f" and given.shape != rows
    if not soft and given.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy: expected integer targets of shape {rows}, or probabilities of shape "
            f"{logits.shape}, got {given.dtype} of shape {given.shape}"
        )
    expected = logits.shape if soft else rows
    if given.shape == expected:
        return soft
    fix = ""
    if logits.ndim > 2 and given.shape == logits.shape[:1] + logits.shape[2:]:
        fix = (
            "; the classes are the last axis here, not the second as in PyTorch: write "
            "logits.swapaxes(1, -1)"
        )
    elif given.shape == logits.shape:
        fix = "; probabilities are floating numbers: write targets.astype(np.float32)"
    raise ValueError(
        f"cross_entropy: expected {'probabilities' if soft else 'targets'} of shape {expected} for "
        f"logits of shape {logits.shape}, got {given.shape}{fix}"
    )


def _check_options(
    logits: Array, soft: bool, ignore_index: int | None, label_smoothing: float
) -> None:
    """Refuse options that mean nothing, or nothing for probabilities (``soft``)."""
    if ignore_index is not None and not isinstance(ignore_index, int | np.integer):
        fix = f"; write reduction={ignore_index!r}" if isinstance(ignore_index, str) else ""
        raise TypeError(
            "cross_entropy: expected ignore_index to be a class, a whole number, got "
            f"{described(ignore_index)}{fix}"
        )
    if not logits.shape[-1]:
        raise ValueError(f"cross_entropy: expected at least one class, got shape {logits.shape}")
    number("cross_entropy", "label_smoothing", label_smoothing, at_least=0, less_than=1)
    if soft and ignore_index is not None:
        raise ValueError(
            "cross_entropy: ignore_index is for targets that are classes, got probabilities; "
            "choose the rows that count: cross_entropy(logits[real], targets[real])"
        )


def _class_weights(weight: Any, classes: int, dtype: Any) -> NDArray[Any]:
    w = np.array(weight, dtype=dtype)
    if w.shape != (classes,) or not ((w >= 0) & np.isfinite(w)).all():
        raise ValueError(
            f"cross_entropy: expected weights >= 0 and finite of shape ({classes},), one for each "
            f"class, got {w if w.size <= 8 else w.shape}"
        )
    return w
