"""One more token beside a cache, on plain arrays: what writing spends its time on.

For a single row of numbers an operation takes longer to find out what to do than to do it. So where
nobody records, watches or drops, the stacks compute the newest token here. These are the formulas
of their layers once more, without tensors, gradients and patterns of attention; the tests hold them
against the operations. The function ``can_step`` has the conditions: one new token of each text,
beside caches that hold something, no pattern of attention, layers of the library's own kinds, and
so little to do that the operations would not share it between threads. In all other cases the
operations compute, and they also refuse arguments that are wrong.

``x`` holds the newest token of each text, a row each: (B, D).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from foundation_attn import KVCache, MultiHeadAttention, is_capturing
from foundation_attn.masks import Mask
from foundation_nn import (
    LayerNorm,
    Linear,
    Module,
    RMSNorm,
    Tensor,
    centred,
    current_generator,
    is_recording,
    row_dot,
)
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_transformer._buckets import RelativeBuckets
from foundation_transformer._feed_forward import geglu, swiglu
from foundation_transformer._layers import (
    DecoderCache,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from foundation_transformer._positions import Positions
from foundation_transformer._relative import Rotary, rotate

Array: TypeAlias = NDArray[Any]
Layer: TypeAlias = TransformerEncoderLayer | TransformerDecoderLayer

#: The kernels of the activations. They return the value, and a backward that is not needed here.
_ACTIVATIONS: dict[str, Callable[[Array], tuple[Array, Any]]] = {
    "relu": F.relu.kernel,
    "gelu": F.gelu.kernel,
    "gelu_tanh": lambda x: F.gelu.kernel(x, "tanh"),
    "silu": F.silu.kernel,
    "swiglu": swiglu.kernel,
    "geglu": geglu.kernel,
    "geglu_tanh": lambda x: geglu.kernel(x, "tanh"),
}
#: With more than this the operations share heads, or parts of a product, between threads.
_MOST_SCORES = 1 << 16
_MOST_MULTIPLICATIONS = 1 << 24


# --- the stacks


def encoder_step(
    layers: Sequence[Any],
    norm: Any,
    x: Tensor,
    caches: Sequence[KVCache],
    key_mask: Mask | None,
    positions: Positions | None,
) -> Tensor:
    """The output (B, 1, D) of encoder layers and the norm behind them for ``x`` (B, 1, D)."""
    row = x.data[:, 0]
    for layer, cache in zip(layers, caches, strict=True):
        row = _encoder_layer(layer, row, cache, key_mask, positions)
    return _output(norm, row)


def decoder_step(
    layers: Sequence[Any],
    norm: Any,
    x: Tensor,
    caches: Sequence[DecoderCache],
    key_mask: Mask | None,
    memory_key_mask: Mask | None,
    positions: Positions | None,
) -> Tensor:
    """The same of decoder layers; the keys and values of the memory are in the caches."""
    row = x.data[:, 0]
    for layer, cache in zip(layers, caches, strict=True):
        row = _decoder_layer(layer, row, cache, key_mask, memory_key_mask, positions)
    return _output(norm, row)


def _output(norm: LayerNorm | RMSNorm | None, x: Array) -> Tensor:
    return Tensor.wrap((x if norm is None else _normalise(norm, x))[:, None])


# --- the layers


def _encoder_layer(
    layer: TransformerEncoderLayer,
    x: Array,
    cache: KVCache,
    key_mask: Mask | None,
    positions: Positions | None,
) -> Array:
    """Self-attention, then the feed-forward network."""
    attention = layer.self_attn
    x = _residual(
        layer,
        x,
        layer.norm1,
        lambda h: _self_attention(attention, h, cache, key_mask, positions),
        layer.norm1_last,
    )
    return _residual(layer, x, layer.norm2, lambda h: _feed_forward(layer, h), layer.norm2_last)


def _decoder_layer(
    layer: TransformerDecoderLayer,
    x: Array,
    cache: DecoderCache,
    key_mask: Mask | None,
    memory_key_mask: Mask | None,
    positions: Positions | None,
) -> Array:
    """Self-attention, attention to the memory, then the feed-forward network."""
    target, memory = layer.self_attn, layer.multihead_attn
    x = _residual(
        layer,
        x,
        layer.norm1,
        lambda h: _self_attention(target, h, cache.target, key_mask, positions),
        layer.norm1_last,
    )
    x = _residual(
        layer,
        x,
        layer.norm2,
        lambda h: _cross_attention(memory, h, cache.memory, memory_key_mask),
        layer.norm2_last,
    )
    return _residual(layer, x, layer.norm3, lambda h: _feed_forward(layer, h), layer.norm3_last)


def _residual(
    layer: Layer, x: Array, norm: Any, branch: Callable[[Array], Array], last: Any
) -> Array:
    """The branch is added to the row, with the normalisations where the layer has them."""
    if layer.norm_first:
        y = branch(_normalise(norm, x))
        return x + (y if last is None else _normalise(last, y))
    if layer.norm_last:
        return x + _normalise(norm, branch(x))
    return _normalise(norm, x + branch(x))


def _feed_forward(layer: Layer, x: Array) -> Array:
    """W₂ · activation(W₁ x + b₁) + b₂."""
    hidden, _ = _ACTIVATIONS[layer.activation](_linear(layer.linear1, x))
    return _linear(layer.linear2, hidden)


def _linear(layer: Linear, x: Array) -> Array:
    """W x + b."""
    return _affine(x, layer.weight, layer.bias)


def _affine(x: Array, weight: Tensor, bias: Tensor | None) -> Array:
    y: Array = x @ weight.data.T
    if bias is not None:
        y += bias.data
    return y


def _normalise(norm: LayerNorm | RMSNorm, x: Array) -> Array:
    """Each row divided by √(mean of squares); LayerNorm takes the mean off before."""
    if isinstance(norm, LayerNorm):
        x, mean_square = centred(x)
    else:
        mean_square = row_dot(x, x) / x.shape[-1]
    y: Array = x / np.sqrt(mean_square + float(norm.eps))
    y *= norm.weight.data
    if isinstance(norm, LayerNorm) and norm.bias is not None:
        y += norm.bias.data
    return y


# --- attention: H query heads of width K, in groups that share one of G key heads


def _self_attention(
    layer: MultiHeadAttention,
    x: Array,
    cache: KVCache,
    key_mask: Mask | None,
    positions: Positions | None,
) -> Array:
    """The token attends to all tokens so far, itself included."""
    B = len(x)
    H, G, K = layer.num_heads, layer.num_kv_heads, layer.head_width
    heads = _affine(x, layer.in_proj_weight, layer.in_proj_bias).reshape(B, H + 2 * G, 1, K)
    q, k, v = heads[:, :H], heads[:, H : H + G], heads[:, H + G :]
    q, k = _normalise_heads(layer.q_norm, q), _normalise_heads(layer.k_norm, k)
    if isinstance(layer.rotary, Rotary):
        places = np.array([cache.length]) if positions is None else positions
        cos, sin = layer.rotary.angles(places, x.dtype)
        halves = layer.rotary.pairs == "halves"
        q, _ = rotate.kernel(q, cos, sin, halves)
        k, _ = rotate.kernel(k, cos, sin, halves)
    keys, values = cache.append(k, v)
    return _attend(layer, q, keys, values, key_mask)


def _cross_attention(
    layer: MultiHeadAttention, x: Array, cache: KVCache, key_mask: Mask | None
) -> Array:
    """The token attends to the memory, whose keys and values are in the cache."""
    H, K = layer.num_heads, layer.head_width
    q = x @ layer.in_proj_weight.data[: H * K].T
    if layer.in_proj_bias is not None:
        q += layer.in_proj_bias.data[: H * K]
    q = _normalise_heads(layer.q_norm, q.reshape(len(x), H, 1, K))
    keys, values = cache.view()
    return _attend(layer, q, keys, values, key_mask)


def _normalise_heads(norm: RMSNorm | None, x: Array) -> Array:
    """(B, h, 1, K) with each head normalised, or all h together if the norm is as wide."""
    if norm is None:
        return x
    width = norm.weight.shape[0]
    return _normalise(norm, x.reshape(-1, width)).reshape(x.shape)


def _attend(
    layer: MultiHeadAttention, q: Array, keys: Array, values: Array, key_mask: Mask | None
) -> Array:
    """W_out · softmax(scale · q Kᵀ) V + b_out, where the scale is mostly 1/√K.

    Parameters
    ----------
    q : (B, H, 1, K) array
    keys, values : (B, G, S, K) array
        The query stands at the place of the last of them.
    key_mask : (B, S) bool array or None
        Which of them are real.
    """
    if layer.window is not None:  # what is further away is not looked at
        keys, values = keys[:, :, -layer.window :], values[:, :, -layer.window :]
        key_mask = None if key_mask is None else key_mask[:, -layer.window :]
    B, G, S, K = keys.shape
    H = layer.num_heads
    scale = 1 / math.sqrt(K) if layer.scale is None else layer.scale
    q = q.reshape(B, G, H // G, K) * keys.dtype.type(scale)
    scores = q @ keys.swapaxes(-1, -2)  # (B, G, H / G, S)
    if layer.cap is not None:
        cap = float(layer.cap)
        scores = cap * np.tanh(scores / cap)
    if layer.slopes is not None:
        slopes = np.asarray(layer.slopes, keys.dtype).reshape(G, H // G, 1)
        distance = np.arange(S - 1, -1, -1, dtype=keys.dtype)  # from each key to the query
        scores -= slopes * distance
    if isinstance(layer.relative, RelativeBuckets):
        scores += layer.relative.newest(S).reshape(G, H // G, S)
    if key_mask is not None:
        scores = np.where(key_mask[:, None, None], scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    heads = weights @ values  # (B, G, H / G, K)
    return _linear(layer.out_proj, heads.reshape(B, H * K))


# --- when all this does what the operations would do


def can_step(
    layers: Sequence[Any],
    norm: Any,
    x: Tensor | Array,
    caches: Sequence[KVCache | DecoderCache],
    key_mask: Mask | None,
    mask: Mask | None,
    positions: Positions | None,
    memory: Tensor | None = None,
    memory_key_mask: Mask | None = None,
) -> bool:
    """Whether a stack can do without operations.

    That is so if

    * nobody records or watches operations, looks at attention, or trains with dropout;
    * ``x`` (B, 1, D) is one new token of each text, beside caches that hold something;
    * there is no pattern of attention, and every row has something real to look at;
    * each layer and all within it are of the library's own kinds;
    * there is so little to do that the operations would not share it between threads;
    * what is given fits together.

    Parameters as the stacks have them.
    """
    if is_recording() or is_capturing() or current_generator() is not None:
        return False
    if not isinstance(x, Tensor) or x.ndim != 3 or x.shape[1] != 1 or len(caches) != len(layers):
        return False
    if mask is not None or not (norm is None or _is_norm(norm)):
        return False
    if positions is not None and all(layer.self_attn.rotary is None for layer in layers):
        return False  # the first of them refuses
    for layer, cache in zip(layers, caches, strict=True):
        target = cache.target if isinstance(cache, DecoderCache) else cache
        if not (
            _is_plain(layer, cache)
            and _is_little(layer, x, target)
            and _positions_fit(layer.self_attn, x, positions, target.length)
            and _cache_fits(layer.self_attn, x, target)
            and (target.max_len is None or target.length < target.max_len)
            and _mask_fits(key_mask, x, target.length + 1)
            and target.padding_stays(key_mask)
            and (key_mask is None or key_mask[:, -1].all())
        ):
            return False
        if isinstance(cache, DecoderCache) and not (
            isinstance(memory, Tensor)
            and _is_little(layer, x, cache.memory)
            and _cache_fits(layer.multihead_attn, x, cache.memory)
            and cache.memory.is_filled_from(memory.data, memory.data)
            and _mask_fits(memory_key_mask, x, cache.memory.length)
            and cache.memory.padding_stays(memory_key_mask)
            and (memory_key_mask is None or memory_key_mask.any(axis=1).all())
        ):
            return False
    return True


def _is_plain(layer: Layer, cache: KVCache | DecoderCache) -> bool:
    """Whether the layer, all within it and its cache are what these formulas are written for."""
    is_encoder = type(layer) is TransformerEncoderLayer and type(cache) is KVCache
    is_decoder = type(layer) is TransformerDecoderLayer and type(cache) is DecoderCache
    if not (
        (is_encoder or is_decoder)
        and type(layer.linear1) is type(layer.linear2) is Linear
        and all(map(_is_norm, (layer.norm1, layer.norm2)))
        and all(map(_is_norm_or_none, (layer.norm1_last, layer.norm2_last)))
        and _is_attention(layer.self_attn)
    ):
        return False
    if isinstance(layer, TransformerEncoderLayer):
        return True
    memory = layer.multihead_attn
    return (
        _is_norm(layer.norm3)
        and _is_norm_or_none(layer.norm3_last)
        and _is_attention(memory)
        and memory.rotary is None  # which cross-attention refuses
        and memory.relative is None  # the same
        and memory.window is None  # all that it leaves to see may be padding
    )


def _is_norm(module: Module) -> bool:
    return type(module) is LayerNorm or type(module) is RMSNorm


def _is_norm_or_none(module: Module | None) -> bool:
    return module is None or _is_norm(module)


def _is_attention(module: Module) -> bool:
    return (
        type(module) is MultiHeadAttention
        and type(module.out_proj) is Linear
        and (module.relative is None or type(module.relative) is RelativeBuckets)
        and all(map(_is_norm_or_none, (module.q_norm, module.k_norm)))
    )


def _is_little(layer: Layer, x: Tensor, cache: KVCache) -> bool:
    """Whether neither the products nor the scores are worth a second thread."""
    B = x.shape[0]
    num_scores = B * layer.self_attn.num_heads * cache.length
    num_multiplications = B * layer.linear1.weight.size
    return num_scores <= _MOST_SCORES and num_multiplications <= _MOST_MULTIPLICATIONS


def _positions_fit(
    attention: MultiHeadAttention, x: Tensor, positions: Positions | None, place: int
) -> bool:
    if attention.rotary is None:
        return True  # a layer without positions, beside others that turn by them
    if type(attention.rotary) is not Rotary:
        return False
    if positions is None:
        return place < attention.rotary.max_len
    B = x.shape[0]
    fits = positions.shape in ((1,), (B, 1)) and positions.dtype.kind in "iu"
    return bool(fits and positions.min() >= 0 and positions.max() < attention.rotary.max_len)


def _cache_fits(attention: MultiHeadAttention, x: Tensor, cache: KVCache) -> bool:
    """Whether the cache holds something, and belongs to this layer and batch.

    It was filled by operations, so that weights and keys have one dtype.
    """
    if not cache.length:
        return False
    keys, _ = cache.view()
    shape = (x.shape[0], attention.num_kv_heads, cache.length, attention.head_width)
    return keys.shape == shape and keys.dtype == x.dtype


def _mask_fits(key_mask: Any, x: Tensor, length: int) -> bool:
    return key_mask is None or (
        isinstance(key_mask, np.ndarray)
        and key_mask.dtype == np.bool_
        and key_mask.shape == (x.shape[0], length)
    )
