"""Scaled dot-product attention, with its backward.

Shapes: ``B`` batch, ``H`` heads, ``T`` queries, ``S`` keys, ``K`` head width.

The scores are computed for a block of query rows against the keys these rows may see; under
``causal``, what lies right of the block's diagonal is never touched. If one block suffices its
weights are kept for the backward. Otherwise only the logarithm of each row's sum is, and the
weights are computed again, so that no (T, S) matrix is held for a long sequence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from foundation_nn import Array, Result, Tensor, current_generator, operation
from foundation_nn import functional as F
from foundation_nn.functional import random_keep
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

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

    Returns
    -------
    (..., T, K) tensor

    Raises
    ------
    TypeError
        If the mask is not boolean.
    ValueError
        If shapes do not fit.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, eq. 1.
    .. [2] T. Dao et al., "FlashAttention: Fast and Memory-Efficient Exact Attention with
       IO-Awareness", NeurIPS 2022, arXiv:2205.14135.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> q, k = Tensor([[0.0]]), Tensor([[0.0], [0.0]])  # equal scores: the mean of the values
    >>> attention(q, k, Tensor([[1.0], [3.0]])).data
    array([[2.]], dtype=float32)
    """
    check_shapes(q.shape, k.shape, v.shape)
    mask = check_mask(mask, q.shape, k.shape)
    T, S = q.shape[-2], k.shape[-2]
    seen = mask
    if causal and (mask is not None or T > S):
        before = np.tri(T, S, S - T, dtype=bool)
        seen = before if mask is None else mask & before
    if seen is not None:
        k, v = _hide_unseen(k, seen), _hide_unseen(v, seen)
        # A query that may attend to nothing is to a key what an unseen key is to a query.
        q = _hide_unseen(q, seen.swapaxes(-1, -2)) if seen.shape[-2] > 1 else q
    # The mask as it was: `causal` needs no (T, S) matrix there.
    return attend(q, k, v, mask, causal, scale, dropout)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Mask | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """:func:`attention` of arguments that are known to fit, with finite numbers everywhere."""
    rng = current_generator() if dropout else None
    keep = None
    if rng is not None:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        keep = random_keep(rng, (*lead, q.shape[-2], k.shape[-2]), dropout)
    return _attention(q, k, v, mask, causal, scale, keep, dropout)


def attention_weights(
    q: NDArray[Any],
    k: NDArray[Any],
    mask: Mask | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> NDArray[Any]:
    """The weights P = softmax(scale · Q Kᵀ) themselves, shape (..., T, S): the plain formula.

    For looking at; :func:`attention` does not hold them for long sequences. Parameters as there.
    """
    check_shapes(q.shape, k.shape, k.shape)
    mask = check_mask(mask, q.shape, k.shape)
    if mask is not None:
        k = _hide_unseen(Tensor.wrap(k), mask).data
    scores = _Scores(q, k, mask, causal, scale)
    p, _ = _softmax(scores(slice(0, q.shape[-2]), k.shape[-2]))
    return np.asarray(p)


@operation
def _attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Mask | None,
    causal: bool,
    scale: float | None,
    keep: Mask | None,
    dropout: float,
) -> Result:
    scores = _Scores(q, k, mask, causal, scale)
    lead, T, S = np.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2]
    blocks = list(_blocks(T, S, causal, math.prod(lead) * q.itemsize))
    y = _heads_last(lead, T, v.shape[-1], q.dtype)
    log_sum = np.empty((*lead, T, 1), q.dtype)
    kept: dict[int, Array] = {}

    def dropped(p: Array, rows: slice, seen: int) -> Array:
        if keep is None:
            return p
        inverse = p.dtype.type(F.keep_scale(dropout))
        return p * np.multiply(keep[..., rows, :seen], inverse, dtype=p.dtype)

    for rows, seen in blocks:
        p, log_sum[..., rows, :] = _softmax(scores(rows, seen))
        np.matmul(dropped(p, rows, seen), v[..., :seen, :], out=y[..., rows, :])
        if len(blocks) == 1:
            kept[rows.start] = p

    def backward(g: Array) -> tuple[Array, Array, Array]:
        dq = np.empty_like(y, shape=(*lead, *q.shape[-2:]))
        dk = np.zeros((*lead, *k.shape[-2:]), k.dtype)
        dv = np.zeros((*lead, *v.shape[-2:]), v.dtype)
        d = np.einsum("...tk,...tk->...t", g, y)[..., None]
        for rows, seen in blocks:
            if rows.start in kept:
                p = kept[rows.start]
            else:
                p = scores(rows, seen)
                p -= log_sum[..., rows, :]
                np.exp(p, out=p)
            g_rows = g[..., rows, :]
            dv[..., :seen, :] += dropped(p, rows, seen).swapaxes(-1, -2) @ g_rows
            ds = dropped(g_rows @ v[..., :seen, :].swapaxes(-1, -2), rows, seen)
            ds -= d[..., rows, :]
            ds *= p
            ds *= scores.scale
            np.matmul(ds, k[..., :seen, :], out=dq[..., rows, :])
            dk[..., :seen, :] += ds.swapaxes(-1, -2) @ q[..., rows, :]
        return dq, dk, dv

    return y, backward


