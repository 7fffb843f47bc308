"""Cross-entropy from logits, softmax and loss in one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.functional._rows import PerRow, as_rows, by_rows, row_sum
from foundation_nn.functional._softmax import row_max


@operation
def cross_entropy(
    logits: Array,
    targets: NDArray[np.integer[Any]],
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    weight: NDArray[np.floating[Any]] | None = None,
) -> Result:
    """The mean of -Σ_v q_v log p_v over the targets that count, p = softmax(logits).

    The target distribution q has 1 - ε at the target class and ε/V more on every class, where ε
    is ``label_smoothing`` [1]_. The gradient is (p Σ_v q_v - q) / count: no second array of the
    size of the logits is held between forward and backward, only one number per row.

    Parameters
    ----------
    logits : (..., V) tensor
        The last axis holds the classes, whatever the others are. In PyTorch it is the second:
        logits (B, V, T) from there are read as T classes if T happens to be V, so turn them
        round with ``logits.swapaxes(1, -1)``.
    targets : (...) integer array
        One class per row of ``logits``.
    ignore_index : int, optional
        Rows with this target do not count. If none counts, loss and gradient are 0.
        PyTorch's default is -100; ours ignores nothing.
    label_smoothing : float
        0 ≤ ε < 1.
    weight : (V,) array, optional
        Importance of each class: q_v is multiplied by w_v, and the mean is weighted by the w of
        the targets.

    Returns
    -------
    () tensor
        In nats.

    Raises
    ------
    TypeError
        If the targets are not integers.
    ValueError
        If the shapes differ, a target lies outside [0, V), or ε outside [0, 1),
        or the class weights do not fit.

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
    """
    targets = np.asarray(targets)
    classes = logits.shape[-1] if logits.ndim else 0
    if targets.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: expected integer targets, got {targets.dtype}")
    if targets.shape != logits.shape[:-1]:
        like_torch = logits.ndim > 2 and targets.shape == logits.shape[:1] + logits.shape[2:]
        fix = (
            "; the classes are the last axis here, not the second as in PyTorch: write "
            "logits.swapaxes(1, -1)"
        )
        raise ValueError(
            f"cross_entropy: expected targets of shape {logits.shape[:-1]} for logits of shape "
            f"{logits.shape}, got {targets.shape}{fix if like_torch else ''}"
        )
    if not classes:
        raise ValueError(f"cross_entropy: expected at least one class, got shape {logits.shape}")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"cross_entropy: expected 0 <= label_smoothing < 1, got {label_smoothing}")
    z = as_rows(logits)  # (N, V)
    t = targets.flatten()  # (N,), a copy: the backward needs it as it is now
    counts = None
    if ignore_index is not None:
        counts = t != ignore_index
        t = np.where(counts, t, 0)
    outside = (t < 0) | (t >= classes)
    if np.count_nonzero(outside):
        raise ValueError(
            f"cross_entropy: target {t[outside][0]} lies outside the {classes} classes "
            f"0..{classes - 1}; pass ignore_index= for targets that shall not count"
        )
    w = None if weight is None else _class_weights(weight, classes, z.dtype)
    importance = np.ones(len(z), z.dtype) if w is None else w[t]  # (N,)
    if counts is not None:
        importance = np.where(counts, importance, z.dtype.type(0))
    total = float(importance.sum()) or 1.0

    # q of a row: `hard` at its target, and `soft` on all classes, the target included.
    hard = importance * z.dtype.type(1 - label_smoothing)  # (N,)
    soft = None
    if label_smoothing:
        soft = np.full(classes, label_smoothing / classes, z.dtype)  # (V,)
        if w is not None:
            soft *= w
    losses, backward_of_rows = _losses(z, t, hard, counts, soft)

    def backward(g: Array) -> Array:
        return backward_of_rows(np.full_like(losses, g / total)).reshape(logits.shape)

    return losses.sum() / total, backward


@by_rows
def _losses(
    z: Array, target: PerRow, hard: PerRow, counts: PerRow | None, soft: NDArray[Any] | None
) -> Result:
    """-Σ_v q_v log p_v of each row; q has ``hard`` at the target and ``soft`` on all classes.

    With m = Σ_v q_v:  dz = m p - q. The exponentials are computed twice instead of being kept, as
    they would be a second copy of the logits. Rows that do not count may hold anything, even NaN.
    """
    place = np.arange(len(z)), target
    mass = hard if soft is None else hard + soft.sum()
    # The maximum and the sum are kept apart: in float32, log Σ exp(z) of logits around 10⁴ as one
    # rounded number would be wrong by 10⁻³.
    top = row_max(z)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = z - top
        loss = -hard * shifted[place]
        if soft is not None:
            loss -= shifted @ soft
        total = row_sum(np.exp(shifted, out=shifted))
        loss += mass * np.log(total[:, 0])
    if counts is not None:
        loss[~counts] = 0

    def backward(g: Array) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            dz = z - top
            np.exp(dz, out=dz)
            dz *= (mass * g)[:, None] / total
        if soft is not None:
            dz -= g[:, None] * soft
        dz[place] -= hard * g
        if counts is not None:
            dz[~counts] = 0
        return dz

    return loss, backward


def _class_weights(weight: Any, classes: int, dtype: Any) -> NDArray[Any]:
    w = np.array(weight, dtype=dtype)
    if w.shape != (classes,) or not (w >= 0).all():
        raise ValueError(
            f"cross_entropy: expected weights >= 0 of shape ({classes},), one for each class, got "
            f"{w if w.size <= 8 else w.shape}"
        )
    return w
