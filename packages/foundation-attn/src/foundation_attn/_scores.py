"""From queries and keys to scores, and from scores to the exponentials of the softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from foundation_nn import Array

from foundation_attn._blocks import Block
from foundation_attn._rule import Rule
from foundation_attn.masks import Mask, allowed_by, band


def scale_of(q: Array, rule: Rule) -> float:
    """The factor of the products q kᵀ: 1/√K unless the rule says otherwise."""
    return 1 / math.sqrt(q.shape[-1]) if rule.scale is None else rule.scale


def scores_into(
    out: Array, q: Array, k: Array, bias: Array | None, scale: Any, rule: Rule, block: Block
) -> Array | None:
    """Write the scores of a block of query rows, with -inf where a query may not attend.

    z = scale · q kᵀ becomes z - slope · distance, or cap · tanh(z / cap) - slope · distance; a bias
    by distance is added.

    Parameters
    ----------
    out : (..., rows, keys) array
        Where the scores are written.
    q, k : (..., rows, K) and (..., keys, K) arrays
        Of the block.
    bias : (..., 2L - 1) array or None
        By distance, for all heads; see :meth:`Block.by_distance`.
    scale : scalar of their dtype
    rule : Rule
        For all heads, rows and keys.
    block : Block

    Returns
    -------
    array or None
        With a cap, the derivative of the scores by z; otherwise it is one.
    """
    dtype = out.dtype
    np.matmul(q, k.swapaxes(-1, -2), out=out)
    out *= scale  # faster than to scale q: out is in the processor's cache, and contiguous
    cap_derivative = None
    if rule.cap is not None:
        out *= dtype.type(1 / rule.cap)
        np.tanh(out, out=out)
        cap_derivative = 1 - out * out
        out *= dtype.type(rule.cap)

    if rule.slopes is not None:
        distance = np.abs(block.query_positions()[:, None] - block.key_positions())  # (rows, keys)
        slopes = block.of_heads(np.asarray(rule.slopes, dtype))  # (...): one a head
        out -= slopes[..., None, None] * distance.astype(dtype)

    if bias is not None and out.size:
        of_all_heads = np.broadcast_to(bias, (*block.lead, bias.shape[-1]))
        out += block.by_distance(of_all_heads[block.part])

    allowed = allowed_by([block.of_mask(mask) for mask in rule.masks])
    if allowed is not None:
        out += minus_infinity(allowed, dtype)
    if rule.causal or rule.window is not None:
        num_keys = out.shape[-1]
        seen_by_all = 0  # so many keys, from the first one on, need no mask
        if rule.window is None:  # all rows see what the first one sees: keys up to its own place
            up_to_first_query = block.first_query_position + 1 - block.keys.start
            seen_by_all = min(max(0, up_to_first_query), num_keys)
        if seen_by_all < num_keys:
            others = block.key_positions()[seen_by_all:]
            # Which of the others each row may see, by position alone: (rows, others).
            near_enough = band(block.query_positions(), others, rule.causal, rule.window)
            out[..., seen_by_all:] += minus_infinity(near_enough, dtype)
    return cap_derivative


def minus_infinity(allowed: Mask, dtype: Any) -> Array:
    """0 where a pair is allowed and -inf elsewhere, to be added to scores.

    That is faster than a conditional copy. It needs finite scores: keys that may hold NaN have been
    replaced by zeros before.
    """
    return np.where(allowed, dtype.type(0), dtype.type(-np.inf))


def exp_in_place(scores: Array) -> tuple[Array, Array, Array]:
    """The parts of the softmax of each row: exps = exp(scores - top), top, and total.

    top (..., rows, 1) is the greatest score, which keeps the exponentials from overflowing, and
    total their sum; exps / total is the softmax. exps are written over the scores.

    In a row of nothing but -inf, exps are zero. For that, top is no less than the lowest finite
    number, because -inf - (-inf) is NaN, and total is no less than 1, because 0 / 0 is NaN. In
    other rows that changes nothing: the exponential of the greatest score is 1.
    """
    top = scores.max(axis=-1, keepdims=True, initial=np.finfo(scores.dtype).min)
    scores -= top
    exps = np.exp(scores, out=scores)
    total = (exps @ np.ones(exps.shape[-1], exps.dtype))[..., None]  # faster than .sum(-1)
    np.maximum(total, 1, out=total)
    return exps, top, total
