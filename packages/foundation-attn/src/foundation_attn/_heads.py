"""Heads: the last axis of (B, T, H · K) parted into (B, H, T, K), and put together again."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from foundation_nn import Array, Result, operation


@operation(outputs=3)
def split_heads(x: Array, heads: tuple[int, ...]) -> Result:
    """Part the last axis of (B, T, Σh · K) into one (B, h, T, K) view for each h in ``heads``."""
    B, T, width = x.shape
    K = width // sum(heads)
    in_heads = x.reshape(B, T, width // K, K).swapaxes(1, 2)  # (B, Σh, T, K)
    ends = list(itertools.accumulate(heads))

    def backward(grads: list[Array]) -> Array:
        dx = np.empty((B, T, width // K, K), grads[0].dtype)
        start = 0
        for g in grads:
            dx[:, :, start : start + g.shape[1]] = g.swapaxes(1, 2)
            start += g.shape[1]
        return dx.reshape(B, T, width)

    return tuple([in_heads[:, end - h : end] for h, end in zip(heads, ends, strict=True)]), backward


@operation
def merge_heads(x: Array) -> Result:
    """(B, H, T, K) to (B, T, H · K): the heads side by side again."""
    B, H, T, K = x.shape

    def backward(g: Array) -> Array:
        return g.reshape(B, T, H, K).swapaxes(1, 2)

    return x.swapaxes(1, 2).reshape(B, T, H * K), backward


def with_equal_lead(*arrays: Array) -> tuple[list[Array], tuple[int, ...]]:
    """Views of the arrays with the same leading axes, and these."""
    leads = {x.shape[:-2] for x in arrays}
    if len(leads) == 1:
        return list(arrays), leads.pop()
    lead = np.broadcast_shapes(*leads)
    return [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in arrays], lead


def heads_last(shape: tuple[int, ...], dtype: Any) -> Array:
    """An empty (..., H, T, K) array laid out as (..., T, H, K), so that merging heads is free."""
    if len(shape) < 3:
        return np.empty(shape, dtype)
    *lead, H, T, K = shape
    return np.empty((*lead, T, H, K), dtype).swapaxes(-2, -3)
