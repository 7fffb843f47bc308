"""The layers of a transformer: an encoder layer, and a decoder layer, which reads its output.

A layer changes the vectors of a text, one for each position, by branches. A branch computes
something of the vectors, and its result is added to them. There are two kinds:

* *attention*: each position looks at others and fetches what it needs from them;
* a *feed-forward network* works on each position by itself.

An encoder layer has one of each. A decoder layer, in which no position sees a later one, has a
third between them: attention to the output of an encoder, which is called the memory. Beside each
branch stands a normalisation, which brings the vectors to a common scale:

    x = x + f(norm(x))         pre-norm, as in most models: f is attention or feed-forward
    x = norm(x + f(x))         post-norm, as in the first transformer

In plain NumPy with pre-norm, for B texts of T positions with D numbers each, and H heads of width
K = D / H. ``p`` holds the parameters by name, as ``state_dict`` gives them:

>>> import numpy as np
>>> def encoder_layer(x, p, H):
...     h = norm(x, p, "norm1")
...     x = x + attention(h, h, p, "self_attn", H)
...     return x + feed_forward(norm(x, p, "norm2"), p)
>>> def decoder_layer(x, memory, p, H):
...     h = norm(x, p, "norm1")
...     x = x + attention(h, h, p, "self_attn", H, causal=True)
...     x = x + attention(norm(x, p, "norm2"), memory, p, "multihead_attn", H)
...     return x + feed_forward(norm(x, p, "norm3"), p)

>>> def attention(x, y, p, name, H, causal=False):  # x (B, T, D) looks at y (B, S, D)
...     W_q, W_k, W_v = np.split(p[name + ".in_proj_weight"], 3)
...     b_q, b_k, b_v = np.split(p[name + ".in_proj_bias"], 3)
...     q = in_heads(x @ W_q.T + b_q, H)  # (B, H, T, K): what each position looks for
...     k = in_heads(y @ W_k.T + b_k, H)  # (B, H, S, K): what each position is found by
...     v = in_heads(y @ W_v.T + b_v, H)  # (B, H, S, K): what is fetched from it
...     scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])  # (B, H, T, S)
...     if causal:
...         scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
...     weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
...     weights /= weights.sum(axis=-1, keepdims=True)  # softmax: each row sums to 1
...     heads = weights @ v  # (B, H, T, K): means of the values
...     return linear(heads.swapaxes(1, 2).reshape(x.shape), p, name + ".out_proj")
>>> def in_heads(x, H):
...     B, T, D = x.shape
...     return x.reshape(B, T, H, D // H).swapaxes(1, 2)  # (B, H, T, K)
>>> def feed_forward(x, p):
...     return linear(np.maximum(linear(x, p, "linear1"), 0), p, "linear2")
>>> def linear(x, p, name):
...     return x @ p[name + ".weight"].T + p[name + ".bias"]
>>> def norm(x, p, name):
...     centred = x - x.mean(axis=-1, keepdims=True)
...     variance = (centred**2).mean(axis=-1, keepdims=True)
...     return centred / np.sqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]

These compute what the classes below do:

>>> from foundation_nn import Tensor
>>> from foundation_transformer import TransformerDecoderLayer, TransformerEncoderLayer
>>> rng = np.random.default_rng(0)
>>> x, memory = rng.standard_normal((2, 3, 5, 8), np.float32)
>>> layer = TransformerEncoderLayer(8, num_heads=2, d_ff=16, norm_first=True, rng=rng)
>>> np.allclose(layer(Tensor(x)).data, encoder_layer(x, layer.state_dict(), H=2), atol=1e-5)
True
>>> layer = TransformerDecoderLayer(8, num_heads=2, d_ff=16, norm_first=True, rng=rng)
>>> y = layer(Tensor(x), Tensor(memory))
>>> np.allclose(y.data, decoder_layer(x, memory, layer.state_dict(), H=2), atol=1e-5)
True
"""

from __future__ import annotations

from typing import NamedTuple

from foundation_attn import KVCache
from foundation_attn.masks import Mask, hide, real_positions
from foundation_nn import Identity, Tensor
from foundation_nn import functional as F

from foundation_transformer._feed_forward import feed_forward
from foundation_transformer._layer_parts import LayerParts, Norm
from foundation_transformer._positions import Positions


