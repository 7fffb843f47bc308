"""Encoder and decoder layers.

Each sub-layer stands in a residual branch with a normalisation, either around the sum, as in the
original (post-norm), or inside the branch (pre-norm), which trains without a warm-up's care [1]_.

References
----------
.. [1] R. Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020,
   arXiv:2002.04745.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from foundation_attn import KVCache, MultiHeadAttention
from foundation_attn.masks import Mask, hide, real_positions
from foundation_nn import LayerNorm, Module, Parameter, RMSNorm, Tensor, init
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_transformer._feed_forward import FeedForward, feed_forward
from foundation_transformer._positions import Positions
from foundation_transformer._relative import Rotary


def make_norm(d_model: int, norm: str, eps: float, bias: bool) -> LayerNorm | RMSNorm:
    """A normalisation layer of the given kind."""
    if norm not in ("layer", "rms"):
        raise ValueError(f"norm: expected one of ('layer', 'rms'), got {norm!r}")
    return RMSNorm(d_model, eps) if norm == "rms" else LayerNorm(d_model, eps, bias)


class _Layer(Module):
    """What both kinds of layer share: their parameters and the residual branches."""

    attends_to_memory: ClassVar[bool] = False

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        activation: str = "relu",
        norm_first: bool = False,
        *,
        num_kv_heads: int | None = None,
        norm: str = "layer",
        norm_eps: float = 1e-5,
        bias: bool = True,
        rotary: Rotary | None = None,
        slopes: NDArray[np.float64] | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = init.generator(rng)
        self.dropout = dropout
        self.activation = activation
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(
            d_model,
            num_heads,
            num_kv_heads,
            dropout,
            bias,
            rng=rng,
            rotary=rotary,
            slopes=slopes,
        )
        inner = FeedForward(d_model, d_ff, activation, dropout, bias, rng=rng)
        self.linear1, self.linear2 = inner.linear1, inner.linear2  # PyTorch's names
        self.norm1 = make_norm(d_model, norm, norm_eps, bias)
        self.norm2 = make_norm(d_model, norm, norm_eps, bias)
        if self.attends_to_memory:
            self.multihead_attn = MultiHeadAttention(
                d_model, num_heads, num_kv_heads, dropout, bias, rng=rng
            )
            self.norm3 = make_norm(d_model, norm, norm_eps, bias)

    def branch_ends(self) -> Iterator[Parameter]:
        """The matrices whose product is added to the residual stream."""
        yield self.self_attn.out_proj.weight
        if self.attends_to_memory:
            yield self.multihead_attn.out_proj.weight
        yield self.linear2.weight

    def _residual(self, x: Tensor, norm: Module, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.norm_first:
            return x + F.dropout(sublayer(norm(x)), self.dropout)
        return norm(x + F.dropout(sublayer(x), self.dropout))  # type: ignore[no-any-return]

    def _feed_forward(self, x: Tensor) -> Tensor:
        return feed_forward(x, self.linear1, self.linear2, self.activation, self.dropout)


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a feed-forward network, each in a residual branch.

    State dicts of ``torch.nn.TransformerEncoderLayer`` load as they are. Differences: batch first
    always; masks are boolean, and True means "is real" or "may attend".

    Parameters
    ----------
    d_model, num_heads, d_ff : int
        D, H and F.
    dropout : float
        Of the attention weights, the hidden feed-forward units and both branches.
    activation : {"relu", "gelu", "gelu_tanh", "silu", "swiglu"}
        With "swiglu" ``linear1`` has twice the rows, see :class:`FeedForward`.
    norm_first : bool
        Pre-norm.
    num_kv_heads : int, optional
    norm : {"layer", "rms"}
    norm_eps : float
    bias : bool
    rotary : Rotary, optional
        Turns queries and keys of the self-attention.
    slopes : (H,) array, optional
        ALiBi, of the self-attention.
    rng : numpy.random.Generator, optional
    """

    def forward(
        self,
        x: Tensor,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        causal: bool = False,
        cache: KVCache | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """Apply the layer.

        Parameters
        ----------
        x : (B, T, D) tensor
        key_mask : (B, T) bool array, optional
            Padding: True where a position is real. Padding may hold anything. Beside a cache,
            (B, S), of all positions so far.
        mask : (B, T, T) or (B, H, T, T) bool array, optional
            A pattern: True where a position may attend to another; axes of length 1 broadcast.
            What neither attends nor is attended to is padding, too. Beside a cache, (B, T, S).
        causal : bool
            No position attends to a later one: a layer of a decoder-only model.
        cache : KVCache, optional
            ``x`` holds the new positions only; under ``no_grad``.
        positions : (T,) or (B, T) integer array, optional
            For ``rotary``, where they are not the places in the row.

        Returns
        -------
        (B, T, D) tensor
        """
        x = hide_padding(x, key_mask, mask, causal, cache)
        x = self._residual(
            x,
            self.norm1,
            lambda h: self.self_attn(
                h, key_mask=key_mask, mask=mask, causal=causal, cache=cache, positions=positions
            ),
        )
        return self._residual(x, self.norm2, self._feed_forward)


class DecoderCache(NamedTuple):
    """What one decoder layer remembers: keys and values of the target so far, and of the memory."""

    target: KVCache
    memory: KVCache


class TransformerDecoderLayer(_Layer):
    """Causal self-attention, attention to the encoder's output, then a feed-forward network.

    State dicts of ``torch.nn.TransformerDecoderLayer`` load as they are. Self-attention is always
    causal; PyTorch asks for a mask. Parameters as for :class:`TransformerEncoderLayer`.
    """

    attends_to_memory = True
    multihead_attn: MultiHeadAttention
    norm3: LayerNorm | RMSNorm

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        key_mask: Mask | None = None,
        memory_key_mask: Mask | None = None,
        mask: Mask | None = None,
        cache: DecoderCache | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """Apply the layer.

        Parameters
        ----------
        x : (B, T, D) tensor
        memory : (B, S, D) tensor
            The encoder's output.
        key_mask : (B, T) bool array, optional
            Padding: True where a position is real; with a cache, for all positions so far.
        memory_key_mask : (B, S) bool array, optional
            Padding of the memory.
        mask : (B, T, T) or (B, H, T, T) bool array, optional
            A pattern beside causality; with a cache, (B, T, positions so far).
        cache : DecoderCache, optional
            ``x`` holds the new positions only; under ``no_grad``.
        positions : (T,) or (B, T) integer array, optional
            For ``rotary``, where they are not the places in the row.

        Returns
        -------
        (B, T, D) tensor
        """
        target_cache, memory_cache = (None, None) if cache is None else cache
        x = hide_padding(x, key_mask, mask, True, target_cache)  # attention hides the memory's
        x = self._residual(
            x,
            self.norm1,
            lambda h: self.self_attn(
                h,
                key_mask=key_mask,
                mask=mask,
                causal=True,
                cache=target_cache,
                positions=positions,
            ),
        )
        x = self._residual(
            x,
            self.norm2,
            lambda h: self.multihead_attn(h, memory, key_mask=memory_key_mask, cache=memory_cache),
        )
        return self._residual(x, self.norm3, self._feed_forward)


def hide_padding(
    x: Tensor, key_mask: Mask | None, mask: Mask | None, causal: bool, cache: KVCache | None
) -> Tensor:
    """Zeros in place of padding; what was there, even NaN, is gone."""
    earlier = None if cache is None else cache.length
    return hide(x, real_positions(x.shape[:2], key_mask, mask, causal, earlier=earlier))
