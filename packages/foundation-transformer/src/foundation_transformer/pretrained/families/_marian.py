"""Marian: the OPUS-MT translators of the University of Helsinki [1]_.

The original transformer with another order of the sinusoids, and a bias of the output.

References
----------
.. [1] J. Tiedemann and S. Thottingal, "OPUS-MT: Building open translation services for the World",
   EAMT 2020.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from foundation_transformer._transformer import Transformer
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields, written_activation


def _read(c: Fields) -> TransformerConfig:
    c.only("is_encoder_decoder", True)
    c.only("is_decoder", False)
    c.only("normalize_before", False)
    c.only("normalize_embedding", False)
    c.only("add_final_layer_norm", False)
    c.only("add_bias_logits", False)
    c.only("static_position_embeddings", True)
    heads = c.count("encoder_attention_heads")
    c.only("decoder_attention_heads", heads)
    d_ff = c.count("encoder_ffn_dim")
    c.only("decoder_ffn_dim", d_ff)
    vocab_size = c.count("vocab_size")
    target_vocab_size = c.get("decoder_vocab_size", int | None, None) or vocab_size
    share = c.flag("share_encoder_decoder_embeddings", True)
    return TransformerConfig(
        vocab_size=vocab_size,
        target_vocab_size=None if share else target_vocab_size,
        max_len=c.count("max_position_embeddings"),
        d_model=c.count("d_model"),
        num_heads=heads,
        num_layers=c.count("encoder_layers"),
        num_decoder_layers=c.count("decoder_layers"),
        d_ff=d_ff,
        dropout=c.number("dropout", 0.1),
        activation=c.activation("activation_function", "gelu"),
        sinusoid_pairs="halves",
        scale_embeddings=c.flag("scale_embedding", False),
        share_embeddings=share,
        tie_embeddings=c.flag("tie_word_embeddings", True),
        output_bias=True,
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "is_encoder_decoder": True,
        "vocab_size": c.vocab_size,
        "decoder_vocab_size": c.decoder_vocab_size,
        "share_encoder_decoder_embeddings": c.shares_embeddings,
        "max_position_embeddings": c.max_len,
        "d_model": c.d_model,
        "encoder_attention_heads": c.num_heads,
        "decoder_attention_heads": c.num_heads,
        "encoder_layers": c.num_layers,
        "decoder_layers": c.decoder_layers,
        "num_hidden_layers": c.num_layers,
        "encoder_ffn_dim": c.feed_forward_width,
        "decoder_ffn_dim": c.feed_forward_width,
        "dropout": c.dropout,
        "activation_function": written_activation(c.activation),
        "scale_embedding": c.scale_embeddings is not False,
        "static_position_embeddings": True,
        "tie_word_embeddings": c.tie_embeddings,
    }


def _as_in_file(config: TransformerConfig, names: Collection[str]) -> TransformerConfig:
    """Old files have no bias where all of it is zero."""
    return replace(config, output_bias="final_logits_bias" in names)


def _modules(c: TransformerConfig) -> dict[str, str]:
    """The names of our modules and theirs."""
    modules = {
        "source_embedding": "shared" if c.shares_embeddings else "encoder.embed_tokens",
        "target_embedding": "decoder.embed_tokens",
        "output": "lm_head",
        "output.bias": "final_logits_bias",
    }
    for stack in ("encoder", "decoder"):
        layer = stack + ".layers.{i}."
        modules |= _attention(f"{layer}self_attn", f"{layer}self_attn")
        modules |= {
            f"{layer}norm1": f"{layer}self_attn_layer_norm",
            f"{layer}linear1": f"{layer}fc1",
            f"{layer}linear2": f"{layer}fc2",
        }
    modules |= _attention("decoder.layers.{i}.multihead_attn", "decoder.layers.{i}.encoder_attn")
    modules |= {
        "encoder.layers.{i}.norm2": "encoder.layers.{i}.final_layer_norm",
        "decoder.layers.{i}.norm2": "decoder.layers.{i}.encoder_attn_layer_norm",
        "decoder.layers.{i}.norm3": "decoder.layers.{i}.final_layer_norm",
    }
    return modules


def _attention(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}.in_proj": f"{theirs}.q_proj {theirs}.k_proj {theirs}.v_proj",
        f"{ours}.out_proj": f"{theirs}.out_proj",
    }


MARIAN = Family(
    name="Marian",
    model=Transformer,
    read=_read,
    write=_write,
    modules=_modules,
    as_in_file=_as_in_file,
    prefix="model.",
    irrelevant="""
        _num_labels activation_dropout classif_dropout decoder_layerdrop encoder_layerdrop
        extra_pos_embeddings init_std num_hidden_layers add_cross_attention renormalize_logits
        """,
    ignored=r"(en|de)coder\.embed_positions\.weight",  # which are computed
    copies={
        "shared.weight": ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
    },
    with_axis=r"output\.bias",  # (1, V) in a file
)
