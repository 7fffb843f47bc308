"""Scaled dot-product attention, with its backward.

Every query asks all keys, and gets a mean of their values, in which those weigh most whose keys
answer best:

    scores  = scale · q kᵀ           (T, S)   how well each key answers each query
    weights = softmax(scores)        (T, S)   over the keys that the query may attend to
    output  = weights · v            (T, K)   for each query, a mean of the values

for queries q (T, K), keys k (S, K) and values v (S, K), where ``K`` is the width of a head. Other
axes may stand before these two, mostly ``B`` (batch) and ``H`` (heads); they are written ``...``.

In plain NumPy, with ``allowed`` True where a query may attend to a key:

>>> import numpy as np
>>> def plain_attention(q, k, v, allowed):
...     scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])  # (..., T, S)
...     scores = np.where(allowed, scores, -np.inf)
...     exps = np.exp(scores - scores.max(axis=-1, keepdims=True))  # what is -inf becomes 0
...     weights = exps / exps.sum(axis=-1, keepdims=True)
...     return weights @ v  # (..., T, K)

>>> from foundation_attn import attention
>>> from foundation_nn import Tensor
>>> q, k, v = np.random.default_rng(0).standard_normal((3, 2, 4, 5, 8))  # (B, H, T, K) each
>>> y = attention(Tensor(q), Tensor(k), Tensor(v), causal=True)
>>> np.allclose(y.data, plain_attention(q, k, v, allowed=np.tri(5, dtype=bool)))
True

The masks and options of a call travel together as a ``Rule``. This file does two things more for
speed and memory, which change no result:

* It works by blocks. A ``Block`` is a part of the score matrices: some heads, about 128 query rows,
  and the keys that these rows may see; what no row may see, above the diagonal under ``causal`` or
  outside the ``window``, is never computed. ``cut.each(task, queries, keys, sums)`` calls
  ``task(block, ...)`` for each block, with its part of each of the arrays, on all threads.
* It keeps no (T, S) matrix of a long sequence for the backward, only the greatest score and the sum
  of each row, from which the backward computes the weights again.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import Array, Result, Tensor, current_generator, operation
from foundation_nn.functional import keep_scale
from numpy.typing import NDArray

from foundation_attn._blocks import Block, Cut, Dropout
from foundation_attn._heads import heads_last, with_equal_lead
from foundation_attn._rule import Rule, check_dropout, check_masks, check_shapes
from foundation_attn.masks import Mask, allowed_by, band, hide_unseen, reach


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Mask | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    *,
    key_mask: Mask | None = None,
    window: int | None = None,
    slopes: NDArray[Any] | None = None,
    cap: float | None = None,
) -> Tensor:
    """softmax(scale · q kᵀ) v, over the keys that each query may attend to [1]_, [2]_.

    Parameters
    ----------
    q : (..., T, K) tensor
    k : (..., S, K) tensor
    v : (..., S, K) tensor
    mask : (..., T, S) bool array, optional
        A pattern: True where a query may attend to a key. It has as many axes as the scores, so
        that nothing has to be guessed; axes of length 1 broadcast.
    causal : bool
        No query sees a later key. The queries are the last T of S positions, so that query t may
        attend to keys s ≤ t + S - T: with T < S, the first S - T keys are those of earlier calls,
        as a cache keeps them.
    scale : float, optional
        1/√K by default.
    dropout : float
        Probability of zeroing a weight, within ``train_mode`` only.
    key_mask : (B, S) bool array, optional
        Padding: True where a key is real, with B the first axis of ``q``; (S,) if there is none.
    window : int, optional
        Only to keys at a distance of less than this many positions [3]_, itself included.
    slopes : (H,) array, optional
        ALiBi: the score of a query at t and a key at s falls by slope · ``abs(t - s)`` [4]_.
        A constant, no parameter; broadcasts to the axes before the last two.
    cap : float, optional
        Scores s become cap · tanh(s / cap), before the slopes: none exceeds the cap [5]_.

    Returns
    -------
    (..., T, K) tensor
        For a query that may attend to nothing the output is zero, and so are the gradients. Such a
        query may itself hold NaN. A key that no query may attend to, and its value, may hold NaN,
        too: they have no influence.

    Raises
    ------
    TypeError
        If a mask is not boolean.
    ValueError
        If shapes do not fit, window or cap is not positive, or dropout is no probability below 1.

    Notes
    -----
    PyTorch's boolean masks of ``scaled_dot_product_attention`` mean the same as ours, those of
    ``nn.MultiheadAttention`` the opposite.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, eq. 1.
    .. [2] T. Dao et al., "FlashAttention: Fast and Memory-Efficient Exact Attention with
       IO-Awareness", NeurIPS 2022, arXiv:2205.14135.
    .. [3] I. Beltagy et al., "Longformer: The Long-Document Transformer", 2020, arXiv:2004.05150.
    .. [4] O. Press et al., "Train Short, Test Long: Attention with Linear Biases Enables Input
       Length Extrapolation", ICLR 2022, arXiv:2108.12409.
    .. [5] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
       arXiv:2408.00118.

    Examples
    --------
    The formula in plain NumPy; the top of this file shows it with masks:

    >>> import numpy as np
    >>> q, k, v = np.random.default_rng(0).standard_normal((3, 2, 4, 5, 8))  # (B, H, T, K) each
    >>> exps = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(8))  # (B, H, T, S)
    >>> weights = exps / exps.sum(axis=-1, keepdims=True)
    >>> np.allclose(attention(Tensor(q), Tensor(k), Tensor(v)).data, weights @ v)
    True
    """
    scores_shape = check_shapes(q.shape, k.shape, v.shape)  # (..., T, S)
    check_dropout("attention", dropout)
    masks = check_masks(key_mask, mask, scores_shape)  # each broadcasts to the scores
    rule = Rule(masks, causal, scale, window, slopes, cap)
    q, k, v = hide_unreachable(q, k, v, rule)  # a weight of 0 hides nothing: 0 · NaN is NaN
    return attend(q, k, v, rule, dropout)


def hide_unreachable(q: Tensor, k: Tensor, v: Tensor, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Zeros in place of queries that may attend to nothing, and of keys that no query may see."""
    T, S = q.shape[-2], k.shape[-2]
    if rule.reaches_everything(T, S):
        return q, k, v
    attends, seen = reach(rule.masks, T, S, rule.causal, rule.window)  # (..., T) and (..., S)
    return hide_unseen(q, attends), hide_unseen(k, seen), hide_unseen(v, seen)


