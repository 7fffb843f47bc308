"""Phi-3 and Phi-4 [1]_: as Llama, but with fewer and larger matrices in the file.

Those of more than 4,096 or 16,384 tokens turn positions by one list of factors while a text is
short and by another once it is long, so that keys in a cache would have to be computed anew. They
are refused.

References
----------
.. [1] M. Abdin et al., "Phi-3 Technical Report: A Highly Capable Language Model Locally on Your
   Phone", 2024, arXiv:2404.14219.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._decoder import (
    IGNORED,
    MODULES,
    read_decoder,
    with_window,
    write_decoder,
)
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields
from foundation_transformer.pretrained.families._rotary import read_part, write_part


def _read(c: Fields) -> TransformerConfig:
    c.only("hidden_act", "silu")
    c.only("attention_bias", False)
    window = c.get("sliding_window", int | None, None)
    rope = c.inner("rope_parameters")
    shared = read_decoder(c, norm_eps=1e-5, rope=rope)
    head_width = shared["head_width"] or shared["d_model"] // shared["num_heads"]
    return TransformerConfig.llama(
        **shared,
        **with_window(("local",), window),
        rotary_width=read_part(c, rope, head_width),
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        **write_decoder(c, "phi3", "Phi3ForCausalLM"),
        "hidden_act": "silu",
        "sliding_window": c.window,
        "partial_rotary_factor": write_part(c),
    }


PHI3 = Family(
    name="Phi-3",
    model=CausalLM,
    read=_read,
    write=_write,
    modules=MODULES
    | {
        "stack.layers.{i}.self_attn.in_proj": "layers.{i}.self_attn.qkv_proj",
        "stack.layers.{i}.linear1": "layers.{i}.mlp.gate_up_proj",
    },
    prefix="model.",
    # Dropout, and the length before positions were scaled, which matters to scaled ones only.
    irrelevant="embd_pdrop original_max_position_embeddings resid_pdrop",
    ignored=IGNORED,
)
