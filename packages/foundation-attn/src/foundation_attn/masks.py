"""Masks: boolean arrays in which True means "is real" or "may attend".

Two meanings have two names, because an array of shape (5, 5) could be either:

    key_mask  (B, S)                        padding: which keys are real
    mask      (B, T, S) or (B, H, T, S)     a pattern: which query may attend to which key

Both may be given. A pattern has one axis for each axis of the scores; axes of length 1 broadcast.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Tensor
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_attn._cache import KVCache

Mask: TypeAlias = NDArray[np.bool_]

#: Rows of a pattern that are looked at together; see :func:`reach`.
_ROWS = 128


# --- what is accepted


def require_bool(mask: Any, name: str, meaning: str = "may attend") -> None:
    """Refuse a mask that is not a boolean array, and say how to make it one."""
    dtype = getattr(mask, "dtype", None)
    if isinstance(mask, Tensor):
        raise TypeError(
            f"{name}: expected a boolean array in which True means '{meaning}', got a Tensor of "
            f"dtype {dtype}; a mask has no gradient: pass mask.data"
        )
    if dtype != np.bool_:
        given = type(mask).__name__ if dtype is None else f"dtype {dtype}"
        raise TypeError(
            f"{name}: expected a boolean mask in which True means '{meaning}', got {given}; "
            "write ids != pad_id, or mask == 1 for ones and zeros"
        )


def check_key_mask(key_mask: Mask | None, shape: tuple[int, ...], name: str = "key_mask") -> None:
    """Refuse a ``key_mask`` that is not a boolean array of this shape, (B, S)."""
    if key_mask is None:
        return
    require_bool(key_mask, name, "is real")
    if key_mask.shape != shape:
        is_pattern = name == "key_mask" and key_mask.ndim > 2
        remedy = "; a pattern, who may attend to whom, is passed as mask=" if is_pattern else ""
        raise ValueError(
            f"{name}: expected shape {shape}, which positions are real, got {key_mask.shape}"
            f"{remedy}"
        )


def check_pattern(mask: Mask | None, B: int, H: int | None, T: int, S: int) -> Mask | None:
    """A pattern with four axes, (B, H, T, S), each of which may be of length 1.

    Parameters
    ----------
    mask : (B, T, S) or (B, H, T, S) bool array, or None
    B, T, S : int
        Batch, queries and keys.
    H : int or None
        Heads; None: as many as the mask says.

    Raises
    ------
    TypeError
        If the mask is not boolean.
    ValueError
        If it has another shape. One of two axes is refused whatever its shape is: it could be
        padding or a pattern.
    """
    if mask is None:
        return None
    require_bool(mask, "mask")
    four = mask[:, None] if mask.ndim == 3 else mask
    if four.ndim == 4:
        heads = four.shape[1] if H is None else H
        if _broadcasts(four.shape, (B, heads, T, S)):
            return four
    heads_name = "H" if H is None else f"H={H}"
    raise ValueError(
        f"mask: expected a pattern of shape (B={B}, T={T}, S={S}) or (B, {heads_name}, T, S), in "
        f"which axes of length 1 broadcast, got {mask.shape}{_two_remedies(mask, 3)}"
    )


def check_mask(
    mask: Mask | None, scores: tuple[int, ...], name: str, beside_key_mask: bool = True
) -> Mask | None:
    """A pattern for scores of this shape, (..., T, S), with an axis for each of theirs.

    ``beside_key_mask`` says whether the caller's function takes a ``key_mask``, too.
    """
    if mask is None:
        return None
    require_bool(mask, name)
    if mask.ndim != len(scores) or not _broadcasts(mask.shape, scores):
        raise ValueError(
            f"{name}: expected a mask of shape {scores}, in which axes of length 1 broadcast, "
            f"got {mask.shape}{_two_remedies(mask, len(scores), beside_key_mask)}"
        )
    return mask


def _broadcasts(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    return all(n in (1, whole) for n, whole in zip(shape, full, strict=True))


def _two_remedies(mask: Mask, axes: int, beside_key_mask: bool = True) -> str:
    """What to write instead of a mask of two axes, where a pattern has ``axes``."""
    if mask.ndim != 2 or axes < 3:
        return ""
    new_axes = ", ".join(["None"] * (axes - 2))
    padding = "key_mask=" if beside_key_mask else f"mask[:, {new_axes}]"
    return (
        f"; two axes could mean two things: pass padding (B, S) as {padding}, and a pattern (T, S) "
        f"for the whole batch as mask=mask[{new_axes}]"
    )


# --- who may attend to whom


def row_blocks(
    T: int, S: int, causal: bool, window: int | None, step: int
) -> Iterator[tuple[slice, slice]]:
    """Blocks of ``step`` query rows, each with the keys that at least one of them may see.

    The queries are the last T of S positions.
    """
    for start in range(0, max(T, 1), step):
        stop = min(start + step, T)
        first, last = start + S - T, stop + S - T  # positions of the rows
        low, high = 0, S
        if causal:
            high = min(S, max(0, last))
        if window is not None:
            low = min(high, max(0, first - window + 1))
            high = max(low, min(high, last + window - 1))
        yield slice(start, stop), slice(low, high)


def band(
    queries: NDArray[np.integer[Any]],
    keys: NDArray[np.integer[Any]],
    causal: bool,
    window: int | None,
) -> Mask:
    """Which of the positions ``queries`` may attend to which of ``keys``, by their distance."""
    t = queries[:, None]
    allowed: Mask = keys <= t if causal else np.ones((len(queries), len(keys)), bool)
    if window is not None:
        allowed &= keys > t - window
        if not causal:
            allowed &= keys < t + window
    return allowed


def reach(
    masks: Sequence[Mask], T: int, S: int, causal: bool = False, window: int | None = None
) -> tuple[Mask, Mask]:
    """Which queries may attend to some key (..., T), and which keys some query may see (..., S).

    A pair is allowed if every one of ``masks`` (..., T, S), causality and the window allow it; axes
    of length 1 broadcast. The pairs are looked at in blocks of rows: there may be very many.
    """
    lead = np.broadcast_shapes(*[mask.shape[:-2] for mask in masks])
    attends = np.zeros((*lead, T), bool)
    seen = np.zeros((*lead, S), bool)
    # Where all rows are alike one row tells for all of them.
    alike = not causal and window is None and all(mask.shape[-2] == 1 for mask in masks)
    for rows, keys in row_blocks(T, S, causal, window, max(T, 1) if alike else _ROWS):
        if alike:
            allowed = np.ones((1, S), bool)
        else:
            positions = np.arange(rows.start + S - T, rows.stop + S - T)
            allowed = band(positions, np.arange(keys.start, keys.stop), causal, window)
        for mask in masks:
            allowed = allowed & part_of(mask, rows, keys)
        attends[..., rows] = allowed.any(axis=-1)
        if T:
            seen[..., keys] |= allowed.any(axis=-2)
    return attends, seen


def allowed_by(masks: Sequence[Mask]) -> Mask | None:
    """What every one of the masks allows; None if there is none."""
    return functools.reduce(lambda a, b: a & b, masks) if masks else None


def part_of(mask: Mask, rows: slice, keys: slice) -> Mask:
    """These rows and keys of a mask whose axes may be of length 1."""
    rows = rows if mask.shape[-2] > 1 else slice(None)
    keys = keys if mask.shape[-1] > 1 else slice(None)
    return mask[..., rows, keys]


# --- what is hidden


def real_positions(
    shape: tuple[int, ...],
    key_mask: Mask | None = None,
    mask: Mask | None = None,
    causal: bool = False,
    window: int | None = None,
    cache: KVCache | None = None,
) -> Mask | None:
    """Which positions of self-attention are real, (B, T); None if all of them are.

    The others are padding: ``key_mask`` says so, or they neither attend to a real position nor
    does one attend to them. A position that only looks, or is only looked at, is real. Beside a
    cache, also an empty one, ``key_mask`` alone tells: whom nobody has looked at until now,
    somebody may look at later.

    Parameters
    ----------
    shape : (B, T)
        Of the positions in question.
    key_mask : (B, S) bool array, optional
    mask : (B, T, S) or (B, H, T, S) bool array, optional
    causal : bool
    window : int, optional
        As for :func:`foundation_attn.attention`.
    cache : KVCache, optional
        What holds the S - T positions before these.

    Raises
    ------
    TypeError, ValueError
        If a mask is not boolean or of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> strictly = np.tri(3, k=-1, dtype=bool)[None]  # nobody looks at the last one, but it looks
    >>> real_positions((1, 3), mask=strictly) is None
    True
    >>> apart = np.array([[[1, 1, 0], [1, 1, 0], [0, 0, 0]]], bool)
    >>> real_positions((1, 3), mask=apart)
    array([[ True,  True, False]])
    """
    B, T = shape
    S = T if cache is None else cache.length + T
    check_key_mask(key_mask, (B, S))
    pattern = check_pattern(mask, B, None, T, S)
    real: Mask | None = None if key_mask is None else key_mask[:, S - T :]
    if pattern is not None and cache is None:
        some_head: Mask = np.asarray(pattern.any(axis=1))  # (B, T, S)
        itself = np.diagonal(np.broadcast_to(some_head, (B, T, T)), axis1=1, axis2=2)
        # Mostly each real position attends to itself, and nothing is left to find out.
        if not (itself if real is None else itself | ~real).all():
            masks = [some_head] if real is None else [some_head, real[:, None], real[:, :, None]]
            attends, seen = reach(masks, T, S, causal, window)
            real = np.broadcast_to(attends | seen, (B, T))
    return None if real is None or real.all() else real


def hide(x: Tensor, real: Mask | None) -> Tensor:
    """``x`` (B, T, D) with zeros where ``real`` (B, T) is False; None: nothing is hidden."""
    return x if real is None else F.mask_rows(x, np.broadcast_to(real, x.shape[:-1]))


def hide_unseen(x: Tensor, seen: Mask) -> Tensor:
    """``x`` (..., S, K) with zeros in the rows that are not ``seen`` (..., S): 0 · NaN is NaN."""
    if seen.all():
        return x
    # Heads that share a key see it if one of them does: reduce to the axes of x.
    seen = np.any(seen, axis=tuple(range(seen.ndim - x.ndim + 1)))
    shared = zip(range(-seen.ndim, 0), x.shape[x.ndim - 1 - seen.ndim : -1], strict=True)
    seen = np.any(seen, axis=tuple(axis for axis, n in shared if n == 1), keepdims=True)
    return F.mask_rows(x, np.broadcast_to(seen, x.shape[:-1]))
