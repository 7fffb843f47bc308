"""Who may attend to whom, and how products become scores: the options of attention as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_attn.masks import Mask, check_key_mask, check_mask


@dataclass(frozen=True)
class Rule:
    """The options of :func:`foundation_attn.attention`, which explains them.

    Attributes
    ----------
    masks : tuple of bool arrays
        Each broadcasts to the scores (..., T, S), and has as many axes. A pair is allowed if all of
        them allow it.
    causal, scale, window, cap
    slopes : array or None
        Broadcasts to the leading axes of the scores, the batch and the heads.
    """

    masks: tuple[Mask, ...] = ()
    causal: bool = False
    scale: float | None = None
    window: int | None = None
    slopes: NDArray[Any] | None = None
    cap: float | None = None

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise ValueError(f"window: expected at least 1 position, got {self.window}")
        if self.cap is not None and not self.cap > 0:
            raise ValueError(f"cap: expected a positive number, got {self.cap}")

    def reaches_everything(self, T: int, S: int) -> bool:
        """Whether each query sees some key, and some query each key, without looking at pairs."""
        by_distance = self.causal or self.window is not None
        return not self.masks and (T == S or not by_distance)  # at least the one at its own place


def check_shapes(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> tuple[int, ...]:
    """The shape (..., T, S) of the scores; refuses queries, keys and values that do not fit."""
    if len(q) < 2 or len(k) < 2 or q[-1] != k[-1] or q[-1] == 0:
        raise ValueError(
            f"attention: expected q of shape (..., T, K) and k of shape (..., S, K), got {q} "
            f"and {k}"
        )
    try:
        lead = np.broadcast_shapes(q[:-2], k[:-2])
    except ValueError:
        raise ValueError(
            f"attention: expected q and k with the same batch and heads, got {q} and {k}"
        ) from None
    if v[:-1] != k[:-1]:
        raise ValueError(
            f"attention: expected v of shape {(*k[:-1], 'K')}, one value for each key, got {v}"
        )
    return (*lead, q[-2], k[-2])


def check_masks(
    key_mask: Mask | None, mask: Mask | None, scores: tuple[int, ...]
) -> tuple[Mask, ...]:
    """Padding (B, S) and a pattern, with the axes of the scores (..., T, S); refuses others."""
    check_key_mask(key_mask, (*scores[:-2][:1], scores[-1]))
    pattern = check_mask(mask, scores, "attention")
    padding = None if key_mask is None else padding_pattern(key_mask, len(scores))
    return tuple(m for m in (pattern, padding) if m is not None)


def padding_pattern(key_mask: Mask, ndim: int) -> Mask:
    """A ``key_mask`` (B, S) as a pattern (B, 1, ..., 1, S) of ``ndim`` axes."""
    *batch, S = key_mask.shape
    others = (1,) * (ndim - len(batch) - 1)
    return key_mask.reshape(*batch, *others, S)
