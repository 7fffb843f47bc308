"""Scaled dot-product attention, with its backward.

Shapes: ``B`` batch, ``H`` heads, ``T`` queries, ``S`` keys, ``K`` head width.

The scores are computed for a block of query rows against the keys these rows may see; what lies
above the diagonal, under ``causal``, or outside the ``window`` is never touched. If one block
suffices its weights are kept for the backward. Otherwise only the logarithm of each row's sum is,
and the weights are computed again, so that no (T, S) matrix is held for a long sequence.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from foundation_nn import Array, Result, Tensor, current_generator, operation
from foundation_nn import functional as F
from foundation_nn.functional import random_keep
from numpy.typing import NDArray

from foundation_attn._masks import Mask, band, check_mask, hide_unseen
from foundation_attn._scores import Bias, Block, Rule, Scores, blocks, softmax

#: A block of scores, over all batches and heads, is about this large.
BLOCK_BYTES = 1 << 22


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Mask | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    *,
    window: int | None = None,
    bias: Bias | None = None,
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
    mask : bool array, optional
        Broadcasts to (..., T, S); True means "may attend". A query that may attend to nothing
        yields zeros and zero gradients. A key that no query may attend to is never looked at:
        it may hold NaN. PyTorch's boolean masks of ``scaled_dot_product_attention`` mean the
        same, those of ``nn.MultiheadAttention`` the opposite.
    causal : bool
        Query t may attend to keys s ≤ t + S - T: the queries are the last T positions, as they
        are beside a cache.
    scale : float, optional
        1/√K by default.
    dropout : float
        Probability of zeroing a weight, within ``train_mode`` only.
    window : int, optional
        Only to keys at a distance of less than this many positions [3]_, itself included.
    bias : callable, optional
        ``bias(queries, keys)`` gives what is added to the scores of the queries at positions
        ``queries`` (T',) and the keys at ``keys`` (S',), broadcast to (..., T', S'); a constant,
        such as -slope · (distance) [4]_. Called for one block after the other.
    cap : float, optional
        Scores s become cap · tanh(s / cap), before the bias: none exceeds the cap [5]_.

    Returns
    -------
    (..., T, K) tensor

    Raises
    ------
    TypeError
        If the mask is not boolean.
    ValueError
        If shapes do not fit, or window or cap is not positive.

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
    rule = Rule(check_mask(mask, q.shape, k.shape), causal, scale, window, bias, cap)
    T, S = q.shape[-2], k.shape[-2]
    seen = rule.mask
    if (causal or window is not None) and (mask is not None or T != S):
        near = band(np.arange(S - T, S), np.arange(S), causal, window)
        seen = near if seen is None else seen & near
    if seen is not None:
        k, v = hide_unseen(k, seen), hide_unseen(v, seen)
        # A query that may attend to nothing is to a key what an unseen key is to a query.
        q = hide_unseen(q, seen.swapaxes(-1, -2)) if seen.shape[-2] > 1 else q
    # The mask as it was: distances need no (T, S) matrix there.
    return attend(q, k, v, rule, dropout)


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
    window: int | None = None,
    bias: Bias | None = None,
    cap: float | None = None,
) -> NDArray[Any]:
    """The weights P = softmax(scale · Q Kᵀ) themselves, shape (..., T, S): the plain formula.

    For looking at; :func:`attention` does not hold them for long sequences. Parameters as there.
    """
    check_shapes(q.shape, k.shape, k.shape)
    mask = check_mask(mask, q.shape, k.shape)
    if mask is not None:
        k = hide_unseen(Tensor.wrap(k), mask).data
    return weights(q, k, Rule(mask, causal, scale, window, bias, cap))


def weights(q: NDArray[Any], k: NDArray[Any], rule: Rule) -> NDArray[Any]:
    """:func:`attention_weights` of arguments that are known to fit."""
    s, _ = Scores(q, k, rule)(Block(slice(0, q.shape[-2]), slice(0, k.shape[-2])))
    return np.asarray(softmax(s)[0])


@operation
def _attention(
    q: Array, k: Array, v: Array, rule: Rule, keep: Mask | None, dropout: float
) -> Result:
    scores = Scores(q, k, rule)
    lead, T, S = np.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2]
    step = max(16, BLOCK_BYTES // max(1, S * math.prod(lead) * q.itemsize))
    todo = list(blocks(T, S, rule, step))
    y = _heads_last(lead, T, v.shape[-1], q.dtype)
    log_sum = np.empty((*lead, T, 1), q.dtype)
    kept: tuple[Array, Array | None] | None = None

    def dropped(p: Array, block: Block) -> Array:
        if keep is None:
            return p
        inverse = p.dtype.type(F.keep_scale(dropout))
        return p * np.multiply(keep[..., block.rows, block.keys], inverse, dtype=p.dtype)

    for block in todo:
        rows, keys = block
        s, slope = scores(block)
        p, log_sum[..., rows, :] = softmax(s)
        np.matmul(dropped(p, block), v[..., keys, :], out=y[..., rows, :])
        if len(todo) == 1:
            kept = p, slope

    def backward(g: Array) -> tuple[Array, Array, Array]:
        dq = np.empty_like(y, shape=(*lead, *q.shape[-2:]))
        dk = np.zeros((*lead, *k.shape[-2:]), k.dtype)
        dv = np.zeros((*lead, *v.shape[-2:]), v.dtype)
        d = np.einsum("...tk,...tk->...t", g, y)[..., None]
        for block in todo:
            rows, keys = block
            if kept is not None:
                p, slope = kept
            else:
                p, slope = scores(block)
                p -= log_sum[..., rows, :]
                np.exp(p, out=p)
            g_rows = g[..., rows, :]
            dv[..., keys, :] += dropped(p, block).swapaxes(-1, -2) @ g_rows
            ds = dropped(g_rows @ v[..., keys, :].swapaxes(-1, -2), block)
            ds -= d[..., rows, :]
            ds *= p
            ds *= scores.scale
            if slope is not None:
                ds *= slope
            np.matmul(ds, k[..., keys, :], out=dq[..., rows, :])
            dk[..., keys, :] += ds.swapaxes(-1, -2) @ q[..., rows, :]
        return dq, dk, dv

    return y, backward


def _heads_last(lead: tuple[int, ...], T: int, K: int, dtype: Any) -> Array:
    """An empty (..., H, T, K) array laid out as (..., T, H, K), so that merging heads is free."""
    if not lead:
        return np.empty((T, K), dtype)
    return np.empty((*lead[:-1], T, lead[-1], K), dtype).swapaxes(-2, -3)


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
