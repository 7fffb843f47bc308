"""Multi-head attention: several attentions side by side, each on its own view of the input.

Every position of a text asks all positions: its *query* is compared with the *key* of each, and it
fetches a mean of their *values*, weighted by how well the keys answer. Queries, keys and values are
linear functions of the input, of width D. They are cut into H heads of width K = D / H, each head
attends by itself, and a last linear layer mixes what the heads have found. One head can give a
position one mean of the values; several heads can look for different things at once, such as the
word before and the subject of the sentence.

In plain NumPy, for B texts of T positions; ``W_qkv`` (3D, D) holds the matrices of queries, keys
and values one above the other:

>>> import numpy as np
>>> def plain_multi_head(x, W_qkv, W_out, H):
...     B, T, D = x.shape
...     K = D // H
...     q, k, v = np.split(x @ W_qkv.T, 3, axis=-1)  # (B, T, D) each
...     q, k, v = [a.reshape(B, T, H, K).swapaxes(1, 2) for a in (q, k, v)]  # (B, H, T, K)
...     scores = q @ k.swapaxes(-1, -2) / np.sqrt(K)  # (B, H, T, T)
...     weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
...     weights /= weights.sum(axis=-1, keepdims=True)  # softmax: each row sums to 1
...     heads = weights @ v  # (B, H, T, K)
...     side_by_side = heads.swapaxes(1, 2).reshape(B, T, D)
...     return side_by_side @ W_out.T  # (B, T, D)

>>> from foundation_attn import MultiHeadAttention
>>> from foundation_nn import Tensor
>>> rng = np.random.default_rng(0)
>>> layer = MultiHeadAttention(8, num_heads=2, bias=False, rng=rng)
>>> x = rng.standard_normal((3, 5, 8), np.float32)
>>> expected = plain_multi_head(x, layer.in_proj_weight.data, layer.out_proj.weight.data, H=2)
>>> np.allclose(layer(Tensor(x)).data, expected, atol=1e-6)
True

``MultiHeadAttention.forward`` has the same four steps: project, attend, put side by side, mix. What
there is beyond them is in these places:

    _projections.py      the weights, and norms of queries and keys
    _head_sources.py     self- and cross-attention, with and without a cache: where queries, keys
                         and values come from, and what is padding
    _head_inputs.py      each head attends; several query heads may share a key head
    _rule.py, masks.py   who may attend to whom, and what is padding
    _cache.py            keys and values of earlier positions, which are computed once
"""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Tensor, init, number
from numpy.typing import NDArray

from foundation_attn._arguments import (
    Positions,
    Relative,
    Rotary,
    check_inputs,
    check_positions,
    check_slopes,
    refuse_positions,
)
from foundation_attn._cache import KVCache
from foundation_attn._capture import active_maps
from foundation_attn._head_sources import HeadSources, MaskArguments
from foundation_attn._heads import merge_heads
from foundation_attn._rule import check_dropout, check_window_and_cap
from foundation_attn.masks import Mask, hide


