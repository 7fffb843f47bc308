"""MPNet [1]_: a RoBERTa without token types, with relative positions in buckets besides the others.

References
----------
.. [1] K. Song et al., "MPNet: Masked and Permuted Pre-training for Language Understanding",
   NeurIPS 2020, arXiv:2004.09297.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family, Head
from foundation_transformer.pretrained.families._fields import Fields, written_activation

#: The first token reads this row of the positions, whatever the configuration says of padding.
_FIRST = 2


def _read(c: Fields) -> TransformerConfig:
    c.only("is_decoder", False)
    c.only("is_encoder_decoder", False)
    c.only("add_cross_attention", False)
    max_len = c.count("max_position_embeddings") - _FIRST
    if max_len < 1:
        raise ValueError("max_position_embeddings: expected at least 3")
    return TransformerConfig.bert(
        vocab_size=c.count("vocab_size"),
        max_len=max_len,
        first_position=_FIRST,
        d_model=c.count("hidden_size"),
        num_heads=c.count("num_attention_heads"),
        num_layers=c.count("num_hidden_layers"),
        d_ff=c.count("intermediate_size"),
        dropout=c.number("hidden_dropout_prob", 0.1),
        activation=c.activation("hidden_act", "gelu"),
        norm_eps=c.number("layer_norm_eps", 1e-12),
        num_token_types=0,
        positions="learned_and_buckets",
        # transformers takes 32 whatever the field says.
        num_buckets=c.only("relative_attention_num_buckets", 32),
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["MPNetModel"],
        "model_type": "mpnet",
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len + _FIRST,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": c.dropout,
        "hidden_act": written_activation(c.activation),
        "layer_norm_eps": c.norm_eps,
        "relative_attention_num_buckets": c.num_buckets,
    }


MPNET = Family(
    name="MPNet",
    model=TextEncoder,
    read=_read,
    write=_write,
    modules={
        "embedding": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "embedding_norm": "embeddings.LayerNorm",
        "stack.layers.{i}.self_attn.relative": "encoder.relative_attention_bias",
        "stack.layers.{i}.self_attn.in_proj": (
            "encoder.layer.{i}.attention.attn.q encoder.layer.{i}.attention.attn.k "
            "encoder.layer.{i}.attention.attn.v"
        ),
        "stack.layers.{i}.self_attn.out_proj": "encoder.layer.{i}.attention.attn.o",
        "stack.layers.{i}.norm1": "encoder.layer.{i}.attention.LayerNorm",
        "stack.layers.{i}.linear1": "encoder.layer.{i}.intermediate.dense",
        "stack.layers.{i}.linear2": "encoder.layer.{i}.output.dense",
        "stack.layers.{i}.norm2": "encoder.layer.{i}.output.LayerNorm",
        "pooler": "pooler.dense",
    },
    prefix="mpnet.",
    irrelevant="attention_probs_dropout_prob tie_word_embeddings",
    ignored=r"embeddings\.position_ids",
    head=Head(pooler="classifier.dense", classifier="classifier.out_proj"),
)
