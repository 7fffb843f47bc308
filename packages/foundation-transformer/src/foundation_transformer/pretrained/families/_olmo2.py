"""OLMo 2 [1]_: norms of what a branch returns, and of queries and keys over their whole width.

References
----------
.. [1] OLMo Team, "2 OLMo 2 Furious", 2024, arXiv:2501.00656.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._decoder import (
    IGNORED,
    MODULES,
    read_decoder,
    write_decoder,
)
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields


def _read(c: Fields) -> TransformerConfig:
    c.only("hidden_act", "silu")
    biases = {"attention_bias": "all"} if c.flag("attention_bias", False) else {}
    return TransformerConfig.llama(
        **read_decoder(c, norm_eps=1e-5),
        **biases,
        norm_first=False,
        norm_last=True,
        qk_norm="width",
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        **write_decoder(c, "olmo2", "Olmo2ForCausalLM"),
        "hidden_act": "silu",
        "attention_bias": c.attention_bias == "all",
    }


OLMO2 = Family(
    name="OLMo 2",
    model=CausalLM,
    read=_read,
    write=_write,
    modules=MODULES
    | {
        "stack.layers.{i}.norm1": "layers.{i}.post_attention_layernorm",
        "stack.layers.{i}.norm2": "layers.{i}.post_feedforward_layernorm",
    },
    prefix="model.",
    ignored=IGNORED,
)
