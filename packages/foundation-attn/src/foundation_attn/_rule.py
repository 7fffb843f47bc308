"""Who may attend to whom, and how products become scores: the options of attention as one value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from foundation_nn import number, whole_number
from numpy.typing import NDArray

from foundation_attn.masks import Mask, check_key_mask, check_mask, check_pattern, reach


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
        check_causal(self.causal)
        if self.scale is not None:
            number("attention", "scale", self.scale)
        check_window_and_cap("attention", self.window, self.cap)
        if self.slopes is not None and not np.isfinite(np.asarray(self.slopes, float)).all():
            raise ValueError(f"slopes: expected finite numbers, got {self.slopes}")

    def reaches_everything(self, T: int, S: int) -> bool:
        """Whether each query sees some key, and some query each key, without looking at pairs."""
        by_distance = self.causal or self.window is not None
        return not self.masks and (T == S or not by_distance)  # at least the one at its own place

    def real_queries_and_keys(self, T: int, S: int) -> tuple[Mask | None, Mask | None]:
        """Which queries attend to some key, and which keys some query sees, in any head.

        For masks of four axes, (B, H, T, S). The results are (B, T) and (B, S), with B = 1 without
        masks; None and None if all queries and keys are linked.
        """
        if self.reaches_everything(T, S):
            return None, None
        attends, seen = reach(self.masks, T, S, self.causal, self.window)
        if not self.masks:
            return attends[None], seen[None]  # (1, T) and (1, S)
        # From (B, H, T) and (B, H, S).
        return np.asarray(attends.any(axis=1)), np.asarray(seen.any(axis=1))

    def in_groups(self, groups: int) -> Rule:
        """The rule of (B, H, T, S) scores for (B, groups, H / groups, T, S) scores."""
        masks = []
        for mask in self.masks:
            B, H, T, S = mask.shape
            masks.append(mask[:, :, None] if H == 1 else mask.reshape(B, groups, -1, T, S))
        slopes = None if self.slopes is None else self.slopes.reshape(groups, -1)
        return replace(self, masks=tuple(masks), slopes=slopes)


def check_causal(causal: Any) -> None:
    """Refuse what is neither True nor False: a text such as "no" would count as True."""
    if isinstance(causal, bool | np.bool_):
        return
    given, fix = repr(causal), ""
    if np.ndim(causal):
        given = f"an array of shape {np.shape(causal)}"
        fix = "; a pattern, who may attend to whom, is passed as mask="
    raise TypeError(f"causal: expected True or False, got {given}{fix}")


def check_window_and_cap(caller: str, window: int | None, cap: float | None) -> None:
    """Refuse a window of no position, and a cap that is not positive and finite."""
    if window is not None:
        whole_number(caller, "window", window, at_least=1)
    if cap is not None:
        number(caller, "cap", cap, more_than=0)


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


def check_head_masks(
    key_mask: Mask | None, mask: Mask | None, B: int, H: int, T: int, S: int
) -> tuple[Mask, ...]:
    """Padding (B, S) and a pattern (B, T, S) or (B, H, T, S), with four axes each."""
    check_key_mask(key_mask, (B, S))
    pattern = check_pattern(mask, B, H, T, S)
    padding = None if key_mask is None else padding_pattern(key_mask, 4)
    return tuple(m for m in (pattern, padding) if m is not None)


def check_relative_bias(bias: tuple[int, ...], scores: tuple[int, ...]) -> None:
    """Refuse a bias by distance that is not (..., 2L - 1) for scores (..., T, S)."""
    *lead, T, S = scores
    width = 2 * max(T, S, 1) - 1
    others = bias[:-1]
    fits = len(others) <= len(lead) and all(
        n in (1, whole) for n, whole in zip(reversed(others), reversed(lead), strict=False)
    )
    if not fits or bias[-1:] != (width,):
        raise ValueError(
            f"relative_bias: expected shape {(*lead[-1:], width)}, a number for each distance of "
            f"{max(T, S)} positions, got {bias}"
        )


def padding_pattern(key_mask: Mask, ndim: int) -> Mask:
    """A ``key_mask`` (B, S) as a pattern (B, 1, ..., 1, S) of ``ndim`` axes."""
    *batch, S = key_mask.shape
    others = (1,) * (ndim - len(batch) - 1)
    return key_mask.reshape(*batch, *others, S)


def check_dropout(name: str, p: float) -> None:
    """Refuse what :func:`foundation_nn.functional.dropout` would, which rounds p to 1/65536."""
    p = number(name, "dropout", p, at_least=0, less_than=1)
    if round(p * 65536) >= 65536:
        raise ValueError(f"{name}: expected 0 <= dropout < 1 by more than 1/131072, got {p}")
