"""Attention layers and transformers of PyTorch beside ours.

Masks are translated: PyTorch marks what must not be seen, we mark what may be. It computes
something at padded positions as well, which nothing that counts depends on; only real positions
are compared. PyTorch's may lack the batch axis or have the time first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from closeness import NotOurs
from foundation_attn import MultiHeadAttention
from foundation_nn import Module, Tensor
from foundation_nn import functional as F
from foundation_transformer import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from modules import Pair
from torch import nn

ACTIVATIONS = {nn.functional.relu: "relu", nn.functional.gelu: "gelu"}


def batch_first(theirs: Any) -> bool:
    layers = getattr(theirs, "layers", [theirs])
    return bool(getattr(layers[0], "self_attn", layers[0]).batch_first)


def batched(x: Any, theirs: Any) -> Any:
    """Any input of PyTorch's as (B, T, D)."""
    if x.ndim == 2:
        return x[None]
    return x if batch_first(theirs) else x.swapaxes(0, 1)


def as_given(y: Any, x: Any, theirs: Any) -> Any:
    """An output (B, T, D) with the axes of the input ``x``."""
    if x.ndim == 2:
        return y[0]
    return y if batch_first(theirs) else y.swapaxes(0, 1)


def real_keys(padding: Any, B: int) -> Any:
    """Our ``key_mask`` (B, S) for a padding mask (B, S) or (S,)."""
    return None if padding is None else np.broadcast_to(~padding, (B, padding.shape[-1]))


def pattern(hidden: Any, B: int, H: int) -> Any:
    """Our ``mask`` for a mask (T, S) or (B * H, T, S)."""
    if hidden is None:
        return None
    T, S = hidden.shape[-2:]
    return np.broadcast_to(~hidden, (B, T, S)) if hidden.ndim == 2 else ~hidden.reshape(B, H, T, S)


def only_real(y: Any, padding: Any, theirs: Any) -> Any:
    """An output with zeros in padded positions."""
    if padding is None:
        return y
    real = ~padding if y.ndim == 2 or batch_first(theirs) else ~padding.T
    if isinstance(y, Tensor):
        return F.where(np.asarray(real)[..., None], y, 0.0)
    return torch.where(real[..., None], y, 0.0)


def build_attention(theirs: nn.MultiheadAttention) -> Module:
    if theirs.bias_k is not None or theirs.add_zero_attn:
        raise NotOurs("MultiheadAttention: add_bias_kv, add_zero_attn")
    bias = theirs.in_proj_bias is not None
    return MultiHeadAttention(theirs.embed_dim, theirs.num_heads, bias=bias)


def run_attention(
    ours: Any, theirs: Any, *inputs: Any, key_padding_mask: Any = None, attn_mask: Any = None
) -> Any:
    query, key, value = (batched(x, theirs) for x in inputs)
    B, H = len(query), theirs.num_heads
    key_mask, mask = real_keys(key_padding_mask, B), pattern(attn_mask, B, H)
    y = ours(query, key, value, key_mask=key_mask, mask=mask)
    return as_given(y, inputs[0], theirs)


def torch_attention(theirs: Any, *inputs: Any, **masks: Any) -> Any:
    return theirs(*inputs, **masks, need_weights=False)[0]


def layer_options(layer: Any) -> dict[str, Any]:
    return {
        "d_model": layer.linear1.in_features,
        "num_heads": layer.self_attn.num_heads,
        "d_ff": layer.linear1.out_features,
        "activation": ACTIVATIONS[layer.activation],
        "norm_first": layer.norm_first,
        "norm_eps": layer.norm1.eps,
        "bias": layer.linear1.bias is not None,
    }


def stack(kind: Any) -> Any:
    """Builds a stack of ours with as many layers as PyTorch's."""

    def build(theirs: Any) -> Module:
        options = layer_options(theirs.layers[0])
        made: Module = kind(len(theirs.layers), final_norm=theirs.norm is not None, **options)
        return made

    return build


