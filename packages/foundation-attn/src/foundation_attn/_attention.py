"""Scaled dot-product attention, with its backward.

    scores  = scale · Q Kᵀ           (T, S)   how well each key answers each query
    weights = softmax(scores)        (T, S)   over the keys that the query may attend to
    output  = weights · V            (T, K)   for each query, a mean of the values

``T`` are queries, ``S`` keys, ``K`` is the width of a head; ``...`` are any axes before them,
mostly ``B`` (batch) and ``H`` (heads).

Two things are done for speed and memory, and change no result. The scores are computed for a block
of query rows at a time, against the keys that these rows may see: what lies above the diagonal,
under ``causal``, or outside the ``window`` is never touched. And of many weights only the greatest
score and the sum of each row are kept for the backward, which computes the weights again, so that
no (T, S) matrix is held for a long sequence. ``_blocks`` decides how the work is cut.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from foundation_nn import Array, Result, Tensor, current_generator, operation
from foundation_nn.functional import keep_scale
from numpy.typing import NDArray

from foundation_attn._blocks import Block, Cut, Dropout
from foundation_attn._heads import heads_last, with_equal_lead
from foundation_attn._rule import Rule, check_masks, check_shapes
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
    """softmax(scale · Q Kᵀ) V, over the keys that each query may attend to [1]_, [2]_.

    Parameters
    ----------
    q : (..., T, K) tensor
    k : (..., S, K) tensor
    v : (..., S, K) tensor
    mask : (..., T, S) bool array, optional
        A pattern: True where a query may attend to a key. It has as many axes as the scores, so
        that nothing has to be guessed; axes of length 1 broadcast. PyTorch's boolean masks of
        ``scaled_dot_product_attention`` mean the same, those of ``nn.MultiheadAttention`` the
        opposite.
    causal : bool
        Query t may attend to keys s ≤ t + S - T: the queries are the last T positions, as they
        are beside a cache.
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
        A query that may attend to nothing gets zeros and zero gradients, and may hold NaN itself.
        A key that no query may attend to is never looked at: key and value may hold NaN.

    Raises
    ------
    TypeError
        If a mask is not boolean.
    ValueError
        If shapes do not fit, window or cap is not positive, or dropout is no probability below 1.

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
    The same in plain NumPy, with the whole (T, S) matrices:

    >>> import numpy as np
    >>> def plain_attention(q, k, v, allowed):
    ...     scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    ...     scores = np.where(allowed, scores, -np.inf)
    ...     weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    ...     weights /= weights.sum(axis=-1, keepdims=True)
    ...     return weights @ v
    >>> q, k, v = np.random.default_rng(0).standard_normal((3, 2, 4, 5, 8))  # (B, H, T, K) each
    >>> y = attention(Tensor(q), Tensor(k), Tensor(v), causal=True)
    >>> bool(np.allclose(y.data, plain_attention(q, k, v, allowed=np.tri(5, dtype=bool))))
    True
    """
    scores = check_shapes(q.shape, k.shape, v.shape)
    check_dropout("attention", dropout)
    masks = check_masks(key_mask, mask, scores)
    rule = Rule(masks, causal, scale, window, slopes, cap)
    q, k, v = hide_unreachable(q, k, v, rule)
    return attend(q, k, v, rule, dropout)


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
    """The weights softmax(scale · Q Kᵀ) themselves, shape (..., T, S).

    For looking at; :func:`attention` does not hold them for long sequences. Parameters as there.
    """
    masks = check_masks(key_mask, mask, check_shapes(q.shape, k.shape, k.shape))
    rule = Rule(masks, causal, scale, window, slopes, cap)
    keys = Tensor.wrap(k)
    queries, keys, _ = hide_unreachable(Tensor.wrap(q), keys, keys, rule)
    return weights(queries.data, keys.data, rule)


# --- the operation


@operation
def _attention(q: Array, k: Array, v: Array, rule: Rule, dropout: Dropout | None) -> Result:
    """The weights are E / total with E = exp(scores - top), where top is the greatest score of a
    row and total the sum of its exponentials.

    With G' = G / total, and D the sum of G' ∘ Y over each row:

        dV = Eᵀ G',   dS = E ∘ (G' Vᵀ - D),   dQ = scale · dS K,   dK = scale · dSᵀ Q

    Dropout multiplies E where it meets V, and so G' Vᵀ, by zeros and 1 / (1 - p).
    """
    (q, k, v), lead = with_equal_lead(q, k, v)
    T, S, dtype = q.shape[-2], k.shape[-2], q.dtype
    scale = dtype.type(scale_of(q, rule))
    cut = Cut(lead, T, S, dtype, rule.causal, rule.window)
    y = heads_last((*lead, T, v.shape[-1]), dtype)
    # As one number, top + log(total), they would lose the digits by which great scores differ.
    top = np.empty((*lead, T, 1), dtype)
    total = np.empty((*lead, T, 1), dtype)
    saved: dict[int, tuple[Array, Array | None, Mask | None]] = {}

    def dropped(x: Array, keep: Mask | None) -> Array:
        """``x`` without the weights that are dropped, the others made up for them."""
        if dropout is None or keep is None:
            return x
        return x * np.multiply(keep, dtype.type(keep_scale(dropout.p)), dtype=dtype)

    # In both functions q, k, v and the others are the views that belong to one block.
    def forward(block: Block, queries: list[Array], keys: list[Array], _: list[Array]) -> None:
        q, y, top, total = queries
        k, v = keys
        exps = cut.room_to_keep(block, q) if cut.keeps_weights else cut.room(block, q)
        cap_slope = scores_into(exps, q, k, scale, rule, block)
        top[...], total[...] = exp_in_place(exps)
        keep = None if dropout is None else dropout.keep(block)
        np.matmul(dropped(exps, keep), v, out=y)
        y /= total
        if cut.keeps_weights:
            saved[block.number] = exps, cap_slope, keep

    cut.each(forward, [q, y, top, total], [k, v])

    def backward(g: Array) -> tuple[Array, Array, Array]:
        dq, dk, dv = (heads_last(x.shape, dtype) for x in (q, k, v))

        def backward_block(
            block: Block, queries: list[Array], keys: list[Array], sums: list[Array]
        ) -> None:
            q, y, top, total, g, dq = queries
            k, v = keys
            dk, dv = sums
            if cut.keeps_weights:
                exps, cap_slope, keep = saved[block.number]
            else:
                exps = cut.room(block, q)
                cap_slope = scores_into(exps, q, k, scale, rule, block)
                exps -= top
                np.exp(exps, out=exps)
                keep = None if dropout is None else dropout.keep(block)
            g = g / total
            dv += dropped(exps, keep).swapaxes(-1, -2) @ g
            ds = np.matmul(g, v.swapaxes(-1, -2), out=cut.room(block, q, slot=1))
            ds = dropped(ds, keep)
            ds -= np.vecdot(g, y)[..., None]
            ds *= exps
            if cap_slope is not None:
                ds *= cap_slope
            np.matmul(ds, k, out=dq)
            dq *= scale
            dk += ds.swapaxes(-1, -2) @ (q * scale)

        cut.each(backward_block, [q, y, top, total, g, dq], [k, v], sums=[dk, dv])
        return dq, dk, dv

    return y, backward


def scale_of(q: Array, rule: Rule) -> float:
    """The factor of the products Q Kᵀ: 1/√K unless the rule says otherwise."""
    return 1 / math.sqrt(q.shape[-1]) if rule.scale is None else rule.scale


def scores_into(
    out: Array, q: Array, k: Array, scale: Any, rule: Rule, block: Block
) -> Array | None:
    """The scores of a block of query rows, with -inf where a query may not attend.

    z = scale · Q Kᵀ becomes z - slope · distance, or cap · tanh(z / cap) - slope · distance.

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
    out *= scale  # in the cache, and contiguous, which queries in heads are not
    cap_slope = None
    if rule.cap is not None:
        out *= dtype.type(1 / rule.cap)
        np.tanh(out, out=out)
        cap_slope = 1 - out * out
        out *= dtype.type(rule.cap)

    if rule.slopes is not None:
        keys = np.arange(block.keys.start, block.keys.stop)
        distance = np.abs(block.query_positions()[:, None] - keys).astype(dtype)
        slopes = block.of_heads(np.asarray(rule.slopes, dtype))
        out -= slopes[..., None, None] * distance

    allowed = allowed_by([block.of_mask(mask) for mask in rule.masks])
    if allowed is not None:
        out += minus_infinity(allowed, dtype)
    if rule.causal or rule.window is not None:
        start, stop = block.keys.start, block.keys.stop
        if rule.window is None:  # what the first row may see, all others may see, too
            start = min(max(start, block.rows.start + block.first + 1), stop)
        if start < stop:
            keys = np.arange(start, stop)
            near = band(block.query_positions(), keys, rule.causal, rule.window)
            out[..., start - block.keys.start :] += minus_infinity(near, dtype)
    return cap_slope


