"""Attention as one operation: scores, weights and output of a block, and beneath it the gradients.

For queries q (T, K), keys k (S, K) and values v (S, K) of each head, it computes

    scores  = scale · q kᵀ           (T, S)
    weights = softmax(scores)        (T, S)
    output  = weights · v            (T, K)

and does two things more for speed and memory, which change no result:

* It works by blocks. A ``Block`` is a part of the score matrices: some heads, about 128 query rows,
  and the keys that these rows may see; what no row may see, above the diagonal under ``causal`` or
  outside the ``window``, is never computed. ``cut.each(task, row_arrays, key_arrays)`` calls
  ``task`` for each block, on all threads, with the block's part of each of the arrays.
* It keeps no (T, S) matrix of a long sequence for the backward, only the greatest score and the sum
  of each row, from which the backward computes the weights again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from foundation_nn import Array, Result, operation
from foundation_nn.functional import keep_scale

from foundation_attn._blocks import Block, Cut, Dropout
from foundation_attn._heads import heads_last, with_equal_lead
from foundation_attn._rule import Rule
from foundation_attn._scores import exp_in_place, scale_of, scores_into
from foundation_attn.masks import Mask


@operation
def fused_attention(
    q: Array,
    k: Array,
    v: Array,
    relative_bias: Array | None,
    rule: Rule,
    dropout: Dropout | None,
) -> Result:
    """The output y = w v for the weights w = softmax(scores), and the gradients of q, k and v.

    Let g be the gradient of y, and dw, ds, dq, dk and dv those of the weights, the scores s and the
    others; ∘ is the product of elements. In a row of weights, the softmax has the derivative
    ∂wᵢ/∂sⱼ = wᵢ ([i = j] - wⱼ), where [i = j] is 1 if i = j and 0 otherwise, so that

        dv = wᵀ g
        dw = g vᵀ
        ds = w ∘ (dw - mean)   with mean = Σⱼ wⱼ dwⱼ, one number for each row
        dq = scale · ds k
        dk = scale · dsᵀ q

    The mean costs little: Σⱼ wⱼ dwⱼ = Σⱼ wⱼ (g · vⱼ) = g · y, a product of two rows of length K.

    The weights are w = exps / total with exps = exp(scores - top), where top is the greatest score
    of a row and total the sum of its exps. In a short sequence, whose weights are kept, that is
    what ``weights`` are. In a long one they lack the division by total. What they are multiplied
    with is divided by it instead, because that is cheaper: rows of K numbers, not of S.

    Dropout multiplies w, where it meets v, by m, which is 0 or 1 / (1 - p). So dv = (w ∘ m)ᵀ g and
    dw = m ∘ (g vᵀ); the mean is g · y as before.

    ``relative_bias`` (..., 2L - 1), or None, is added to the scores by distance. The gradient of
    each of its numbers is the sum of ds over the pairs at that distance: a diagonal of ds.
    """
    # As views with the same leading axes: q (*lead, T, K), k and v (*lead, S, K).
    (q, k, v), lead = with_equal_lead(q, k, v)
    T, S, dtype = q.shape[-2], k.shape[-2], q.dtype
    scale = dtype.type(scale_of(q, rule))  # of this dtype, so that nothing becomes float64
    keep_factor = dtype.type(1 if dropout is None else keep_scale(dropout.p))  # 1 / (1 - p)
    cut = Cut(lead, T, S, dtype, rule.causal, rule.window)
    # Laid out as (B, T, H, K), so that the heads of a position are side by side already.
    y = heads_last((*lead, T, v.shape[-1]), dtype)
    # Of each row of scores two numbers are kept. FlashAttention keeps one, top + log(total), which
    # loses digits where top is large: there the logarithm is small beside it, and is rounded.
    top = np.empty((*lead, T, 1), dtype)
    total = np.empty((*lead, T, 1), dtype)
    kept: dict[int, Kept] = {}

    def forward_block(block: Block, row_arrays: list[Array], key_arrays: list[Array]) -> None:
        # From here on, these names stand for the rows of this block alone.
        q, y, top, total = row_arrays  # (..., rows, n) each
        k, v = key_arrays  # (..., keys, n) each

        # scores = scale · q kᵀ, and -inf where a query may not attend
        scores = cut.room_for_scores(block, q)  # (..., rows, keys)
        cap_derivative = scores_into(scores, q, k, relative_bias, scale, rule, block)

        # weights = softmax(scores) = exps / total
        weights, greatest, sums = exp_in_place(scores)
        top[...] = greatest
        total[...] = sums
        if cut.keeps_weights:
            weights /= total

        # output = weights · v
        keep = None if dropout is None else dropout.keep(block)  # the same when asked again
        np.matmul(with_dropout(weights, keep, keep_factor), v, out=y)
        if cut.keeps_weights:
            kept[block.number] = Kept(weights, cap_derivative, keep)
        else:
            y /= total

    cut.each(forward_block, [q, y, top, total], [k, v])

    def backward(g: Array) -> tuple[Array, Array, Array, Array | None]:
        dq = heads_last(q.shape, dtype)
        dk = heads_last(k.shape, dtype)
        dv = heads_last(v.shape, dtype)
        d_relative_bias = None
        if relative_bias is not None:
            d_relative_bias = np.zeros((*lead, relative_bias.shape[-1]), dtype)

        def backward_block(
            block: Block, row_arrays: list[Array], key_arrays: list[Array], sums: list[Array]
        ) -> None:
            q, y, top, total, g, dq = row_arrays
            k, v = key_arrays
            dk, dv = sums

            # The weights that were kept, or the exponentials once more.
            if cut.keeps_weights:
                weights, cap_derivative, keep = kept[block.number]
            else:
                weights = cut.room_for_scores(block, q)
                cap_derivative = scores_into(weights, q, k, relative_bias, scale, rule, block)
                weights -= top
                np.exp(weights, out=weights)
                keep = None if dropout is None else dropout.keep(block)
                g = g / total  # which the weights were not divided by

            # dv = wᵀ g
            dv += with_dropout(weights, keep, keep_factor).swapaxes(-1, -2) @ g

            # dw = g vᵀ
            dw = np.matmul(g, v.swapaxes(-1, -2), out=cut.room(block, q, slot=1))
            dw = with_dropout(dw, keep, keep_factor)

            # ds = w ∘ (dw - mean)
            mean = np.vecdot(g, y)[..., None]  # g · y of each row, (..., rows, 1)
            ds = np.subtract(dw, mean, out=dw)  # in the memory of dw, which is not needed any more
            ds *= weights
            if d_relative_bias is not None:
                block.add_by_distance(d_relative_bias[block.part], ds)
            if cap_derivative is not None:
                ds *= cap_derivative

            # dq = scale · ds k,  dk = scale · dsᵀ q
            np.matmul(ds, k, out=dq)
            dq *= scale
            dk += ds.swapaxes(-1, -2) @ (q * scale)

        # All blocks of the same heads are computed by one thread, one after the other, so that they
        # can be added to dk, dv and d_relative_bias. ``each`` sets dk and dv to zero before.
        cut.each(backward_block, [q, y, top, total, g, dq], [k, v], [dk, dv])
        return dq, dk, dv, d_relative_bias

    return y, backward


def with_dropout(x: Array, keep: Mask | None, factor: Any) -> Array:
    """``x`` with zeros where ``keep`` is False, and times ``factor`` elsewhere; None: ``x``."""
    return x if keep is None else x * np.multiply(keep, factor, dtype=x.dtype)


class Kept(NamedTuple):
    """What a block of a short sequence keeps for the backward, instead of computing it again."""

    weights: Array
    cap_derivative: Array | None
    keep: Mask | None
