"""Scores: what is computed between the product Q Kᵀ and the softmax, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from foundation_nn import Array
from numpy.typing import NDArray

from foundation_attn._masks import Mask, band

Positions: TypeAlias = NDArray[np.integer[Any]]
#: From the positions of queries (T,) and keys (S,) to what is added to their scores, broadcast to
#: (..., T, S), such as -slope · distance.
Bias: TypeAlias = Callable[[Positions, Positions], NDArray[Any]]


@dataclass(frozen=True)
class Rule:
    """Who may attend to whom, and how products become scores: see :func:`attention`."""

    mask: Mask | None = None
    causal: bool = False
    scale: float | None = None
    window: int | None = None
    bias: Bias | None = None
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
    """Scores of blocks of query rows, with -inf where a query may not attend.

    With z = scale · Q Kᵀ the score is cap · tanh(z / cap) + bias, or z + bias without a cap.
    """

    def __init__(self, q: Array, k: Array, rule: Rule) -> None:
        self.q, self.k, self.rule = q, k, rule
        self.scale = 1 / math.sqrt(q.shape[-1]) if rule.scale is None else rule.scale
        self.offset = k.shape[-2] - q.shape[-2]
        # Adding -inf is several times faster than a conditional copy.
        self.mask = None if rule.mask is None else _minus_infinity(rule.mask, q.dtype)

    def __call__(self, block: Block) -> tuple[Array, Array | None]:
        """The scores (..., rows, keys), and their slopes ds/dz if these are not one."""
        (rows, keys), rule, dtype = block, self.rule, self.q.dtype
        s = (self.q[..., rows, :] * dtype.type(self.scale)) @ self.k[..., keys, :].swapaxes(-1, -2)
        slope = None
        if rule.cap is not None:
            s *= dtype.type(1 / rule.cap)
            np.tanh(s, out=s)
            slope = 1 - s * s
            s *= dtype.type(rule.cap)
        at = np.arange(rows.start, rows.stop) + self.offset
        if rule.bias is not None:
            s += np.asarray(rule.bias(at, np.arange(keys.start, keys.stop)), dtype)
        if self.mask is not None:
            # A mask for all rows alike has one row.
            s += self.mask[..., rows if self.mask.shape[-2] > 1 else slice(None), keys]
        if rule.causal or rule.window is not None:
            # Up to the first row's own position a causal block is full.
            edge = (
                keys.start if rule.window is not None else max(keys.start, int(at.min(initial=0)))
            )
            some = np.arange(min(edge, keys.stop), keys.stop)
            allowed = band(at, some, rule.causal, rule.window)
            s[..., s.shape[-1] - len(some) :] += _minus_infinity(allowed, dtype)
        return s, slope


def softmax(s: Array) -> tuple[Array, Array]:
    """Normalise scores in place, row by row; also the logarithm of each row's sum.

    A row of nothing but -inf becomes zeros, and stays so when it is computed again from its
    "logarithm", +inf.
    """
    top = s.max(axis=-1, keepdims=True, initial=-np.inf)
    empty = np.isneginf(top)
    top[empty] = 0
    s -= top
    np.exp(s, out=s)
    total = (s @ np.ones(s.shape[-1], s.dtype))[..., None]  # faster than .sum(-1)
    total[empty] = 1
    s *= 1 / total
    log_sum = np.log(total)
    log_sum += top
    log_sum[empty] = np.inf
    return s, log_sum


def _minus_infinity(mask: Mask, dtype: Any) -> Array:
    return np.where(mask, dtype.type(0), dtype.type(-np.inf))
