"""Cross-entropy from logits, softmax and loss in one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._operation import Array, Result, operation
from foundation_nn._threads import over_rows, scratch
from foundation_nn.functional._rows import as_rows, filled

#: Rows that do not count may hold anything: inf - inf there is nobody's concern.
_ANYTHING: dict[str, Any] = {"invalid": "ignore", "over": "ignore"}


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
    """
    targets = np.asarray(targets)
    classes = logits.shape[-1] if logits.ndim else 0
    if targets.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: expected integer targets, got {targets.dtype}")
    if targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy: expected targets of shape {logits.shape[:-1]} for logits of shape "
            f"{logits.shape}, got {targets.shape}"
        )
    if not classes:
        raise ValueError(f"cross_entropy: expected at least one class, got shape {logits.shape}")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"cross_entropy: expected 0 <= label_smoothing < 1, got {label_smoothing}")
    z = as_rows(logits)  # (N, V)
    t = targets.flatten()  # (N,), a copy: the backward needs it as it is now
    ignored = None if ignore_index is None else t == ignore_index
    if ignored is not None:
        t = np.where(ignored, 0, t)
    outside = (t < 0) | (t >= classes)
    if np.count_nonzero(outside):
        raise ValueError(
            f"cross_entropy: target {t[outside][0]} lies outside the {classes} classes "
            f"0..{classes - 1}; pass ignore_index= for targets that shall not count"
        )
    # q of a row: `hard` at its target, and `soft` on all classes; `mass` is their sum.
    w = None if weight is None else _class_weights(weight, classes, z.dtype)
    importance = filled(len(z), 1, z.dtype) if w is None else w[t]  # (N,)
    if ignored is not None:
        importance = np.where(ignored, 0, importance)
    count = float(importance.sum()) or 1.0
    hard = mass = importance  # (N,)
    if label_smoothing:
        soft = np.full(classes, label_smoothing / classes, z.dtype)  # (V,)
        if w is not None:
            soft *= w
        hard = (1 - label_smoothing) * importance
        mass = hard + soft.sum()
    log_sum = np.empty_like(importance)
    loss = np.empty_like(importance)

    def forward(rows: slice) -> None:
        zr, target = z[rows], (np.arange(rows.stop - rows.start), t[rows])
        top = zr.max(axis=-1)
        with np.errstate(**_ANYTHING):
            e = np.subtract(zr, top[:, None], out=scratch(zr.shape, zr.dtype))
            below = hard[rows] * e[target]
            if label_smoothing:
                below += e @ soft
            np.exp(e, out=e)
            log = np.log(e @ filled(classes, 1, z.dtype))
            loss[rows] = mass[rows] * log - below
            log_sum[rows] = log + top

    if len(z):
        over_rows(forward, len(z), classes * z.itemsize)
    if ignored is not None:
        loss[ignored] = 0

    def backward(g: Array) -> Array:
        dz = np.empty_like(z)
        scale = importance.dtype.type(g / count)

        def rows_of_dz(rows: slice) -> None:
            with np.errstate(**_ANYTHING):
                d = np.subtract(z[rows], log_sum[rows, None], out=dz[rows])
                np.exp(d, out=d)
                d *= (mass[rows] * scale)[:, None]
            if label_smoothing:
                d -= soft * scale
            d[np.arange(len(d)), t[rows]] -= hard[rows] * scale
            if ignored is not None:
                d[ignored[rows]] = 0  # also where such a row holds NaN

        over_rows(rows_of_dz, len(z), classes * z.itemsize)
        return dz.reshape(logits.shape)

    return loss.sum() / count, backward


def _class_weights(weight: Any, classes: int, dtype: Any) -> NDArray[Any]:
    w = np.array(weight, dtype=dtype)
    if w.shape != (classes,) or not (w >= 0).all():
        raise ValueError(
            f"cross_entropy: expected weights >= 0 of shape ({classes},), one for each class, got "
            f"{w if w.size <= 8 else w.shape}"
        )
    return w
