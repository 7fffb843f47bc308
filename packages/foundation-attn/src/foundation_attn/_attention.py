"""Scaled dot-product attention, with its backward.

Shapes: ``B`` batch, ``H`` heads, ``T`` queries, ``S`` keys, ``K`` head width.

The scores are computed for a block of query rows against the keys these rows may see; what lies
above the diagonal, under ``causal``, or outside the ``window`` is never touched. Few weights are
kept for the backward. Of many, only the greatest score and the sum of each row are, and they are
computed again, so that no (T, S) matrix is held for a long sequence. Threads share the heads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from foundation_nn import Array, Result, Tensor, current_generator, operation, over_parts, scratch
from foundation_nn import functional as F
from foundation_nn.functional import random_keep
from numpy.typing import NDArray

from foundation_attn._parts import Part, parts
from foundation_attn._scores import Rule, Scores, softmax
from foundation_attn.masks import (
    Block,
    Mask,
    blocks,
    check_key_mask,
    check_mask,
    hide_unseen,
    reach,
)

#: Query rows of a block: with fewer, products are slower; with more, more of a causal block is
#: computed in vain.
BLOCK_ROWS = 128
#: Heads are taken together until their blocks of scores are about this large.
BLOCK_BYTES = 1 << 20
#: The weights of a head that are no larger than this are kept for the backward.
KEPT_BYTES = 1 << 19
#: Less than this, such as the one query of a cached step, is done before a thread has woken up.
THREAD_BYTES = 1 << 18


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

    With P the weights and D = Σ_k G ∘ Y (one number per query):
    dV = Pᵀ G,  dS = P ∘ (G Vᵀ - D),  dQ = scale · dS K,  dK = scale · dSᵀ Q.

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
    >>> from foundation_nn import Tensor
    >>> q, k = Tensor([[0.0]]), Tensor([[0.0], [0.0]])  # equal scores: the mean of the values
    >>> attention(q, k, Tensor([[1.0], [3.0]])).data
    array([[2.]], dtype=float32)
    """
    check_shapes(q.shape, k.shape, v.shape)
    check_dropout("attention", dropout)
    rule = _checked_rule(q.shape, k.shape, key_mask, mask, causal, scale, window, slopes, cap)
    return attend(*hide_unreachable(q, k, v, rule), rule, dropout)


def _checked_rule(
    q: tuple[int, ...],
    k: tuple[int, ...],
    key_mask: Mask | None,
    mask: Mask | None,
    *options: Any,
) -> Rule:
    """The rule for queries and keys of these shapes; refuses masks that do not fit them."""
    lead = np.broadcast_shapes(q[:-2], k[:-2])
    check_key_mask(key_mask, (*lead[:1], k[-2]))
    return Rule(key_mask, check_mask(mask, (*lead, q[-2], k[-2]), "attention"), *options)


