"""Gemma 2 [1]_ and the texts of Gemma 3 [2]_.

Both: norms on both sides of each branch, whose weights are stored as w where 1 + w is meant; GELU
as the gate; embeddings times √D; some layers see a window alone. Gemma 2 caps scores and logits;
Gemma 3 normalises queries and keys instead, and turns them by another base in local layers.

References
----------
.. [1] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
   arXiv:2408.00118.
.. [2] Gemma Team, "Gemma 3 Technical Report", 2025, arXiv:2503.19786.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._decoder import (
    IGNORED,
    MODULES,
    read_decoder,
    read_layer_types,
    with_window,
    write_decoder,
    write_layer_types,
)
from foundation_transformer.pretrained.families._family import Change, Family
from foundation_transformer.pretrained.families._fields import Fields

_MODULES = MODULES | {
    "stack.layers.{i}.norm1_last": "layers.{i}.post_attention_layernorm",
    "stack.layers.{i}.norm2": "layers.{i}.pre_feedforward_layernorm",
    "stack.layers.{i}.norm2_last": "layers.{i}.post_feedforward_layernorm",
}
#: What models that see images do not say of their part for texts.
_OF_TEXTS = {
    "vocab_size": 262208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 131072,
}
_ONE_MORE = Change(read=lambda w: 1 + w, write=lambda w: w - 1)
_NORMS = {r".*norm\w*\.weight": _ONE_MORE}


def _read_both(c: Fields, cap: float | None, logit_cap: float | None) -> dict[str, Any]:
    """What both versions have, beside the fields of all decoders; the caps of older files."""
    older = c.only("hidden_act", "gelu_pytorch_tanh", "gelu")  # which was never meant exactly
    c.only("hidden_activation", "gelu_pytorch_tanh", older, None)
    c.only("use_bidirectional_attention", False, None)
    return {
        "activation": "geglu_tanh",
        "norm_last": True,
        "scale_embeddings": True,
        "attention_scale": c.number("query_pre_attn_scalar", 256) ** -0.5,
        "attention_cap": c.get("attn_logit_softcapping", float | None, cap),
        "logit_cap": c.get("final_logit_softcapping", float | None, logit_cap),
        "attention_bias": "all" if c.flag("attention_bias", False) else None,
    }


def _read_2(c: Fields) -> TransformerConfig:
    pattern = read_layer_types(c, ("local", "global"))
    return TransformerConfig.llama(
        **read_decoder(c, head_dim=256, tied=True),
        **_read_both(c, cap=50.0, logit_cap=30.0),
        **with_window(pattern, c.get("sliding_window", int | None, 4096)),
    )


def _read_3(c: Fields) -> TransformerConfig:
    """Of a model of texts, or of one that sees images, too: its part for texts."""
    text = c.inner("text_config")
    if not text.content:
        return _read_text(c)
    c.get("tie_word_embeddings", bool, True)  # the text's own counts
    text.content = _OF_TEXTS | text.content
    return _read_text(text)


def _read_text(c: Fields) -> TransformerConfig:
    period = c.count("sliding_window_pattern", c.count("_sliding_window_pattern", 6))
    if period > 100:
        raise ValueError(f"sliding_window_pattern: expected at most 100, got {period}")
    pattern = read_layer_types(c, ["local"] * (period - 1) + ["global"])
    local = with_window(pattern, c.get("sliding_window", int | None, 4096))
    # In the newer form each kind of layer has rotary positions of its own.
    by_kind = c.inner("rope_parameters")
    rope, local_rope = by_kind.inner("full_attention"), by_kind.inner("sliding_attention")
    local_rope.only("rope_type", "default")
    base = local_rope.number("rope_theta", c.number("rope_local_base_freq", 10000.0))
    if "window" in local:
        local["local_rotary_base"] = base
    return TransformerConfig.llama(
        **read_decoder(c, head_dim=256, base=1e6, tied=True, rope=rope),
        **_read_both(c, cap=None, logit_cap=None),
        **local,
        qk_norm="head",
    )


def _write_both(c: TransformerConfig) -> dict[str, Any]:
    scale = c.attention_scale or c.width_of_heads**-0.5
    return {
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": round(scale**-2),
        "attn_logit_softcapping": c.attention_cap,
        "final_logit_softcapping": c.logit_cap,
        "attention_bias": c.attention_bias == "all",
        "sliding_window": c.window,
        "layer_types": write_layer_types(c),
    }


def _write_2(c: TransformerConfig) -> dict[str, Any]:
    return write_decoder(c, "gemma2", "Gemma2ForCausalLM") | _write_both(c)


def _write_3(c: TransformerConfig) -> dict[str, Any]:
    written = write_decoder(c, "gemma3_text", "Gemma3ForCausalLM") | _write_both(c)
    return written | {"rope_local_base_freq": c.local_rotary_base or c.rotary_base}


GEMMA2 = Family(
    name="Gemma 2",
    model=CausalLM,
    read=_read_2,
    write=_write_2,
    modules=_MODULES,
    prefix="model.",
    ignored=IGNORED,
    changed=_NORMS,
)
GEMMA3 = Family(
    name="Gemma 3",
    model=CausalLM,
    read=_read_3,
    write=_write_3,
    modules=_MODULES,
    prefix="model.",
    other_prefixes=("language_model.model.", "model.language_model."),
    irrelevant=(
        "boi_token_index eoi_token_index image_token_index mm_tokens_per_image vision_config"
    ),
    ignored=IGNORED,
    changed=_NORMS,
)
