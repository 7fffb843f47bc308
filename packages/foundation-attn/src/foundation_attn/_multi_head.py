"""Multi-head attention: projections around :func:`foundation_attn.attention`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Linear, Module, Parameter, Tensor, init, whole_number
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_attn._attention import attend, check_dropout, hide_unreachable, weights
from foundation_attn._cache import KVCache
from foundation_attn._capture import active_maps
from foundation_attn._heads import merge_heads, split_heads
from foundation_attn._rule import Rule, padding_pattern
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
        kind = "MultiHeadAttention"
        d_model = whole_number(kind, "d_model", d_model, at_least=1)
        num_heads = whole_number(kind, "num_heads", num_heads, at_least=1)
        num_kv_heads = whole_number(kind, "num_kv_heads", num_kv_heads, at_least=1)
        if d_model % num_heads:
            raise ValueError(
                f"MultiHeadAttention: num_heads={num_heads} does not divide d_model={d_model}"
            )
        if num_heads % num_kv_heads:
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
        self._check(query, key, value)
        if key is None:
            self._check_positions(query, positions)
            y = self._self_attention(query, value, key_mask, mask, causal, cache, positions)
        else:
            self._check_no_rotary(positions)
            y = self._cross_attention(query, key, value, key_mask, mask, causal, cache)
        return self.out_proj(y)  # type: ignore[no-any-return]

    # --- the two kinds of attention, each from (B, T, D) to the heads side by side, (B, T, D)

    def _self_attention(
        self,
        x: Tensor,
        value: Tensor | None,
        key_mask: Mask | None,
        mask: Mask | None,
        causal: bool,
        cache: KVCache | None,
        positions: Positions | None,
    ) -> Tensor:
        B, T, _ = x.shape
        earlier = 0 if cache is None else cache.length
        rule = self._rule(key_mask, mask, causal, B, T, earlier + T)
        real = real_positions(
            (B, T), key_mask, mask, causal, self.window, None if cache is None else earlier
        )
        x = hide(x, real)
        if value is None:
            q, k, v = self.project(x, "qkv")
        else:
            q, k = self.project(x, "qk")
            (v,) = self.project(hide(value, real), "v")
        if self.rotary is not None:
            places = np.arange(earlier, earlier + T) if positions is None else positions
            q, k = self.rotary(q, places), self.rotary(k, places)
        if cache is not None:
            _refuse_gradients(q, k, v)
            k, v = map(Tensor.wrap, cache.append(k.data, v.data))
        unclean = cache is not None and mask is not None
        if unclean and real is not None:  # what padding alone would see is hidden, too
            rule = replace(rule, masks=(*rule.masks, real[:, None, :, None]))
        return self._attend("self", q, k, v, rule, real, unclean)

    def _cross_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor | None,
        key_mask: Mask | None,
        mask: Mask | None,
        causal: bool,
        cache: KVCache | None,
    ) -> Tensor:
        B, T, _ = query.shape
        S = key.shape[1]
        source = (key.data, key.data if value is None else value.data)
        rule = self._rule(key_mask, mask, causal, B, T, S)
        attends: Mask | None
        if cache is None:
            attends, seen = self._reach(rule, T, S)
        else:
            # A later query may see more than these do: key_mask alone tells what is padding.
            attends = None if key_mask is None else np.any(key_mask, axis=1, keepdims=True)
            seen = key_mask
        (q,) = self.project(hide(query, attends), "q")
        if cache is not None and cache.length:
            _refuse_gradients(q)
            cache.check_source(source, key_mask)
            k, v = map(Tensor.wrap, cache.view())
        else:
            if value is None:
                k, v = self.project(hide(key, seen), "kv")
            else:
                (k,) = self.project(hide(key, seen), "k")
                (v,) = self.project(hide(value, seen), "v")
            if cache is not None:
                _refuse_gradients(q, k, v)
                k, v = map(Tensor.wrap, cache.append(k.data, v.data))
                cache.source = source
        unclean = cache is not None and mask is not None
        return self._attend("cross", q, k, v, rule, unclean=unclean)

    def _attend(
        self,
        kind: str,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        rule: Rule,
        real: Mask | None = None,
        unclean: bool = False,
    ) -> Tensor:
        """The heads of queries (B, H, T, K), keys and values (B, num_kv_heads, S, K), merged.

        ``real`` (B, T) says which queries are no padding; the others get zeros. ``unclean`` says
        that keys may be NaN where the pattern hides them: in a cache they are as they came.
        """
        grouped = self.num_kv_heads < self.num_heads
        if grouped:
            q, k, v = self._in_groups(q), self._in_groups(k), self._in_groups(v)
            rule = self._rule_of_groups(rule)
        if unclean:
            q, k, v = hide_unreachable(q, k, v, rule)
        maps = active_maps()
        if maps is not None:
            p = weights(q.data, k.data, rule)
            p = p.reshape(-1, self.num_heads, *p.shape[-2:])
            maps.record(self, kind, p if real is None else p * real[:, None, :, None])
        heads = attend(q, k, v, rule, self.dropout)
        if grouped:
            B, _, _, T, K = heads.shape
            heads = heads.reshape(B, self.num_heads, T, K)
        return hide(merge_heads(heads), real)  # padding does not attend, either

    # --- what they are made of

    def project(self, x: Tensor, letters: str) -> tuple[Tensor, ...]:
        """``x`` (B, T, D) as queries, keys and values in heads, (B, h, T, K) each.

        ``letters`` names them, such as "q" or "kv": neighbours, so that one product makes all. A
        subclass whose weights are of another kind replaces this method.
        """
        D, H, G = self.d_model, self.num_heads, self.num_kv_heads
        shared = G * (D // H)
        first_row = {"q": 0, "k": D, "v": D + shared}[letters[0]]
        rows = sum(D if letter == "q" else shared for letter in letters)
        heads = tuple([H if letter == "q" else G for letter in letters])
        W: Tensor = self.in_proj_weight
        b: Tensor | None = self.in_proj_bias
        if rows < len(W):
            chosen = slice(first_row, first_row + rows)
            W, b = W[chosen], None if b is None else b[chosen]
        return split_heads(F.linear(x, W, b), heads)

    def _rule(
        self, key_mask: Mask | None, mask: Mask | None, causal: bool, B: int, T: int, S: int
    ) -> Rule:
        """Masks of four axes, (B, H, T, S) or of length 1, and the options of the layer."""
        check_key_mask(key_mask, (B, S))
        pattern = check_pattern(mask, B, self.num_heads, T, S)
        padding = None if key_mask is None else padding_pattern(key_mask, 4)
        masks = tuple(m for m in (pattern, padding) if m is not None)
        return Rule(masks, causal, None, self.window, self.slopes, self.cap)

    def _reach(self, rule: Rule, T: int, S: int) -> tuple[Mask | None, Mask | None]:
        """Which queries see a key (B, T), which keys are seen (B, S), in any head; None: all."""
        if rule.reaches_everything(T, S):
            return None, None
        attends, seen = reach(rule.masks, T, S, rule.causal, rule.window)
        if rule.masks:  # (B, H, T) and (B, H, S)
            return np.asarray(attends.any(axis=1)), np.asarray(seen.any(axis=1))
        return attends, seen

    def _in_groups(self, x: Tensor) -> Tensor:
        """(B, heads, T, K) to (B, num_kv_heads, heads per group, T, K)."""
        B, heads, T, K = x.shape
        return x.reshape(B, self.num_kv_heads, heads // self.num_kv_heads, T, K)

    def _rule_of_groups(self, rule: Rule) -> Rule:
        """The rule for heads in groups: H becomes (num_kv_heads, heads per group)."""
        G = self.num_kv_heads
        masks = []
        for mask in rule.masks:
            B, heads, T, S = mask.shape
            masks.append(mask[:, :, None] if heads == 1 else mask.reshape(B, G, -1, T, S))
        slopes = None if rule.slopes is None else rule.slopes.reshape(G, -1)
        return replace(rule, masks=tuple(masks), slopes=slopes)

    # --- refusals

    def _check(self, query: Tensor, key: Tensor | None, value: Tensor | None) -> None:
        B, D = query.shape[0] if query.ndim else 0, self.d_model
        for name, x, letter in (("query", query, "T"), ("key", key, "S"), ("value", value, "S")):
            if x is not None and (x.ndim != 3 or x.shape[0] != B or x.shape[-1] != D):
                raise ValueError(
                    f"expected {name} of shape (B={B}, {letter}, D={D}), got {x.shape}"
                )
        keys = query if key is None else key
        if value is not None and value.shape != keys.shape:
            raise ValueError(
                f"expected a value for each key, got shapes {keys.shape} and {value.shape}"
            )

    def _check_no_rotary(self, positions: Positions | None) -> None:
        if self.rotary is not None:
            raise ValueError(
                "rotary: expected self-attention, for which key is left out; positions in two "
                "texts cannot be compared"
            )
        if positions is not None:
            raise ValueError("positions: in cross-attention nothing needs them; leave them out")

    def _check_positions(self, query: Tensor, positions: Positions | None) -> None:
        if positions is None:
            return
        if self.rotary is None:
            raise ValueError("positions: this layer was made without rotary, which needs them")
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
