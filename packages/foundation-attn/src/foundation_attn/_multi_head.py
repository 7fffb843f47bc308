"""Multi-head attention: projections around :func:`foundation_attn.attention`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Array, Linear, Module, Parameter, Result, Tensor, init, operation
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_attn._attention import attend, check_dropout, hide_unreachable, weights
from foundation_attn._cache import KVCache
from foundation_attn._capture import active_maps
from foundation_attn._scores import Rule
from foundation_attn.masks import (
    Mask,
    check_key_mask,
    check_pattern,
    hide,
    reach,
    real_positions,
)

Positions: TypeAlias = NDArray[np.integer[Any]]
#: Turns (B, h, T, K) queries or keys by their positions, (T,) or (B, T).
Rotary: TypeAlias = Callable[[Tensor, Positions], Tensor]


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


class MultiHeadAttention(Module):
    """Attention of several heads, each on its own projection of the input [1]_.

    head_h = attention(X W_hᵠ, Y W_hᵏ, Y W_hᵛ);  the result is W_out · concat(heads).

    Parameter names and shapes are those of ``torch.nn.MultiheadAttention(batch_first=True)``,
    whose state dict loads as it is. Differences: in both masks True means "is real" or "may
    attend" (in PyTorch's it means the opposite), self-attention is asked for by leaving ``key``
    out, and the weights are not returned; see :func:`foundation_attn.capture_attention`.

    Parameters
    ----------
    d_model : int
        D.
    num_heads : int
        H, a divisor of D.
    num_kv_heads : int, optional
        Fewer heads for keys and values, each shared by a group of query heads [2]_.
    dropout : float
        Of the weights, within ``train_mode``.
    bias : bool
    rng : numpy.random.Generator, optional
    rotary : callable, optional
        ``rotary(x, positions)`` turns queries and keys (B, h, T, K), split into heads, by their
        positions, (T,) or (B, T) [3]_. Keys are cached as turned. For self-attention.
    slopes : (H,) array, optional
        ALiBi: scores fall by slope · distance, a constant for each head.
    window : int, optional
        Only to keys at a distance of less than this.
    cap : float, optional
        Scores s become cap · tanh(s / cap).

    Attributes
    ----------
    in_proj_weight : (D + 2 · K · num_kv_heads, D) Parameter
        Query, key and value projections, stacked; in_proj_bias likewise.
    out_proj : Linear

    Raises
    ------
    ValueError
        If the heads do not divide the width, or the key heads the query heads.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.2.
    .. [2] J. Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from
       Multi-Head Checkpoints", EMNLP 2023, arXiv:2305.13245.
    .. [3] J. Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
       arXiv:2104.09864.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        rotary: Rotary | None = None,
        slopes: NDArray[Any] | None = None,
        window: int | None = None,
        cap: float | None = None,
    ) -> None:
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if num_heads < 1 or d_model % num_heads:
            raise ValueError(
                f"MultiHeadAttention: num_heads={num_heads} does not divide d_model={d_model}"
            )
        if num_kv_heads < 1 or num_heads % num_kv_heads:
            raise ValueError(
                f"MultiHeadAttention: num_kv_heads={num_kv_heads} does not divide "
                f"num_heads={num_heads}"
            )
        check_dropout("MultiHeadAttention", dropout)
        if slopes is not None and np.shape(slopes) != (num_heads,):
            raise ValueError(
                f"MultiHeadAttention: expected slopes of shape (num_heads={num_heads},), got "
                f"{np.shape(slopes)}"
            )
        Rule(window=window, cap=cap)  # refuses what is not positive
        rng = init.generator(rng)
        self.d_model = d_model
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.dropout = dropout
        self.rotary = rotary
        self.slopes = None if slopes is None else np.asarray(slopes)
        self.window = window
        self.cap = cap
        width = d_model + 2 * (d_model // num_heads) * num_kv_heads
        self.in_proj_weight = Parameter(init.xavier_uniform(rng, (width, d_model)))
        self.in_proj_bias = Parameter(np.zeros(width, np.float32)) if bias else None
        self.out_proj = Linear(d_model, d_model, bias, rng=rng)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data = np.zeros(d_model, np.float32)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        causal: bool = False,
        cache: KVCache | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """Attend.

        In self-attention a position is padding if ``key_mask`` says so, or if it neither attends
        to a real position nor does one attend to it. Its query, key and value are hidden, so that
        it may hold NaN. One that only looks, at which nobody looks, is no padding.

        Parameters
        ----------
        query : (B, T, D) tensor
        key : (B, S, D) tensor, optional
            Left out, this is self-attention: the keys are those of the query. Given, it is
            cross-attention, in which every query is real.
        value : (B, S, D) tensor, optional
            By default the key.
        key_mask : (B, S) bool array, optional
            Padding: True where a key is real; beside a cache, for all positions so far.
        mask : (B, T, S) or (B, H, T, S) bool array, optional
            A pattern: True where a query may attend to a key. Axes of length 1 broadcast.
        causal : bool
            Query t sees no key after itself.
        cache : KVCache, optional
            In self-attention, the keys before the query, to which the query's are added. In
            cross-attention, filled by the first call, after which the same ``key`` is expected but
            not projected again. Not differentiable: for use under ``no_grad``. Beside a cache
            ``key_mask`` alone tells what is padding: a later query may look at what no query has
            looked at yet.
        positions : (T,) or (B, T) integer array, optional
            What ``rotary`` turns by, where it is not the place in the row, counted on beside a
            cache: several texts packed into a row, or prompts of unequal length, which are
            padded on the left so that all end together. Differences of places are right in both
            cases, and all that causality, window and slopes look at.

        Returns
        -------
        (B, T, D) tensor
            A query that may attend to nothing, and padding, gets the bias of ``out_proj``: its
            heads are zero.

        Raises
        ------
        TypeError
            If a mask is not boolean.
        ValueError
            If shapes do not fit, the cache is full or belongs to another batch or to other keys,
            or a cache is used where gradients are recorded.
        """
        of_itself = key is None
        key = query if key is None else key
        value = key if value is None else value
        self._check(query, key, value)
        self._check_rotary(query, of_itself, positions)
        source = (key.data, value.data)
        earlier = cache.length if cache is not None and of_itself else 0
        (B, T, _), S = query.shape, key.shape[1] + earlier
        check_key_mask(key_mask, (B, S))
        mask = check_pattern(mask, B, self.num_heads, T, S)
        rule = Rule(key_mask, mask, causal, None, self.window, self.slopes, self.cap)

        real: Mask | None = None
        if of_itself:
            held = None if cache is None else cache.length
            real = real_positions((B, T), key_mask, mask, causal, self.window, held)
            same = value is query
            query = key = hide(query, real)
            value = query if same else hide(value, real)
        else:
            query, key, value = self._hide(query, key, value, rule, cache)

        if cache is not None and cache.length and not of_itself:
            q = self._split(query, slice(0, self.d_model), self.num_heads)[0]
            _refuse_gradients(q)
            cache.check_source(source, key_mask)
            k, v = map(Tensor.wrap, cache.view())
        else:
            q, k, v = self._project(query, key, value)
            if self.rotary is not None:
                at = np.arange(earlier, earlier + q.shape[2]) if positions is None else positions
                q, k = self.rotary(q, at), self.rotary(k, at)
            if cache is not None:
                _refuse_gradients(q, k, v)
                k, v = map(Tensor.wrap, cache.append(k.data, v.data))
                if not of_itself:
                    cache.source = source
        if self.num_kv_heads < self.num_heads:
            q, k, v = self._group(q), self._group(k), self._group(v)
            rule = self._group_rule(rule)
        if cache is not None and mask is not None:
            q, k, v = hide_unreachable(q, k, v, rule)

        maps = active_maps()
        if maps is not None:
            p = weights(q.data, k.data, rule)
            p = p.reshape(-1, self.num_heads, *p.shape[-2:])
            if real is not None:
                p *= real[:, None, :, None]
            maps.record(self, "self" if of_itself else "cross", p)

        heads = attend(q, k, v, rule, self.dropout)
        if heads.ndim == 5:
            heads = heads.reshape(heads.shape[0], self.num_heads, *heads.shape[3:])
        merged = hide(merge_heads(heads), real)  # padding does not attend, either
        return self.out_proj(merged)  # type: ignore[no-any-return]

    def _hide(
        self, query: Tensor, key: Tensor, value: Tensor, rule: Rule, cache: KVCache | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """In cross-attention: zeros in place of queries that see nothing and keys nobody sees."""
        T, S, masks = query.shape[1], key.shape[1], rule.masks(4)
        if rule.reaches_everything(masks, T, S):
            return query, key, value
        attends, seen = reach(masks, T, S, rule.causal, rule.window)  # (B, H, T), (B, H, S)
        if masks:
            attends = np.asarray(attends.any(axis=1))
            seen = np.asarray(seen.any(axis=1))
        query = hide(query, attends)
        if cache is not None and cache.length:
            return query, key, value  # projected before
        real = seen if cache is None else rule.key_mask  # a later query may see more
        hidden_key = hide(key, real)
        return query, hidden_key, hidden_key if value is key else hide(value, real)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, K), keys and values (B, num_kv_heads, S, K)."""
        H, G, D, width = self.num_heads, self.num_kv_heads, self.d_model, len(self.in_proj_weight)
        if query is key is value:  # one product for all three
            q, k, v = self._split(query, slice(0, width), H, G, G)
        elif key is value:
            (q,) = self._split(query, slice(0, D), H)
            k, v = self._split(key, slice(D, width), G, G)
        else:
            middle = (D + width) // 2
            (q,) = self._split(query, slice(0, D), H)
            (k,) = self._split(key, slice(D, middle), G)
            (v,) = self._split(value, slice(middle, width), G)
        return q, k, v

    def _split(self, x: Tensor, rows: slice, *heads: int) -> tuple[Tensor, ...]:
        """``x`` projected by these rows of the weight, in heads."""
        W: Tensor = self.in_proj_weight
        b: Tensor | None = self.in_proj_bias
        if rows != slice(0, len(W)):
            W, b = W[rows], None if b is None else b[rows]
        return split_heads(F.linear(x, W, b), heads)

    def _group(self, x: Tensor) -> Tensor:
        """(B, heads, T, K) to (B, num_kv_heads, heads per group, T, K)."""
        B, heads, T, K = x.shape
        return x.reshape(B, self.num_kv_heads, heads // self.num_kv_heads, T, K)

    def _group_rule(self, rule: Rule) -> Rule:
        """The rule for heads in groups: H becomes (num_kv_heads, heads per group)."""
        G, mask, slopes = self.num_kv_heads, rule.mask, rule.slopes
        if mask is not None:
            B, heads, T, S = mask.shape
            mask = mask[:, :, None] if heads == 1 else mask.reshape(B, G, -1, T, S)
        if slopes is not None:
            slopes = slopes.reshape(G, -1)
        return replace(rule, mask=mask, slopes=slopes)

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        D, inputs = self.d_model, (("query", query, "T"), ("key", key, "S"), ("value", value, "S"))
        for name, x, letter in inputs[:1] if query is key is value else inputs:
            if x.ndim != 3 or x.shape[-1] != D or x.shape[0] != query.shape[0]:
                raise ValueError(
                    f"expected {name} of shape (B={query.shape[0]}, {letter}, D={D}), got {x.shape}"
                )
        if key.shape != value.shape:
            raise ValueError(
                f"expected a value for each key, got shapes {key.shape} and {value.shape}"
            )

    def _check_rotary(self, query: Tensor, of_itself: bool, positions: Positions | None) -> None:
        if self.rotary is None:
            if positions is not None:
                raise ValueError("positions: this layer was made without rotary, which needs them")
            return
        if not of_itself:
            raise ValueError(
                "rotary: expected self-attention, got a key of its own; positions in two texts "
                "cannot be compared"
            )
        if positions is None:
            return
        B, T, _ = query.shape
        if positions.dtype.kind not in "iu":
            raise TypeError(f"positions: expected integers, got {positions.dtype}")
        if positions.shape not in ((T,), (B, T)):
            raise ValueError(
                f"positions: expected shape (T={T},) or (B={B}, T), got {positions.shape}"
            )


def _refuse_gradients(*tensors: Tensor) -> None:
    if any(x.requires_grad for x in tensors):
        raise ValueError(
            "cache: keys and values in a cache have no gradients, so that a model trained with one "
            "would learn wrongly; call it within no_grad(), or leave the cache out"
        )