def attend(q: Tensor, k: Tensor, v: Tensor, rule: Rule, dropout: float = 0.0) -> Tensor:
    """:func:`attention` of arguments that are known to fit, with finite numbers everywhere."""
    rng = current_generator() if dropout else None  # None outside train_mode: nothing is dropped
    if rng is None:
        return _attention(q, k, v, rule, None)
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    drawn = Dropout(rng, dropout, shape=(*lead, q.shape[-2], k.shape[-2]))
    return _attention(q, k, v, rule, drawn)


# --- the operation


class Kept(NamedTuple):
    """What a block of a short sequence keeps for the backward, instead of computing it again."""

    exps: Array
    cap_derivative: Array | None
    keep: Mask | None


@operation
def _attention(q: Array, k: Array, v: Array, rule: Rule, dropout: Dropout | None) -> Result:
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

    The code has exps = exp(scores - top) instead of the weights w = exps / total, where top is the
    greatest score of a row and total the sum of its exps. What the weights are multiplied with is
    divided by total instead, because that is cheaper: rows of K numbers, not of S.

    Dropout multiplies w, where it meets v, by m, which is 0 or 1 / (1 - p). So dv = (w ∘ m)ᵀ g and
    dw = m ∘ (g vᵀ); the mean is g · y as before.
    """
    # As views with the same leading axes: q (*lead, T, K), k and v (*lead, S, K).
    (q, k, v), lead = with_equal_lead(q, k, v)
    T, S, dtype = q.shape[-2], k.shape[-2], q.dtype
    scale = dtype.type(scale_of(q, rule))  # of this dtype, so that nothing becomes float64
    keep_factor = dtype.type(1 if dropout is None else keep_scale(dropout.p))  # 1 / (1 - p)
    cut = Cut(lead, T, S, dtype, rule.causal, rule.window)
    y = heads_last((*lead, T, v.shape[-1]), dtype)  # (B, T, H, K) in memory: heads merge for free
    # FlashAttention keeps one number, top + log(total). Beside a great top, log would lose digits.
    top = np.empty((*lead, T, 1), dtype)
    total = np.empty((*lead, T, 1), dtype)
    kept: dict[int, Kept] = {}

    # The arguments after the block are its parts of the arrays that are given to cut.each below.
    def forward_block(
        block: Block, q: Array, y: Array, top: Array, total: Array, k: Array, v: Array
    ) -> None:
        scores = cut.room_for_scores(block, q)  # (..., rows, keys)
        cap_derivative = scores_into(scores, q, k, scale, rule, block)
        exps, block_top, block_total = exp_in_place(scores)
        top[...] = block_top
        total[...] = block_total
        keep = None if dropout is None else dropout.keep(block)  # the same when asked again
        np.matmul(with_dropout(exps, keep, keep_factor), v, out=y)
        y /= total
        if cut.keeps_weights:
            kept[block.number] = Kept(exps, cap_derivative, keep)

    cut.each(forward_block, queries=[q, y, top, total], keys=[k, v])

    def backward(g: Array) -> tuple[Array, Array, Array]:
        dq = heads_last(q.shape, dtype)
        dk = heads_last(k.shape, dtype)
        dv = heads_last(v.shape, dtype)

        def backward_block(
            block: Block,
            q: Array,
            y: Array,
            top: Array,
            total: Array,
            g: Array,
            dq: Array,
            k: Array,
            v: Array,
            dk: Array,
            dv: Array,
        ) -> None:
            if cut.keeps_weights:
                exps, cap_derivative, keep = kept[block.number]
            else:
                exps = cut.room_for_scores(block, q)
                cap_derivative = scores_into(exps, q, k, scale, rule, block)
                exps -= top
                np.exp(exps, out=exps)
                keep = None if dropout is None else dropout.keep(block)

            g_over_total = g / total  # so that exps take the place of the weights
            dv += with_dropout(exps, keep, keep_factor).swapaxes(-1, -2) @ g_over_total
            dw = np.matmul(g_over_total, v.swapaxes(-1, -2), out=cut.room(block, q, slot=1))
            dw = with_dropout(dw, keep, keep_factor)
            mean = np.vecdot(g_over_total, y)[..., None]  # g · y of each row, (..., rows, 1)
            ds = np.subtract(dw, mean, out=dw)  # in the memory of dw, which is not needed any more
            ds *= exps
            if cap_derivative is not None:
                ds *= cap_derivative
            np.matmul(ds, k, out=dq)
            dq *= scale
            dk += ds.swapaxes(-1, -2) @ (q * scale)

        cut.each(backward_block, queries=[q, y, top, total, g, dq], keys=[k, v], sums=[dk, dv])
        return dq, dk, dv

    return y, backward


def with_dropout(x: Array, keep: Mask | None, factor: Any) -> Array:
    """``x`` with zeros where ``keep`` is False, and times ``factor`` elsewhere; None: ``x``."""
    return x if keep is None else x * np.multiply(keep, factor, dtype=x.dtype)


# --- its steps


def scale_of(q: Array, rule: Rule) -> float:
    """The factor of the products q kᵀ: 1/√K unless the rule says otherwise."""
    return 1 / math.sqrt(q.shape[-1]) if rule.scale is None else rule.scale


def scores_into(
    out: Array, q: Array, k: Array, scale: Any, rule: Rule, block: Block
) -> Array | None:
    """Write the scores of a block of query rows, with -inf where a query may not attend.

    z = scale · q kᵀ becomes z - slope · distance, or cap · tanh(z / cap) - slope · distance.

    Parameters
    ----------
    out : (..., rows, keys) array
        Where the scores are written.
    q, k : (..., rows, K) and (..., keys, K) arrays
        Of the block.
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