class _Branches(LayerParts):
    """How a branch f is put into the residual sum: ``f(_before(...))``, then ``_add(...)``.

    Together these two make one of four lines. Which one, ``norm_first`` and ``norm_last`` say:

        x = x + f(norm(x))         norm_first: pre-norm, which trains without a warm-up [1]_
        x = norm(x + f(x))         neither: post-norm
        x = x + norm(f(x))         norm_last [2]_
        x = x + last(f(norm(x)))   both, with two norms of its own for each branch [3]_

    References
    ----------
    .. [1] R. Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020,
       arXiv:2002.04745.
    .. [2] OLMo Team, "2 OLMo 2 Furious", 2024, arXiv:2501.00656.
    .. [3] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
       arXiv:2408.00118.
    """

    def _hide_padding(
        self,
        x: Tensor,
        key_mask: Mask | None,
        mask: Mask | None,
        causal: bool,
        cache: KVCache | None,
    ) -> Tensor:
        """``x`` (B, T, D) with zeros in place of padding; what was there, even NaN, is gone."""
        window = self.self_attn.window  # for what is padding to this layer and to its attention
        real = real_positions(x.shape[:2], key_mask, mask, causal, window, cache)  # None: all
        return hide(x, real)

    def _before(self, x: Tensor, norm: Norm | Identity) -> Tensor:
        """What goes into a branch: norm(x), or x as it is."""
        return norm(x) if self.norm_first else x

    def _add(self, x: Tensor, h: Tensor, norm: Norm | Identity, last: Norm | None) -> Tensor:
        """x + h, where h has come out of a branch, with the norm that is not before the branch."""
        if last is not None:
            h = last(h)
        elif self.norm_last:
            h = norm(h)
        total = x + F.dropout(h, self.dropout)
        is_post_norm = not self.norm_first and not self.norm_last
        return norm(total) if is_post_norm else total

    def _feed_forward(self, x: Tensor) -> Tensor:
        """linear2(activation(linear1(x))), from (B, T, D) to (B, T, D)."""
        return feed_forward(x, self.linear1, self.linear2, self.activation, self.dropout)


class TransformerEncoderLayer(_Branches):
    """Self-attention, then a feed-forward network, each in a residual branch.

    Parameters
    ----------
    d_model, num_heads, d_ff : int
        The width D of the vectors, the number of heads H, the inner width F of the feed-forward
        network.
    dropout : float
        Of the attention weights, the hidden feed-forward units and what both branches add to the
        sum, which with ``norm_last`` is what the last norm has made of it.
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

    reads_memory = False

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
        # Attention would ignore padding, but NaN would travel on along the sums x + h.
        x = self._hide_padding(x, key_mask, mask, causal, cache)

        # Self-attention: each position fetches what it needs from the others.
        h = self._before(x, self.norm1)
        h = self.self_attn(
            h, key_mask=key_mask, mask=mask, causal=causal, cache=cache, positions=positions
        )
        x = self._add(x, h, self.norm1, self.norm1_last)

        # Feed-forward network: each position by itself.
        h = self._before(x, self.norm2)
        h = self._feed_forward(h)
        return self._add(x, h, self.norm2, self.norm2_last)


class DecoderCache(NamedTuple):
    """What one decoder layer remembers: keys and values of the target so far, and of the memory."""

    target: KVCache
    memory: KVCache


class TransformerDecoderLayer(_Branches):
    """Causal self-attention, attention to the encoder's output, then a feed-forward network.

    Parameters as for :class:`TransformerEncoderLayer`; ``rotary``, ``slopes``, ``relative`` and
    ``window`` are those of the self-attention, for positions in two texts cannot be compared.

    Notes
    -----
    State dicts of ``torch.nn.TransformerDecoderLayer`` load as they are. Self-attention is always
    causal; PyTorch asks for a mask.
    """

    reads_memory = True

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
        # Padding of the memory may stay: attention alone looks at it, and ignores it.
        x = self._hide_padding(x, key_mask, mask, causal=True, cache=target_cache)

        # Self-attention: each position fetches what it needs from those before it.
        h = self._before(x, self.norm1)
        h = self.self_attn(
            h, key_mask=key_mask, mask=mask, causal=True, cache=target_cache, positions=positions
        )
        x = self._add(x, h, self.norm1, self.norm1_last)

        # Cross-attention: each position fetches what it needs from the memory.
        h = self._before(x, self.norm2)
        h = self.multihead_attn(h, key=memory, key_mask=memory_key_mask, cache=memory_cache)
        x = self._add(x, h, self.norm2, self.norm2_last)

        # Feed-forward network: each position by itself.
        h = self._before(x, self.norm3)
        h = self._feed_forward(h)
        return self._add(x, h, self.norm3, self.norm3_last)
