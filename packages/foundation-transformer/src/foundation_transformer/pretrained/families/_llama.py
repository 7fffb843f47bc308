"""Llama, and what is built like it, such as SmolLM2 [1]_.

References
----------
.. [1] L. Ben Allal et al., "SmolLM2: When Smol Goes Big", 2025, arXiv:2502.02737.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields


def _read(c: Fields) -> TransformerConfig:
    c.only("hidden_act", "silu")
    c.only("is_encoder_decoder", False)
    c.only("rope_interleaved", False)
    heads = c.count("num_attention_heads")
    bias = c.flag("attention_bias", False)
    c.only("mlp_bias", bias)  # all biases, or none
    c.only("head_dim", c.count("hidden_size") // heads, None)
    newer = c.inner("rope_parameters")
    older = c.inner("rope_scaling")
    for rope in (newer, older):
        rope.only("rope_type", "default")
        rope.only("type", "default")
    bases = [each.get("rope_theta", float | None, None) for each in (newer, c, older)]
    return TransformerConfig.llama(
        vocab_size=c.count("vocab_size"),
        max_len=c.count("max_position_embeddings"),
        d_model=c.count("hidden_size"),
        num_heads=heads,
        num_kv_heads=c.get("num_key_value_heads", int | None, None) or heads,
        num_layers=c.count("num_hidden_layers"),
        d_ff=c.count("intermediate_size"),
        norm_eps=c.number("rms_norm_eps", 1e-6),
        rotary_base=float(next(filter(None, bases), 10000.0)),
        bias=bias,
        tie_embeddings=c.flag("tie_word_embeddings", False),
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_key_value_heads": c.num_kv_heads or c.num_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "hidden_act": "silu",
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rotary_base,
        "attention_bias": c.bias,
        "mlp_bias": c.bias,
        "tie_word_embeddings": c.tie_embeddings,
    }


LLAMA = Family(
    name="Llama",
    model=CausalLM,
    read=_read,
    write=_write,
    modules={
        "embedding": "embed_tokens",
        "stack.layers.{i}.norm1": "layers.{i}.input_layernorm",
        "stack.layers.{i}.self_attn.in_proj": (
            "layers.{i}.self_attn.q_proj layers.{i}.self_attn.k_proj layers.{i}.self_attn.v_proj"
        ),
        "stack.layers.{i}.self_attn.out_proj": "layers.{i}.self_attn.o_proj",
        "stack.layers.{i}.norm2": "layers.{i}.post_attention_layernorm",
        "stack.layers.{i}.linear1": "layers.{i}.mlp.gate_proj layers.{i}.mlp.up_proj",
        "stack.layers.{i}.linear2": "layers.{i}.mlp.down_proj",
        "stack.norm": "norm",
        "output": "lm_head",
    },
    prefix="model.",
    irrelevant="is_llama_config",
    ignored=r".*rotary_emb\.inv_freq",
)
