"""Scores: what is computed between the product Q Kᵀ and the softmax, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import Array
from numpy.typing import NDArray

from foundation_attn._masks import Mask, band
from foundation_attn._parts import Part


@dataclass(frozen=True)
class Rule:
    """Who may attend to whom, and how products become scores: see :func:`attention`."""

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


class Block(NamedTuple):
    """A block of query rows, and the keys that at least one of them may see."""

    rows: slice
    keys: slice


def blocks(T: int, S: int, rule: Rule, step: int) -> Iterator[Block]:
    """Blocks of ``step`` rows; queries are the last T of S positions."""
    for start in range(0, max(T, 1), step):
        stop = min(start + step, T)
        first, last = start + S - T, stop + S - T  # positions of the rows
        low, high = 0, S
        if rule.causal:
            high = min(S, max(0, last))
        if rule.window is not None:
            low = min(high, max(0, first - rule.window + 1))
            high = max(low, min(high, last + rule.window - 1))
        yield Block(slice(start, stop), slice(low, high))


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
        self.allowed = self.slopes = None
        if rule.mask is not None:
            self.allowed = np.broadcast_to(rule.mask, (*lead, *rule.mask.shape[-2:]))[part]
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
        if self.allowed is not None:
            # A mask for all rows alike has one row.
            some = rows if self.allowed.shape[-2] > 1 else slice(None)
            s += _minus_infinity(self.allowed[..., some, keys], dtype)
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