class MultiHeadAttention(HeadSources):
    """Attention of several heads, each on its own projection of the input [1]_.

    Queries are made of X, keys and values of Y; in self-attention, both are the same text::

        Q, K, V = X W_qᵀ, Y W_kᵀ, Y W_vᵀ            each is cut into heads of equal width
        head_h  = attention(Q_h, K_h, V_h)          for each head h = 1 ... H
        result  = concat(head_1, ..., head_H) W_outᵀ

    Parameters
    ----------
    d_model : int
        D, the width of the input and of the result.
    num_heads : int
        H, a divisor of D unless ``head_width`` is given.
    num_kv_heads : int, optional
        G, fewer heads for keys and values, each shared by a group of H / G query heads [2]_.
    dropout : float
        Of the weights, within ``train_mode``.
    bias : bool
        Whether the projections have one.
    rng : numpy.random.Generator, optional
        Draws the initial weights.
    rotary : callable, optional
        ``rotary(x, positions)`` turns queries and keys (B, heads, T, K) by their positions, (T,)
        or (B, T) [3]_. Keys are cached as turned. For self-attention.
    slopes : (H,) array, optional
        ALiBi: scores fall by slope · distance, a constant for each head.
    window : int, optional
        Only to keys at a distance of less than this.
    cap : float, optional
        Scores s become cap · tanh(s / cap) [4]_.
    relative : callable, optional
        ``relative(S)`` is a tensor (H, 2S - 1): what is added to the score of a query and a key, by
        their distance, see :func:`attention`. Layers may share one. For self-attention.
    head_width : int, optional
        K, the width of a head; D / H by default.
    qk_norm : {"head", "width"}, optional
        Queries and keys are divided by their root mean square and multiplied by learned factors,
        so that scores cannot grow without bound [5]_: in each head by itself, or over the whole
        width of all heads.
    norm_eps : float
        What these normalisations add to the mean square.
    scale : float, optional
        Scores are scale · q kᵀ; 1/√K by default.
    out_bias : bool, optional
        Whether ``out_proj`` has a bias, if that differs from ``bias``.

    Attributes
    ----------
    in_proj_weight : ((H + 2 · G) · K, D) Parameter
        The projections, one beneath the other: H · K rows for the queries, G · K for the keys,
        G · K for the values. in_proj_bias likewise.
    q_norm, k_norm : RMSNorm or None
    out_proj : Linear
        H · K to D.

    Raises
    ------
    ValueError
        If the heads do not divide the width, or the key heads the query heads.

    Notes
    -----
    Parameter names and shapes are those of ``torch.nn.MultiheadAttention(batch_first=True)``,
    whose state dict loads as it is. Differences: in both masks True means "is real" or "may
    attend" (in PyTorch's it means the opposite), self-attention is asked for by leaving ``key``
    out, and the weights are not returned; see :func:`foundation_attn.capture_attention`.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.2.
    .. [2] J. Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from
       Multi-Head Checkpoints", EMNLP 2023, arXiv:2305.13245.
    .. [3] J. Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
       arXiv:2104.09864.
    .. [4] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
       arXiv:2408.00118.
    .. [5] M. Dehghani et al., "Scaling Vision Transformers to 22 Billion Parameters", ICML 2023,
       arXiv:2302.05442.
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
        relative: Relative | None = None,
        head_width: int | None = None,
        qk_norm: str | None = None,
        norm_eps: float = 1e-6,
        scale: float | None = None,
        out_bias: bool | None = None,
    ) -> None:
        kind = "MultiHeadAttention"
        check_dropout(kind, dropout)
        check_window_and_cap(kind, window, cap)
        if scale is not None:
            number(kind, "scale", scale, more_than=0)
        super().__init__(
            d_model,
            num_heads,
            num_kv_heads=num_kv_heads,
            head_width=head_width,
            bias=bias,
            out_bias=out_bias,
            qk_norm=qk_norm,
            norm_eps=norm_eps,
            rng=init.generator(rng),
        )
        check_slopes(slopes, self.num_heads)
        self.dropout = dropout
        self.rotary = rotary
        self.slopes = None if slopes is None else np.asarray(slopes)
        self.window = window
        self.cap = cap
        self.relative = relative
        self.scale = scale

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {
            "d_model": self.d_model,
            "num_heads": self.num_heads,
            "num_kv_heads": self.num_kv_heads,
            "dropout": self.dropout,
            "bias": self.in_proj_bias is not None,
            "rotary": self.rotary,
            "slopes": None if self.slopes is None else self.slopes.tolist(),
            "window": self.window,
            "cap": self.cap,
            "relative": self.relative,
            "head_width": self.head_width,
            "qk_norm": self.qk_norm,
            "norm_eps": 1e-6 if self.q_norm is None else self.q_norm.eps,
            "scale": self.scale,
            "out_bias": self.out_proj.bias is not None,
        }

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

        In self-attention a position is padding if ``key_mask`` says so, or if nothing links it to
        others: it neither attends to a real position nor is attended to by one. What stands there
        is replaced by zeros. A position that looks at others is real, even if none of them looks at
        it.

        Parameters
        ----------
        query : (B, T, D) tensor
        key : (B, S, D) tensor, optional
            Left out, this is self-attention: the keys are those of the query. Given, it is
            cross-attention, in which every query is real.
        value : (B, S, D) tensor, optional
            By default the key, or in self-attention the query.
        key_mask : (B, S) bool array, optional
            Padding: True where a key is real; beside a cache, for all positions so far. What was
            padding when it came must stay padding: its key was not kept.
        mask : (B, T, S) or (B, H, T, S) bool array, optional
            A pattern: True where a query may attend to a key. Axes of length 1 broadcast.
        causal : bool
            Query t sees no key after itself.
        cache : KVCache, optional
            In self-attention, the keys before the query, to which the query's are added. In
            cross-attention, filled by the first call, after which the same ``key`` is expected but
            not projected again. Not differentiable: for use under ``no_grad``. With a cache
            ``key_mask`` alone tells what is padding, because a later query may look at what no
            query has looked at yet.
        positions : (T,) or (B, T) integer array, optional
            The position of each token, by which ``rotary`` turns queries and keys: by default
            0, 1, 2, ..., counted on from the length of a cache. To be given if a row holds several
            texts, or if prompts of unequal length are padded on the left, so that all end together.
            Causality, window and slopes look at places in the row instead: they need differences of
            positions only, which are the same.

        Returns
        -------
        (B, T, D) tensor
            At padding, and for a query that may attend to nothing, the heads are zero, so that
            the result is the bias of ``out_proj``.

        Raises
        ------
        TypeError
            If a mask is not boolean.
        ValueError
            If shapes do not fit, the cache is full or belongs to another batch or to other keys,
            or a cache is used where gradients are recorded.
        """
        check_inputs(query, key, value, self.d_model)
        masks = MaskArguments(key_mask, mask, causal)
        # Project: queries (B, H, T, K), keys and values (B, G, S, K).
        kind = "self" if key is None else "cross"
        if key is None:
            check_positions(query, positions, self.rotary)
            if cache is None:
                inputs = self._self_heads(query, value, masks, positions)
            else:
                inputs = self._cached_self_heads(query, value, masks, positions, cache)
        else:
            refuse_positions(positions, self.rotary, self.relative)
            if cache is None:
                inputs = self._cross_heads(query, key, value, masks)
            else:
                inputs = self._cached_cross_heads(query, key, value, masks, cache)
        maps = active_maps()
        if maps is not None:  # within capture_attention somebody looks at the weights
            maps.record(self, kind, inputs.weights())

        # Attend: for each query a mean of the values, in each head by itself.
        heads = inputs.attend(self.dropout)  # (B, H, T, K)
        # Put side by side what the heads have found; a query that is padding finds nothing.
        side_by_side = hide(merge_heads(heads), inputs.real)  # (B, T, H · K)
        # Mix it.
        return self.out_proj(side_by_side)  # (B, T, D)