class _Scores:
    """scale · Q Kᵀ for blocks of query rows, with -inf where a query may not attend."""

    def __init__(
        self, q: Array, k: Array, mask: Mask | None, causal: bool, scale: float | None
    ) -> None:
        self.scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
        self.q, self.k = q, k
        self.offset = k.shape[-2] - q.shape[-2]
        self.causal = causal
        # Adding -inf is several times faster than a conditional copy.
        self.bias = None if mask is None else _bias(mask, q.dtype)

    def __call__(self, rows: slice, seen: int) -> Array:
        q = self.q[..., rows, :] * self.q.dtype.type(self.scale)
        s = q @ self.k[..., :seen, :].swapaxes(-1, -2)  # (..., rows, seen)
        if self.bias is not None:
            # A mask for all rows alike has one row.
            s += self.bias[..., rows if self.bias.shape[-2] > 1 else slice(None), :seen]
        if self.causal:
            last = np.arange(rows.start, rows.stop) + self.offset
            s += _bias(np.arange(seen) <= last[:, None], s.dtype)
        return s


def _softmax(s: Array) -> tuple[Array, Array]:
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


def _blocks(T: int, S: int, causal: bool, bytes_per_score: int) -> Iterator[tuple[slice, int]]:
    """Blocks of query rows, each with the number of keys that its last row may see."""
    step = max(16, BLOCK_BYTES // max(1, S * bytes_per_score))
    for start in range(0, max(T, 1), step):
        stop = min(start + step, T)
        yield slice(start, stop), min(S, max(0, stop + S - T)) if causal else S


def _heads_last(lead: tuple[int, ...], T: int, K: int, dtype: Any) -> Array:
    """An empty (..., H, T, K) array laid out as (..., T, H, K), so that merging heads is free."""
    if not lead:
        return np.empty((T, K), dtype)
    return np.empty((*lead[:-1], T, lead[-1], K), dtype).swapaxes(-2, -3)


def _bias(mask: Mask, dtype: Any) -> Array:
    return np.where(mask, dtype.type(0), dtype.type(-np.inf))


def _hide_unseen(x: Tensor, mask: Mask) -> Tensor:
    """``x`` with zeros in the rows of keys that no query may attend to: 0 · NaN is NaN."""
    seen = np.any(mask, axis=-2)  # (..., S)
    if seen.all():
        return x
    # Heads that share a key see it if one of them does: reduce to the axes of x.
    seen = np.any(seen, axis=tuple(range(seen.ndim - x.ndim + 1)))
    shared = zip(range(-seen.ndim, 0), x.shape[x.ndim - 1 - seen.ndim : -1], strict=True)
    seen = np.any(seen, axis=tuple(axis for axis, n in shared if n == 1), keepdims=True)
    return F.mask_rows(x, np.broadcast_to(seen, x.shape[:-1]))


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


def check_mask(mask: Mask | None, q: tuple[int, ...], k: tuple[int, ...]) -> Mask | None:
    """Refuse masks that are not boolean or do not broadcast to (..., T, S)."""
    if mask is None:
        return None
    require_bool(mask, "attention")
    full = (*np.broadcast_shapes(q[:-2], k[:-2]), q[-2], k[-2])
    try:
        fits = np.broadcast_shapes(mask.shape, full) == full
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"attention: expected a mask that broadcasts to {full}, got shape {mask.shape}; "
            "a padding mask of shape (B, S) is written mask[:, None, None, :]"
        )
    return mask if mask.ndim >= 2 else mask[None, :]


def require_bool(mask: Any, name: str) -> None:
    """Refuse a mask that is not a boolean array, and say how to make it one."""
    dtype = getattr(mask, "dtype", None)
    if dtype != np.bool_:
        given = type(mask).__name__ if dtype is None else f"dtype {dtype}"
        raise TypeError(
            f"{name}: expected a boolean mask in which True means 'may attend', got {given}; "
            "write mask = ids != pad_id, or mask == 1 for ones and zeros"
        )