def hide_unreachable(q: Tensor, k: Tensor, v: Tensor, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Zeros in place of queries that may attend to nothing, and of keys that no query may see."""
    T, S = q.shape[-2], k.shape[-2]
    masks = rule.masks(max(q.ndim, k.ndim))
    if rule.reaches_everything(masks, T, S):
        return q, k, v
    attends, seen = reach(masks, T, S, rule.causal, rule.window)
    return hide_unseen(q, attends), hide_unseen(k, seen), hide_unseen(v, seen)


def check_dropout(name: str, p: float) -> None:
    """Refuse what :func:`foundation_nn.functional.dropout` would."""
    if not p >= 0 or round(p * 65536) >= 65536:
        raise ValueError(f"{name}: expected 0 <= dropout < 1 (by more than 1/131072), got {p}")


def attend(q: Tensor, k: Tensor, v: Tensor, rule: Rule, dropout: float = 0.0) -> Tensor:
    """:func:`attention` of arguments that are known to fit, with finite numbers everywhere."""
    rng = current_generator() if dropout else None
    keep = None
    if rng is not None:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        keep = random_keep(rng, (*lead, q.shape[-2], k.shape[-2]), dropout)
    return _attention(q, k, v, rule, keep, dropout)


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
    """The weights P = softmax(scale · Q Kᵀ) themselves, shape (..., T, S): the plain formula.

    For looking at; :func:`attention` does not hold them for long sequences. Parameters as there.
    """
    check_shapes(q.shape, k.shape, k.shape)
    rule = _checked_rule(q.shape, k.shape, key_mask, mask, causal, scale, window, slopes, cap)
    queries, keys, _ = hide_unreachable(Tensor.wrap(q), Tensor.wrap(k), Tensor.wrap(k), rule)
    return weights(queries.data, keys.data, rule)


def weights(q: NDArray[Any], k: NDArray[Any], rule: Rule) -> NDArray[Any]:
    """:func:`attention_weights` of arguments that are known to fit."""
    (q, k), lead = _with_lead(q, k)
    p: NDArray[Any] = np.empty((*lead, q.shape[-2], k.shape[-2]), q.dtype)
    everything = Block(slice(0, q.shape[-2]), slice(0, k.shape[-2]))
    Scores(q, k, rule, (slice(None),) * len(lead))(everything, p)
    total, _ = softmax(p)
    p /= total
    return p


@operation
def _attention(
    q: Array, k: Array, v: Array, rule: Rule, keep: Mask | None, dropout: float
) -> Result:
    (q, k, v), lead = _with_lead(q, k, v)
    (T, S), dtype = (q.shape[-2], k.shape[-2]), q.dtype
    todo = list(blocks(T, S, rule.causal, rule.window, BLOCK_ROWS))
    head, heads = T * S * dtype.itemsize, math.prod(lead)
    most = heads if heads * head < THREAD_BYTES else -(-heads // 2)
    shared = parts(lead, min(BLOCK_BYTES // max(1, head // len(todo)), most))
    small = head <= KEPT_BYTES
    kept: dict[tuple[int, int], tuple[Array, Array | None]] = {}
    y = _heads_last((*lead, T, v.shape[-1]), dtype)
    # The weights are exp(score - top) / total. The two numbers are kept apart: as one, top +
    # log(total), they would lose the digits by which great scores differ.
    tops, totals = (None if small else np.empty((*lead, T, 1), dtype) for _ in range(2))

    def mine(x: Array, part: Part) -> Array:
        """A part of ``x``; side by side in memory, where several blocks read it."""
        return np.ascontiguousarray(x[part]) if len(todo) > 1 else x[part]

    def dropped(p: Array, part: Part, block: Block) -> Array:
        if keep is None:
            return p
        inverse = dtype.type(F.keep_scale(dropout))
        return p * np.multiply(keep[(*part, *block)], inverse, dtype=dtype)

    def forward(n: int) -> None:
        part = shared[n]
        scores, v_part = Scores(q, mine(k, part), rule, part), mine(v, part)
        for block in todo:
            rows, keys = block
            shape = (*v_part.shape[:-2], rows.stop - rows.start, keys.stop - keys.start)
            p = np.empty(shape, dtype) if small else scratch(shape, dtype)
            slope = scores(block, p)
            total, top = softmax(p)
            if small:
                p /= total
                kept[n, rows.start] = p, slope
            y_rows = y[(*part, rows)]
            np.matmul(dropped(p, part, block), v_part[..., keys, :], out=y_rows)
            if tops is not None and totals is not None:
                y_rows /= total
                tops[(*part, rows)] = top
                totals[(*part, rows)] = total

    over_parts(forward, len(shared))

    def backward(g: Array) -> tuple[Array, Array, Array]:
        dq, dk, dv = (_heads_last(x.shape, dtype) for x in (q, k, v))

        def backward_part(n: int) -> None:
            part = shared[n]
            scores, v_part = Scores(q, mine(k, part), rule, part), mine(v, part)
            dk_part, dv_part = dk[part], dv[part]
            dk_part[...] = dv_part[...] = 0
            for block in todo:
                rows, keys = block
                shape = (*v_part.shape[:-2], rows.stop - rows.start, keys.stop - keys.start)
                g_rows = g[(*part, rows)]
                if tops is None or totals is None:
                    p, slope = kept[n, rows.start]
                else:
                    p = scratch(shape, dtype)
                    slope = scores(block, p)
                    p -= tops[(*part, rows)]
                    np.exp(p, out=p)
                    # Every product below has one of P and G: dividing the narrower is cheaper.
                    g_rows = g_rows / totals[(*part, rows)]
                dv_part[..., keys, :] += dropped(p, part, block).swapaxes(-1, -2) @ g_rows
                ds = scratch(shape, dtype, slot=1)
                np.matmul(g_rows, v_part[..., keys, :].swapaxes(-1, -2), out=ds)
                ds = dropped(ds, part, block)
                ds -= np.vecdot(g_rows, y[(*part, rows)])[..., None]
                ds *= p
                if slope is not None:
                    ds *= slope
                np.multiply(ds @ scores.k[..., keys, :], scores.scale, out=dq[(*part, rows)])
                dk_part[..., keys, :] += ds.swapaxes(-1, -2) @ scores.q[..., rows, :]
            dk_part *= scores.scale

        over_parts(backward_part, len(shared))
        return dq, dk, dv

    return y, backward


def _with_lead(*arrays: Array) -> tuple[list[Array], tuple[int, ...]]:
    """Views of the arrays with the same leading axes, and these."""
    leads = {x.shape[:-2] for x in arrays}
    if len(leads) == 1:
        return list(arrays), leads.pop()
    lead = np.broadcast_shapes(*leads)
    return [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in arrays], lead


def _heads_last(shape: tuple[int, ...], dtype: Any) -> Array:
    """An empty (..., H, T, K) array laid out as (..., T, H, K), so that merging heads is free."""
    if len(shape) < 3:
        return np.empty(shape, dtype)
    *lead, H, T, K = shape
    return np.empty((*lead, T, H, K), dtype).swapaxes(-2, -3)


def check_shapes(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> None:
    """Refuse queries, keys and values that do not belong together."""
    if len(q) < 2 or len(k) < 2 or q[-1] != k[-1] or q[-1] == 0:
        raise ValueError(
            f"attention: expected q of shape (..., T, K) and k of shape (..., S, K), got {q} "
            f"and {k}"
        )
    try:
        np.broadcast_shapes(q[:-2], k[:-2])
    except ValueError:
        raise ValueError(
            f"attention: expected q and k with the same batch and heads, got {q} and {k}"
        ) from None
    if v[:-1] != k[:-1]:
        raise ValueError(
            f"attention: expected v of shape {(*k[:-1], 'K')}, one value for each key, got {v}"
        )
