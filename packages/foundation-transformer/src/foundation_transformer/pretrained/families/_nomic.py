"""Nomic's BERT [1]_: rotary positions and SwiGLU in post-norm layers; biases in the norms alone.

References
----------
.. [1] Z. Nussbaum et al., "Nomic Embed: Training a Reproducible Long Context Text Embedder", 2024,
   arXiv:2402.01613.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields


def _read(c: Fields) -> TransformerConfig:
    if "n_embd" in c.content:
        return _read_older(c)
    c.only("hidden_act", "silu")
    heads = c.count("num_attention_heads")
    c.only("head_dim", c.count("hidden_size") // heads, None)
    rope = c.inner("rope_parameters")
    rope.only("rope_type", "default")
    return TransformerConfig(
        max_len=c.count("max_position_embeddings"),
        d_model=c.count("hidden_size"),
        num_heads=heads,
        num_layers=c.count("num_hidden_layers"),
        d_ff=c.count("intermediate_size"),
        dropout=c.number("hidden_dropout_prob", 0.0),
        norm_eps=c.number("layer_norm_eps", 1e-12),
        rotary_base=rope.number("rope_theta", 1000.0),
        **_common(c),
    )


def _read_older(c: Fields) -> TransformerConfig:
    """The configuration that the model came with before transformers knew it."""
    c.only("activation_function", "swiglu")
    for name in ("qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "prenorm", "parallel_block"):
        c.only(name, False)
    for name in ("causal", "use_rms_norm", "rotary_emb_interleaved"):
        c.only(name, False)
    c.only("scale_attn_weights", True)
    c.only("scale_attn_by_inverse_layer_idx", False)
    c.only("rotary_emb_fraction", 1.0, 1)
    c.only("rotary_scaling_factor", None)
    c.only("rotary_emb_scale_base", None)
    most = c.count("n_positions")
    return TransformerConfig(
        max_len=min(most, c.get("max_trained_positions", int | None, None) or most),
        d_model=c.count("n_embd"),
        num_heads=c.count("n_head"),
        num_layers=c.count("n_layer"),
        d_ff=c.count("n_inner"),
        dropout=c.number("resid_pdrop", 0.0),
        norm_eps=c.number("layer_norm_epsilon", 1e-12),
        rotary_base=c.number("rotary_emb_base", 1000.0),
        **_common(c),
    )


def _common(c: Fields) -> dict[str, Any]:
    """What is the same in all such models, or has one name in both configurations."""
    return {
        "vocab_size": c.count("vocab_size"),
        "num_token_types": c.count("type_vocab_size", 2),
        "activation": "swiglu",
        "positions": "rotary",
        "bias": False,
        "norm_bias": True,
        "embedding_norm": True,
    }


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["NomicBertModel"],
        "model_type": "nomic_bert",
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "hidden_act": "silu",
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": c.dropout,
        "layer_norm_eps": c.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": c.rotary_base},
        "type_vocab_size": c.num_token_types,
    }


NOMIC = Family(
    name="Nomic",
    model=TextEncoder,
    read=_read,
    write=_write,
    modules={
        "embedding": "embeddings.word_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "embedding_norm": "emb_ln",
        "stack.layers.{i}.self_attn.in_proj": "encoder.layers.{i}.attn.Wqkv",
        "stack.layers.{i}.self_attn.out_proj": "encoder.layers.{i}.attn.out_proj",
        "stack.layers.{i}.norm1": "encoder.layers.{i}.norm1",
        # The gate comes first in ours, and second by their numbers.
        "stack.layers.{i}.linear1": "encoder.layers.{i}.mlp.fc12 encoder.layers.{i}.mlp.fc11",
        "stack.layers.{i}.linear2": "encoder.layers.{i}.mlp.fc2",
        "stack.layers.{i}.norm2": "encoder.layers.{i}.norm2",
    },
    prefix="nomic_bert.",
    # Dropout, summaries, and how it is computed.
    irrelevant=(
        "attention_probs_dropout_prob attn_pdrop dense_seq_output embd_pdrop fused_bias_fc "
        "fused_dropout_add_ln pad_vocab_size_multiple parallel_block_tied_norm "
        "reorder_and_upcast_attn summary_activation summary_first_dropout summary_proj_to_labels "
        "summary_type summary_use_proj tie_word_embeddings use_flash_attn use_xentropy"
    ),
)
