"""The layers of a transformer: an encoder layer, and a decoder layer, which reads its output.

Two kinds of work alternate. *Attention* lets each position look at the others and fetch what it
needs; a *feed-forward network* then works on each position by itself. Each of them is a branch,
whose result is added to what came in (a residual connection), and has a normalisation, which
brings the vectors to a common scale:

    x = norm(x + f(x))         post-norm, the original
    x = x + f(norm(x))         pre-norm, which trains without a warm-up of the learning rate [1]_
    x = x + norm(f(x))         of what a branch returns, whose size is then known [2]_
    x = x + norm(f(norm(x)))   both of these, each with a norm of its own [3]_

An encoder layer has two branches, self-attention and feed-forward. A decoder layer, in which no
position sees a later one, has a third between them: attention to the encoder's output (the memory).

An encoder layer with pre-norm, without masks and dropout, in plain NumPy, for B texts of T
positions with D numbers each. The feed-forward network has F inner numbers, attention has H heads
of width K = D / H, and ``p`` holds the parameters by name, as ``state_dict`` gives them:

>>> import numpy as np
>>> def linear(x, p, name):
...     return x @ p[name + ".weight"].T + p[name + ".bias"]
>>> def norm(x, p, name):
...     centred = x - x.mean(axis=-1, keepdims=True)
...     variance = (centred**2).mean(axis=-1, keepdims=True)
...     return centred / np.sqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]
>>> def self_attention(x, p, H):
...     B, T, D = x.shape
...     qkv = x @ p["self_attn.in_proj_weight"].T + p["self_attn.in_proj_bias"]  # (B, T, 3D)
...     q, k, v = qkv.reshape(B, T, 3, H, D // H).transpose(2, 0, 3, 1, 4)  # (B, H, T, K) each
...     scores = q @ k.swapaxes(-1, -2) / np.sqrt(D // H)  # (B, H, T, T)
...     weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
...     weights /= weights.sum(axis=-1, keepdims=True)  # softmax: each row sums to 1
...     heads = weights @ v  # (B, H, T, K): means of the values
...     return linear(heads.swapaxes(1, 2).reshape(B, T, D), p, "self_attn.out_proj")
>>> def feed_forward(x, p):
...     h = np.maximum(linear(x, p, "linear1"), 0)  # (B, T, F)
...     return linear(h, p, "linear2")  # (B, T, D)
>>> def plain_layer(x, p, H):
...     x = x + self_attention(norm(x, p, "norm1"), p, H)
...     return x + feed_forward(norm(x, p, "norm2"), p)

It computes what the class below does:

>>> from foundation_nn import Tensor
>>> from foundation_transformer import TransformerEncoderLayer
>>> rng = np.random.default_rng(0)
>>> layer = TransformerEncoderLayer(8, num_heads=2, d_ff=16, norm_first=True, rng=rng)
>>> x = rng.standard_normal((3, 5, 8), np.float32)
>>> np.allclose(layer(Tensor(x)).data, plain_layer(x, layer.state_dict(), H=2), atol=1e-5)
True

References
----------
.. [1] R. Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020,
   arXiv:2002.04745.
.. [2] OLMo Team, "2 OLMo 2 Furious", 2024, arXiv:2501.00656.
.. [3] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
   arXiv:2408.00118.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from foundation_attn import KVCache, MultiHeadAttention
from foundation_attn.masks import Mask, hide, real_positions
from foundation_nn import Identity, LayerNorm, Module, Parameter, RMSNorm, Tensor, init
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_transformer._buckets import RelativeBuckets
from foundation_transformer._feed_forward import FeedForward, feed_forward
from foundation_transformer._positions import Positions
from foundation_transformer._relative import Rotary

Norm: TypeAlias = LayerNorm | RMSNorm


def make_norm(d_model: int, norm: str, eps: float, bias: bool) -> Norm:
    """A normalisation of the kind "layer" or "rms"; the latter never has a bias."""
    if norm == "layer":
        return LayerNorm(d_model, eps, bias)
    if norm == "rms":
        return RMSNorm(d_model, eps)
    raise ValueError(f"norm: expected one of ('layer', 'rms'), got {norm!r}")


#: What the attention calls its biases, by those before the heads and after them.
_BIASES = {(True, True): "all", (True, False): "qkv", (False, False): "none"}


#: What only an attention within one text can have.
_BY_DISTANCE = ("rotary", "slopes", "window", "relative")


class _Layer(Module):
    """What both kinds of layer share: self-attention, the feed-forward network, the branches."""

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
        head_width: int | None = None,
        norm: str = "layer",
        norm_eps: float = 1e-5,
        norm_last: bool = False,
        bias: bool = True,
        norm_bias: bool | None = None,
        attention_bias: str | None = None,
        attention_scale: float | None = None,
        attention_cap: float | None = None,
        qk_norm: str | None = None,
        window: int | None = None,
        rotary: Rotary | None = None,
        slopes: NDArray[np.float64] | None = None,
        relative: RelativeBuckets | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = init.generator(rng)  # None: a fresh one
        self.dropout = dropout
        self.activation = activation
        self.norm_first = norm_first
        self.norm_last = norm_last
        if attention_bias not in (*_BIASES.values(), None):
            raise ValueError(
                f"attention_bias: expected one of {tuple(_BIASES.values())}, got {attention_bias!r}"
            )
        self.self_attn = MultiHeadAttention(
            d_model,
            num_heads,
            num_kv_heads,
            dropout,
            bias if attention_bias is None else attention_bias != "none",
            rng=rng,
            rotary=rotary,
            slopes=slopes,
            window=window,
            cap=attention_cap,
            relative=relative,
            head_width=head_width,
            qk_norm=qk_norm,
            norm_eps=norm_eps,
            scale=attention_scale,
            out_bias=bias if attention_bias is None else attention_bias == "all",
        )
        # The network is made to draw its two linear layers. They are held here, where PyTorch's
        # parameters have their names, and _feed_forward applies them.
        network = FeedForward(d_model, d_ff, activation, dropout, bias, rng=rng)
        self.linear1 = network.linear1  # D to F
        self.linear2 = network.linear2  # F to D
        has_two = norm_first and norm_last
        in_norms = bias if norm_bias is None else norm_bias
        # A stack may put an Identity here, as ModernBERT's first layer has: norm2 is always a norm.
        self.norm1: Norm | Identity = make_norm(d_model, norm, norm_eps, in_norms)
        self.norm2 = make_norm(d_model, norm, norm_eps, in_norms)
        self.norm1_last = make_norm(d_model, norm, norm_eps, in_norms) if has_two else None
        self.norm2_last = make_norm(d_model, norm, norm_eps, in_norms) if has_two else None

    def _residual(
        self,
        x: Tensor,
        norm: Norm | Identity,
        branch: Callable[[Tensor], Tensor],
        last: Norm | None,
    ) -> Tensor:
        """The branch added to what came in: one of the four lines at the top of this file.

        ``last`` is the second norm of a branch that has two.
        """
        if last is not None:  # norm_first and norm_last
            return x + F.dropout(last(branch(norm(x))), self.dropout)
        if self.norm_first:
            return x + F.dropout(branch(norm(x)), self.dropout)
        if self.norm_last:
            return x + F.dropout(norm(branch(x)), self.dropout)
        return norm(x + F.dropout(branch(x), self.dropout))

    def _feed_forward(self, x: Tensor) -> Tensor:
        """linear2(activation(linear1(x))): the second kind of branch, (B, T, D) to (B, T, D)."""
        return feed_forward(x, self.linear1, self.linear2, self.activation, self.dropout)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        attention = self.self_attn.to_dict()
        return {
            "d_model": attention["d_model"],
            "num_heads": attention["num_heads"],
            "d_ff": self.linear2.in_features,
            "dropout": self.dropout,
            "activation": self.activation,
            "norm_first": self.norm_first,
            "num_kv_heads": attention["num_kv_heads"],
            "head_width": attention["head_width"],
            "norm": "rms" if isinstance(self.norm2, RMSNorm) else "layer",
            "norm_eps": self.norm2.eps,
            "norm_last": self.norm_last,
            "bias": self.linear1.bias is not None,
            "norm_bias": isinstance(self.norm2, LayerNorm) and self.norm2.bias is not None,
            "attention_bias": _BIASES[attention["bias"], attention["out_bias"]],
            "attention_scale": attention["scale"],
            "attention_cap": attention["cap"],
            "qk_norm": attention["qk_norm"],
            "window": attention["window"],
            "rotary": attention["rotary"],
            "slopes": attention["slopes"],
            "relative": attention["relative"],
        }

    def branch_ends(self) -> Iterator[Parameter]:
        """The last matrix of each branch.

        What they make is added up from layer to layer, so that ``init_normal`` draws them more
        narrowly the more layers there are.
        """
        yield self.self_attn.out_proj.weight
        yield self.linear2.weight


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a feed-forward network, each in a residual branch.

    Parameters
    ----------
    d_model, num_heads, d_ff : int
        The width D of the vectors, the number of heads H, the inner width F of the feed-forward
        network.
    dropout : float
        Of the attention weights, the hidden feed-forward units and what both branches return.
    activation : {"relu", "gelu", "gelu_tanh", "silu", "swiglu", "geglu", "geglu_tanh"}
        With one of the last three ``linear1`` has twice the rows, see :class:`FeedForward`.
    norm_first : bool
        Normalise what goes into a branch; post-norm otherwise.
    num_kv_heads : int, optional
        Fewer heads for keys and values than for queries, see
        :class:`foundation_attn.MultiHeadAttention`.
    head_width : int, optional
        Of the heads; D / H by default.
    norm : {"layer", "rms"}
        :class:`foundation_nn.LayerNorm` or :class:`foundation_nn.RMSNorm`.
    norm_eps : float
        What the normalisations add to the variance.
    norm_last : bool
        Normalise what a branch returns before it is added, instead of the sum; together with
        ``norm_first`` a branch has two norms, ``norm1`` and ``norm1_last``.
    bias : bool
        Whether the linear layers and layer normalisations have one.
    norm_bias : bool, optional
        Whether layer normalisations have one, if that differs from ``bias``.
    attention_bias : {"all", "qkv", "none"}, optional
        Which projections of the attention have one, if that differs from ``bias``.
    attention_scale, attention_cap : float, optional
        ``scale`` and ``cap`` of :class:`foundation_attn.MultiHeadAttention`.
    qk_norm : {"head", "width"}, optional
        The same.
    window : int, optional
        The self-attention sees only what is at a distance of less than this.
    rotary : Rotary, optional
        Turns queries and keys of the self-attention by their positions.
    slopes : (H,) array, optional
        ALiBi: in each head, the scores of the self-attention fall with the distance by a slope of
        its own.
    relative : RelativeBuckets, optional
        Adds to the scores of the self-attention what is learnt for each distance. The layers of a
        stack share one.
    rng : numpy.random.Generator, optional
        Draws the initial weights.

    Notes
    -----
    State dicts of ``torch.nn.TransformerEncoderLayer`` load as they are. Differences: batch first
    always; masks are boolean, and True means "is real" or "may attend".
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
            Padding: True where a position is real. Padding may hold anything, even NaN.
        mask : (B, T, T) or (B, H, T, T) bool array, optional
            A pattern: True where a position may attend to another; axes of length 1 broadcast.
            A position without any link, which neither attends to a real one nor is attended to by
            one, is padding, too.
        causal : bool
            No position attends to a later one: a layer of a decoder-only model.
        cache : KVCache, optional
            The keys and values of earlier positions; ``x`` then holds the new ones only. For use
            under ``no_grad``. The masks tell of all S positions so far: (B, S) and (B, T, S).
        positions : (T,) or (B, T) integer array, optional
            The position of each token, by which ``rotary`` turns queries and keys. By default
            0, 1, 2, ...; with a cache they are counted on from what it holds.

        Returns
        -------
        (B, T, D) tensor
        """
        self_attention = partial(
            self.self_attn,
            key_mask=key_mask,
            mask=mask,
            causal=causal,
            cache=cache,
            positions=positions,
        )
        # Attention alone would ignore padding, but NaN would travel on along the residual sums.
        x = hide_padding(x, key_mask, mask, causal, cache)
        x = self._residual(x, self.norm1, self_attention, self.norm1_last)
        return self._residual(x, self.norm2, self._feed_forward, self.norm2_last)