def run_encoder(
    ours: Any,
    theirs: Any,
    x: Any,
    src_mask: Any = None,
    src_key_padding_mask: Any = None,
    mask: Any = None,
) -> Any:
    h = batched(x, theirs)
    hidden = src_mask if mask is None else mask  # a layer and a stack name it differently
    B = len(h)
    y = ours(h, real_keys(src_key_padding_mask, B), pattern(hidden, B, 1))
    return only_real(as_given(y, x, theirs), src_key_padding_mask, theirs)


def torch_encoder(theirs: Any, x: Any, **masks: Any) -> Any:
    return only_real(theirs(x, **masks), masks.get("src_key_padding_mask"), theirs)


def run_decoder(
    ours: Any,
    theirs: Any,
    x: Any,
    memory: Any,
    tgt_mask: Any = None,
    memory_mask: Any = None,
    tgt_key_padding_mask: Any = None,
    memory_key_padding_mask: Any = None,
) -> Any:
    h, m = batched(x, theirs), batched(memory, theirs)
    B = len(h)
    seen = memory_keys(memory_mask, memory_key_padding_mask, B)
    y = ours(h, m, real_keys(tgt_key_padding_mask, B), seen, pattern(tgt_mask, B, 1))
    return only_real(as_given(y, x, theirs), tgt_key_padding_mask, theirs)


def memory_keys(hidden: Any, padding: Any, B: int) -> Any:
    """Which keys of the memory are real: a mask (T, S) may say the same to every query."""
    if hidden is None:
        return real_keys(padding, B)
    if np.any(hidden != hidden[:1]):
        raise NotOurs("a decoder whose queries see different parts of the memory")
    return real_keys(hidden[0] if padding is None else hidden[0] | padding, B)


def torch_decoder(theirs: Any, x: Any, memory: Any, **masks: Any) -> Any:
    return only_real(
        theirs(x, memory, **masks | causal(masks, x, batch_first(theirs))),
        masks.get("tgt_key_padding_mask"),
        theirs,
    )


def causal(masks: dict[str, Any], x: Any, first: bool) -> dict[str, Any]:
    """PyTorch's mask of the target, with causality, which is part of our decoder."""
    length = x.shape[1] if x.ndim == 3 and first else x.shape[0]
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    given = masks.get("tgt_mask")
    return {"tgt_mask": later if given is None else given | later}


class BothStacks(Module):
    """An encoder and a decoder, as ``torch.nn.Transformer`` holds them."""

    def __init__(self, theirs: nn.Transformer) -> None:
        self.encoder = stack(TransformerEncoder)(theirs.encoder)
        self.decoder = stack(TransformerDecoder)(theirs.decoder)


def run_transformer(
    ours: Any,
    theirs: Any,
    source: Any,
    target: Any,
    src_mask: Any = None,
    tgt_mask: Any = None,
    src_key_padding_mask: Any = None,
    tgt_key_padding_mask: Any = None,
) -> Any:
    memory = run_encoder(ours.encoder, theirs.encoder, source, src_mask, src_key_padding_mask)
    return run_decoder(
        ours.decoder,
        theirs.decoder,
        target,
        memory,
        tgt_mask,
        None,
        tgt_key_padding_mask,
        src_key_padding_mask,
    )


def torch_transformer(theirs: Any, source: Any, target: Any, **masks: Any) -> Any:
    padding = {"memory_key_padding_mask": masks.get("src_key_padding_mask")}
    y = theirs(source, target, **masks | padding | causal(masks, target, theirs.batch_first))
    return only_real(y, masks.get("tgt_key_padding_mask"), theirs.decoder)


TRANSFORMERS: dict[type, Pair] = {
    nn.MultiheadAttention: Pair(build_attention, run_attention, torch_attention),
    nn.TransformerEncoderLayer: Pair(
        lambda theirs: TransformerEncoderLayer(**layer_options(theirs)), run_encoder, torch_encoder
    ),
    nn.TransformerEncoder: Pair(stack(TransformerEncoder), run_encoder, torch_encoder),
    nn.TransformerDecoderLayer: Pair(
        lambda theirs: TransformerDecoderLayer(**layer_options(theirs)), run_decoder, torch_decoder
    ),
    nn.Transformer: Pair(BothStacks, run_transformer, torch_transformer),
}
