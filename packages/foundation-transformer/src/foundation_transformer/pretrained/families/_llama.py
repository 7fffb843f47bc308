"""Llama 1, 2 and 3 [1]_, and what is built like them: TinyLlama, SmolLM2 [2]_.

Since the first: fewer heads of keys and values (2), a larger base of rotary positions (3), which
are scaled (3.1 to 3.3).

References
----------
.. [1] Llama Team, "The Llama 3 Herd of Models", 2024, arXiv:2407.21783.
.. [2] L. Ben Allal et al., "SmolLM2: When Smol Goes Big", 2025, arXiv:2502.02737.
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
    c.only("rope_interleaved", False)
    attention = c.flag("attention_bias", False)
    bias = c.flag("mlp_bias", False)
    differs = {} if attention == bias else {"attention_bias": "all" if attention else "none"}
    return TransformerConfig.llama(**read_decoder(c), bias=bias, **differs)


def _write(c: TransformerConfig) -> dict[str, Any]:
    attention = c.bias if c.attention_bias is None else c.attention_bias == "all"
    return {
        **write_decoder(c, "llama", "LlamaForCausalLM"),
        "hidden_act": "silu",
        "attention_bias": attention,
        "mlp_bias": c.bias,
    }


LLAMA = Family(
    name="Llama",
    model=CausalLM,
    read=_read,
    write=_write,
    modules=MODULES,
    prefix="model.",
    irrelevant="is_llama_config",
    ignored=IGNORED,
)