# --- for looking at


def attention_weights(
    q: NDArray[Any],
    k: NDArray[Any],
    mask: Mask | None = None,
    causal: bool = False,
    scale: float | None = None,
    *,
    key_mask: Mask | None = None,
    window: int | None = None,
    slopes: NDArray[Any] | None = None,
    cap: float | None = None,
) -> NDArray[Any]:
    """The weights softmax(scale · q kᵀ) themselves, shape (..., T, S).

    For looking at; :func:`attention` does not hold them for long sequences. Parameters as there.
    """
    scores_shape = check_shapes(q.shape, k.shape, k.shape)
    masks = check_masks(key_mask, mask, scores_shape)
    rule = Rule(masks, causal, scale, window, slopes, cap)
    keys = Tensor.wrap(k)
    queries, keys, _ = hide_unreachable(Tensor.wrap(q), keys, keys, rule)
    return weights_by(rule, queries.data, keys.data)


def weights_by(rule: Rule, q: NDArray[Any], k: NDArray[Any]) -> NDArray[Any]:
    """:func:`attention_weights` of arguments that are known to fit."""
    (q, k), lead = with_equal_lead(q, k)
    T, S = q.shape[-2], k.shape[-2]
    scale = q.dtype.type(scale_of(q, rule))
    scores: NDArray[Any] = np.empty((*lead, T, S), q.dtype)
    scores_into(scores, q, k, scale, rule, Block.whole(lead, T, S))
    exps, _, total = exp_in_place(scores)
    weights: NDArray[Any] = np.divide(exps, total, out=exps)
    return weights
