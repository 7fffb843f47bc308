"""Masks: boolean arrays in which True means "may attend"."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Tensor
from foundation_nn import functional as F
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]


def band(
    queries: NDArray[np.integer[Any]],
    keys: NDArray[np.integer[Any]],
    causal: bool,
    window: int | None,
) -> Mask:
    """Which of the positions ``queries`` may attend to which of ``keys``, by their distance."""
    behind = queries[:, None] - keys  # how far the key lies behind the query
    allowed: Mask = behind >= 0 if causal else np.ones(behind.shape, bool)
    if window is not None:
        allowed &= behind < window
        if not causal:
            allowed &= behind > -window
    return allowed


def hide_unseen(x: Tensor, mask: Mask) -> Tensor:
    """``x`` with zeros in the rows of keys that no query may attend to: 0 · NaN is NaN."""
    seen = np.any(mask, axis=-2)  # (..., S)
    if seen.all():
        return x
    # Heads that share a key see it if one of them does: reduce to the axes of x.
    seen = np.any(seen, axis=tuple(range(seen.ndim - x.ndim + 1)))
    shared = zip(range(-seen.ndim, 0), x.shape[x.ndim - 1 - seen.ndim : -1], strict=True)
    seen = np.any(seen, axis=tuple(axis for axis, n in shared if n == 1), keepdims=True)
    return F.mask_rows(x, np.broadcast_to(seen, x.shape[:-1]))


def check_mask(mask: Mask | None, q: tuple[int, ...], k: tuple[int, ...]) -> Mask | None:
    """Refuse masks that are not boolean or do not broadcast to (..., T, S)."""
    if mask is None:
        return None
    require_bool(mask, "attention")
    full = (*np.broadcast_shapes(q[:-2], k[:-2]), q[-2], k[-2])
    try:
        fits = np.broadcast_shapes(mask.shape, full) == full
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"attention: expected a mask that broadcasts to {full}, got shape {mask.shape}; "
            "a padding mask of shape (B, S) is written mask[:, None, None, :]"
        )
    return mask if mask.ndim >= 2 else mask[None, :]


def require_bool(mask: Any, name: str) -> None:
    """Refuse a mask that is not a boolean array, and say how to make it one."""
    dtype = getattr(mask, "dtype", None)
    if dtype != np.bool_:
        given = type(mask).__name__ if dtype is None else f"dtype {dtype}"
        raise TypeError(
            f"{name}: expected a boolean mask in which True means 'may attend', got {given}; "
            "write mask = ids != pad_id, or mask == 1 for ones and zeros"
        )