class DecoderCache(NamedTuple):
    """What one decoder layer remembers: keys and values of the target so far, and of the memory."""

    target: KVCache
    memory: KVCache


class TransformerDecoderLayer(_Layer):
    """Causal self-attention, attention to the encoder's output, then a feed-forward network.

    Parameters as for :class:`TransformerEncoderLayer`; ``rotary``, ``slopes``, ``relative`` and
    ``window`` are those of the self-attention, for positions in two texts cannot be compared.

    Notes
    -----
    State dicts of ``torch.nn.TransformerDecoderLayer`` load as they are. Self-attention is always
    causal; PyTorch asks for a mask.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        activation: str = "relu",
        norm_first: bool = False,
        *,
        rng: np.random.Generator | None = None,
        **options: Any,
    ) -> None:
        rng = init.generator(rng)
        super().__init__(
            d_model, num_heads, d_ff, dropout, activation, norm_first, rng=rng, **options
        )
        # The attention to the memory (PyTorch's name for it) has the options of the self-attention,
        # but for those by distance, which means nothing between two texts: they are None.
        alike = self.self_attn.to_dict() | dict.fromkeys(_BY_DISTANCE)
        self.multihead_attn = MultiHeadAttention(**alike, rng=rng)
        own = self.to_dict()
        norm = own["norm"], own["norm_eps"], own["norm_bias"]
        self.norm3 = make_norm(d_model, *norm)
        self.norm3_last = None if self.norm2_last is None else make_norm(d_model, *norm)

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
            Padding: True where a position of ``x`` is real. Padding may hold anything, even NaN.
        memory_key_mask : (B, S) bool array, optional
            Padding of the memory, which may hold anything, too.
        mask : (B, T, T) or (B, H, T, T) bool array, optional
            A pattern beside causality.
        cache : DecoderCache, optional
            What was computed for earlier positions; ``x`` then holds the new ones only. For use
            under ``no_grad``. ``key_mask`` and ``mask`` tell of all target positions so far.
        positions : (T,) or (B, T) integer array, optional
            The position of each token, by which ``rotary`` turns queries and keys. By default
            0, 1, 2, ...; with a cache they are counted on from what it holds.

        Returns
        -------
        (B, T, D) tensor
        """
        target_cache = None if cache is None else cache.target
        memory_cache = None if cache is None else cache.memory
        self_attention = partial(
            self.self_attn,
            key_mask=key_mask,
            mask=mask,
            causal=True,
            cache=target_cache,
            positions=positions,
        )
        # The queries are what _residual passes; keys come from the memory, and so do the values,
        # which are those of the keys if nothing else is said.
        memory_attention = partial(
            self.multihead_attn, key=memory, key_mask=memory_key_mask, cache=memory_cache
        )
        # The memory's padding needs no such care: it is seen by attention alone, which ignores it.
        x = hide_padding(x, key_mask, mask, causal=True, cache=target_cache)
        x = self._residual(x, self.norm1, self_attention, self.norm1_last)
        x = self._residual(x, self.norm2, memory_attention, self.norm2_last)
        return self._residual(x, self.norm3, self._feed_forward, self.norm3_last)

    def branch_ends(self) -> Iterator[Parameter]:
        """The last matrix of each branch, see the encoder layer's."""
        yield from super().branch_ends()
        yield self.multihead_attn.out_proj.weight


def hide_padding(
    x: Tensor, key_mask: Mask | None, mask: Mask | None, causal: bool, cache: KVCache | None
) -> Tensor:
    """``x`` (B, T, D) with zeros in place of padding; what was there, even NaN, is gone."""
    real = real_positions(x.shape[:2], key_mask, mask, causal, cache=cache)  # (B, T) or None
    return hide(x, real)
