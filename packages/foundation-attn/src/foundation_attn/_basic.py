"""Basic attention: one score for each pair of query and key, then a softmax and a mean.

Three ways to score, as they were proposed; the rest is the same for all of them:

    score     s_ts   how well the key at s answers the query at t
    weights   p_t  = softmax over s of s_ts
    context   y_t  = Σ_s p_ts value_s
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Array, Result, Tensor, operation
from foundation_nn import functional as F

from foundation_attn.masks import Mask, allowed_by, check_key_mask, check_mask, hide, reach

#: From queries (B, T, ...) and keys (B, S, ...) to scores (B, T, S).
Score: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def dot_score(query: Tensor, key: Tensor) -> Tensor:
    """s_ts = q_t · k_s, for (B, T, D) queries and (B, S, D) keys [1]_.

    Raises
    ------
    ValueError
        If queries and keys differ in width or batch.

    References
    ----------
    .. [1] T. Luong, H. Pham and C. D. Manning, "Effective Approaches to Attention-based Neural
       Machine Translation", EMNLP 2015, arXiv:1508.04025, eq. 8.
    """
    _check("dot_score", query.shape, key.shape, "D", query.shape[-1])
    return query @ key.swapaxes(-1, -2)


def general_score(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """s_ts = q_t · W k_s, for (B, T, D) queries, (B, S, M) keys and a (D, M) weight.

    Luong's "general" score: queries and keys may differ in width. References as
    :func:`dot_score`.
    """
    _check("general_score", query.shape, key.shape, "M", weight.shape[1])
    if query.shape[-1] != weight.shape[0]:
        raise ValueError(
            f"general_score: expected a weight of shape (D={query.shape[-1]}, "
            f"M={key.shape[-1]}), got {weight.shape}"
        )
    return dot_score(query, F.linear(key, weight))


def additive_score(query: Tensor, key: Tensor, w_query: Tensor, w_key: Tensor, v: Tensor) -> Tensor:
    """s_ts = v · tanh(W_q q_t + W_k k_s) [1]_.

    Parameters
    ----------
    query : (B, T, D) tensor
    key : (B, S, M) tensor
    w_query : (A, D) tensor
    w_key : (A, M) tensor
    v : (A,) tensor

    Returns
    -------
    (B, T, S) tensor

    References
    ----------
    .. [1] D. Bahdanau, K. Cho and Y. Bengio, "Neural Machine Translation by Jointly Learning to
       Align and Translate", ICLR 2015, arXiv:1409.0473, appendix A.1.2.
    """
    _check("additive_score", query.shape, key.shape, "M", w_key.shape[1])
    return tanh_sum(F.linear(query, w_query), F.linear(key, w_key), v)


@operation
def tanh_sum(a: Array, b: Array, v: Array) -> Result:
    """s_ts = Σ_i v_i tanh(a_ti + b_si), for (B, T, A), (B, S, A) and (A,).

    With z the tanh: dz_tsi = g_ts v_i (1 - z²), da = Σ_s dz, db = Σ_t dz, dv = Σ_ts g_ts z_ts.

    Examples
    --------
    One pair at a time:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a, b, v = rng.standard_normal((1, 2, 5)), rng.standard_normal((1, 3, 5)), np.ones(5)
    >>> pairs = [[v @ np.tanh(a[0, t] + b[0, s]) for s in range(3)] for t in range(2)]
    >>> np.allclose(tanh_sum(a, b, v).data[0], pairs)
    True
    """
    z = np.tanh(a[:, :, None] + b[:, None])  # (B, T, S, A)

    def backward(g: Array) -> tuple[Array, Array, Array]:
        def dv() -> Array:
            return np.einsum("bts,btsi->i", g, z)

        dz = (1 - z * z) * (g[..., None] * v)
        return dz.sum(axis=2), dz.sum(axis=1), dv

    return z @ v, backward


def masked_softmax(scores: Tensor, mask: Mask | None = None) -> Tensor:
    """p = softmax(s) over the last axis, among the places where ``mask`` is True.

    A row without such a place is zero. The mask has as many axes as the scores; axes of length 1
    broadcast.

    Raises
    ------
    TypeError
        If the mask is not boolean.
    ValueError
        If it does not fit the scores.

    Examples
    --------
    >>> scores = Tensor([[0.0, 1.0986, 50.0], [1.0, 2.0, 3.0]])  # 0 and log 3
    >>> mask = np.array([[True, True, False], [False, False, False]])
    >>> masked_softmax(scores, mask).data.round(2)
    array([[0.25, 0.75, 0.  ],
           [0.  , 0.  , 0.  ]], dtype=float32)
    """
    pattern = check_mask(mask, scores.shape, "masked_softmax", beside_key_mask=False)
    return _masked_softmax(scores, pattern)


@operation
def _masked_softmax(scores: Array, mask: Mask | None) -> Result:
    """With p the softmax: ds = p (g - Σ g p)."""
    s = scores if mask is None else np.where(mask, scores, scores.dtype.type(-np.inf))
    top = s.max(axis=-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(np.isneginf(top), 0, top))
    total = p.sum(axis=-1, keepdims=True)
    p /= np.where(total == 0, 1, total)

    def backward(g: Array) -> Array:
        ds = g * p
        ds -= p * ds.sum(axis=-1, keepdims=True)
        return ds

    return p, backward


def score_attention(
    score: Score,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_mask: Mask | None = None,
    mask: Mask | None = None,
) -> tuple[Tensor, Tensor]:
    """Weigh values by any score.

    Parameters
    ----------
    score : callable
        From queries and keys to (B, T, S), such as :func:`dot_score`, or
        ``lambda q, k: general_score(q, k, weight)``.
    query : (B, T, D) tensor
    key : (B, S, M) tensor
    value : (B, S, N) tensor
    key_mask : (B, S) bool array, optional
        Padding: True where a key is real.
    mask : (B, T, S) bool array, optional
        A pattern: True where a query may attend to a key; axes of length 1 broadcast. What no
        query may attend to may hold NaN, and so may a query that may attend to nothing.

    Returns
    -------
    context : (B, T, N) tensor
    weights : (B, T, S) tensor

    Raises
    ------
    TypeError
        If a mask is not boolean.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> query, key = Tensor([[[1.0]]]), Tensor([[[0.0], [1.0986]]])  # scores 0 and log 3
    >>> context, weights = score_attention(dot_score, query, key, Tensor([[[1.0], [5.0]]]))
    >>> weights.data.round(2), context.data.round(2)
    (array([[[0.25, 0.75]]], dtype=float32), array([[[4.]]], dtype=float32))
    """
    if value.shape[:-1] != key.shape[:-1]:
        raise ValueError(f"expected a value for each key, got shapes {key.shape} and {value.shape}")
    B, T, S = query.shape[0], query.shape[1], key.shape[1]
    check_key_mask(key_mask, (B, S))
    pattern = check_mask(mask, (B, T, S), "score_attention")
    padding = None if key_mask is None else key_mask[:, None]  # (B, 1, S)
    masks = [m for m in (pattern, padding) if m is not None]
    if masks:
        attends, seen = reach(masks, T, S)
        query, key, value = hide(query, attends), hide(key, seen), hide(value, seen)
    weights = masked_softmax(score(query, key), allowed_by(masks))
    return weights @ value, weights


def _check(
    name: str, query: tuple[int, ...], key: tuple[int, ...], letter: str, width: Any
) -> None:
    if len(query) != 3 or len(key) != 3 or key[-1] != width or query[0] != key[0]:
        raise ValueError(
            f"{name}: expected a query of shape (B, T, D) and a key of shape "
            f"(B, S, {letter}={width}), got {query} and {key}"
        )
