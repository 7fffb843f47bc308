"""Scores: what is computed between the product Q Kᵀ and the softmax, block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from foundation_nn import Array
from numpy.typing import NDArray

from foundation_attn._parts import Part
from foundation_attn.masks import Block, Mask, allowed_by, band, part_of


@dataclass(frozen=True)
class Rule:
    """Who may attend to whom, and how products become scores: see :func:`attention`."""

    key_mask: Mask | None = None
    mask: Mask | None = None
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

    def masks(self, ndim: int) -> list[Mask]:
        """The masks there are, each with ``ndim`` axes, those of the scores (..., T, S)."""
        found = [] if self.mask is None else [self.mask]
        if self.key_mask is not None:  # (B, S), or (S,) for scores without a batch
            *batch, S = self.key_mask.shape
            others = (1,) * (ndim - 1 - len(batch))
            found.append(self.key_mask.reshape(*batch, *others, S))
        return found

    def reaches_everything(self, masks: list[Mask], T: int, S: int) -> bool:
        """Whether each query sees some key, and some query each key, without looking at pairs."""
        by_distance = self.causal or self.window is not None
        return not masks and (T == S or not by_distance)  # at least the one at its own place


class Scores:
    """Scores of blocks of query rows of one part, with -inf where a query may not attend.

    With z = scale · Q Kᵀ the score is z - slope · distance, or cap · tanh(z / cap) - slope ·
    distance; ``q`` is of all parts, ``k`` that of the part.
    """

    def __init__(self, q: Array, k: Array, rule: Rule, part: Part) -> None:
        scale = 1 / math.sqrt(q.shape[-1]) if rule.scale is None else rule.scale
        self.scale = q.dtype.type(scale)
        self.q, self.k, self.rule = q[part], k, rule
        self.offset = k.shape[-2] - q.shape[-2]
        lead = q.shape[:-2]
        self.masks = [
            np.broadcast_to(mask, (*lead, *mask.shape[-2:]))[part] for mask in rule.masks(q.ndim)
        ]
        self.slopes = None
        if rule.slopes is not None:
            slopes = np.asarray(rule.slopes, q.dtype)
            self.slopes = np.broadcast_to(slopes, lead)[part][..., None, None]

    def __call__(self, block: Block, out: Array) -> Array | None:
        """Fill ``out`` (..., rows, keys); return the slopes ds/dz if they are not one."""
        (rows, keys), dtype = block, self.q.dtype
        s = np.matmul(self.q[..., rows, :], self.k[..., keys, :].swapaxes(-1, -2), out=out)
        s *= self.scale  # in the cache, and contiguous, which queries in heads are not
        slope = None
        if self.rule.cap is not None:
            s *= dtype.type(1 / self.rule.cap)
            np.tanh(s, out=s)
            slope = 1 - s * s
            s *= dtype.type(self.rule.cap)
        if self.slopes is not None:
            at = self._positions(rows)
            distance = np.abs(at[:, None] - np.arange(keys.start, keys.stop)).astype(dtype)
            s -= self.slopes * distance
        allowed = allowed_by([part_of(mask, rows, keys) for mask in self.masks])
        if allowed is not None:
            s += _minus_infinity(allowed, dtype)
        if self.rule.causal or self.rule.window is not None:
            self._cut(s, block)
        return slope

    def _positions(self, rows: slice) -> NDArray[np.intp]:
        return np.arange(rows.start + self.offset, rows.stop + self.offset)

    def _cut(self, s: Array, block: Block) -> None:
        """Put -inf where a distance is too great, or negative under causality."""
        rows, keys = block
        edge = keys.start
        if self.rule.window is None:  # all rows see what the first one sees
            edge = min(max(edge, rows.start + self.offset + 1), keys.stop)
        if edge < keys.stop:
            at, beyond = self._positions(rows), np.arange(edge, keys.stop)
            allowed = band(at, beyond, self.rule.causal, self.rule.window)
            s[..., edge - keys.start :] += _minus_infinity(allowed, s.dtype)


def softmax(s: Array) -> tuple[Array, Array]:
    """exp(s - top) in place of scores; also Σ exp(s - top) and top, the greatest, for each row.

    Divided by the sum they are the weights. In a row of nothing but -inf all are zero.
    """
    # Of -inf, the lowest finite number can be subtracted.
    top = s.max(axis=-1, keepdims=True, initial=np.finfo(s.dtype).min)
    s -= top
    np.exp(s, out=s)
    total = (s @ np.ones(s.shape[-1], s.dtype))[..., None]  # faster than .sum(-1)
    # Where there is a greatest number, its exponential is 1.
    return np.maximum(total, 1, out=total), top


def _minus_infinity(mask: Mask, dtype: Any) -> Array:
    """What masks when it is added: several times faster than a conditional copy."""
    return np.where(mask, dtype.type(0), dtype.type(-np.inf))