def minus_infinity(allowed: Mask, dtype: Any) -> Array:
    """0 where a pair is allowed and -inf elsewhere: adding is faster than a conditional copy."""
    return np.where(allowed, dtype.type(0), dtype.type(-np.inf))


def exp_in_place(scores: Array) -> tuple[Array, Array]:
    """exp(score - top) in place of the scores; also top, the greatest of each row, and the sum.

    Divided by the sum they are the softmax. In a row of nothing but -inf all are zero.
    """
    # Of -inf, the lowest finite number can be subtracted.
    top = scores.max(axis=-1, keepdims=True, initial=np.finfo(scores.dtype).min)
    scores -= top
    np.exp(scores, out=scores)
    total = (scores @ np.ones(scores.shape[-1], scores.dtype))[..., None]  # faster than .sum(-1)
    # Where there is a greatest number, its exponential is 1.
    return top, np.maximum(total, 1, out=total)


def weights(q: NDArray[Any], k: NDArray[Any], rule: Rule) -> NDArray[Any]:
    """:func:`attention_weights` of arguments that are known to fit."""
    (q, k), lead = with_equal_lead(q, k)
    T, S = q.shape[-2], k.shape[-2]
    scale = q.dtype.type(scale_of(q, rule))
    everything = Block(0, (slice(None),) * len(lead), slice(0, T), slice(0, S), lead, S - T)
    p: NDArray[Any] = np.empty((*lead, T, S), q.dtype)
    scores_into(p, q, k, scale, rule, everything)
    _, total = exp_in_place(p)
    p /= total
    return p


# --- before the operation


def attend(q: Tensor, k: Tensor, v: Tensor, rule: Rule, dropout: float = 0.0) -> Tensor:
    """:func:`attention` of arguments that are known to fit, with finite numbers everywhere."""
    rng = current_generator() if dropout else None
    drawn = None
    if rng is not None:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        drawn = Dropout(rng, dropout, (*lead, q.shape[-2], k.shape[-2]))
    return _attention(q, k, v, rule, drawn)


def hide_unreachable(q: Tensor, k: Tensor, v: Tensor, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Zeros in place of queries that may attend to nothing, and of keys that no query may see."""
    T, S = q.shape[-2], k.shape[-2]
    if rule.reaches_everything(T, S):
        return q, k, v
    attends, seen = reach(rule.masks, T, S, rule.causal, rule.window)
    return hide_unseen(q, attends), hide_unseen(k, seen), hide_unseen(v, seen)


def check_dropout(name: str, p: float) -> None:
    """Refuse what :func:`foundation_nn.functional.dropout` would."""
    if not p >= 0 or round(p * 65536) >= 65536:
        raise ValueError(f"{name}: expected 0 <= dropout < 1 (by more than 1/131072), got {p}")
