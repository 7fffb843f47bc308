"""GPT-2 [1]_, whose weights in the layers are (in, out).

References
----------
.. [1] A. Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields, written_activation


def _read(c: Fields) -> TransformerConfig:
    c.only("scale_attn_weights", True)
    c.only("scale_attn_by_inverse_layer_idx", False)
    c.only("add_cross_attention", False)
    c.only("is_encoder_decoder", False)
    return TransformerConfig.gpt2(
        vocab_size=c.count("vocab_size"),
        max_len=c.count("n_positions"),
        d_model=c.count("n_embd"),
        num_heads=c.count("n_head"),
        num_layers=c.count("n_layer"),
        d_ff=c.get("n_inner", int | None, None) or 4 * c.count("n_embd"),
        dropout=c.number("resid_pdrop", 0.1),
        activation=c.activation("activation_function", "gelu_new"),
        norm_eps=c.number("layer_norm_epsilon", 1e-5),
        tie_embeddings=c.flag("tie_word_embeddings", True),
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": c.vocab_size,
        "n_positions": c.max_len,
        "n_embd": c.d_model,
        "n_head": c.num_heads,
        "n_layer": c.num_layers,
        "n_inner": c.feed_forward_width,
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": c.dropout,
        "activation_function": written_activation(c.activation),
        "layer_norm_epsilon": c.norm_eps,
        "tie_word_embeddings": c.tie_embeddings,
    }


GPT2 = Family(
    name="GPT-2",
    model=CausalLM,
    read=_read,
    write=_write,
    modules={
        "embedding": "wte",
        "positions": "wpe",
        "stack.layers.{i}.norm1": "h.{i}.ln_1",
        "stack.layers.{i}.self_attn.in_proj": "h.{i}.attn.c_attn",
        "stack.layers.{i}.self_attn.out_proj": "h.{i}.attn.c_proj",
        "stack.layers.{i}.norm2": "h.{i}.ln_2",
        "stack.layers.{i}.linear1": "h.{i}.mlp.c_fc",
        "stack.layers.{i}.linear2": "h.{i}.mlp.c_proj",
        "stack.norm": "ln_f",
        "output": "lm_head",
    },
    prefix="transformer.",
    # Dropout, summaries, and the precision of intermediate results.
    irrelevant=(
        "attn_pdrop embd_pdrop n_ctx reorder_and_upcast_attn summary_activation "
        "summary_first_dropout summary_proj_to_labels summary_type summary_use_proj"
    ),
    ignored=r"h\.\d+\.attn\.(masked_)?bias",  # the causal mask
    transposed=True,
)
