"""Qwen 2 and 2.5 [1]_: biases of queries, keys and values. Qwen 3 [2]_: norms of them instead.

Some have windows in their upper layers.

References
----------
.. [1] A. Yang et al., "Qwen2.5 Technical Report", 2024, arXiv:2412.15115.
.. [2] A. Yang et al., "Qwen3 Technical Report", 2025, arXiv:2505.09388.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._decoder import (
    IGNORED,
    MODULES,
    num_told_apart,
    read_decoder,
    read_layer_types,
    with_window,
    write_decoder,
    write_layer_types,
)
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields


def _read_2(c: Fields) -> TransformerConfig:
    return TransformerConfig.llama(**read_decoder(c), **_layers(c), attention_bias="qkv")


def _read_3(c: Fields) -> TransformerConfig:
    biases = {"attention_bias": "all"} if c.flag("attention_bias", False) else {}
    return TransformerConfig.llama(
        **read_decoder(c, head_dim=128), **_layers(c), **biases, qk_norm="head"
    )


def _layers(c: Fields) -> dict[str, Any]:
    """The layers from ``max_window_layers`` on are local, if windows are used at all."""
    c.only("hidden_act", "silu")
    c.only("use_mrope", False)
    window = c.get("sliding_window", int | None, 4096)
    first = c.get("max_window_layers", int, 28)
    usual = ["global"]
    if c.flag("use_sliding_window", False) and window is not None:
        num_layers = num_told_apart(c)
        usual = ["local" if i >= first else "global" for i in range(num_layers)]
    else:
        window = None
    return with_window(read_layer_types(c, usual), window)


def _write_2(c: TransformerConfig) -> dict[str, Any]:
    return write_decoder(c, "qwen2", "Qwen2ForCausalLM") | _write_layers(c)


def _write_3(c: TransformerConfig) -> dict[str, Any]:
    return {
        **write_decoder(c, "qwen3", "Qwen3ForCausalLM"),
        **_write_layers(c),
        "attention_bias": c.attention_bias == "all",
    }


def _write_layers(c: TransformerConfig) -> dict[str, Any]:
    return {
        "hidden_act": "silu",
        "use_sliding_window": c.window is not None,
        "sliding_window": c.window,
        "layer_types": write_layer_types(c),
    }


QWEN2 = Family(
    name="Qwen 2",
    model=CausalLM,
    read=_read_2,
    write=_write_2,
    modules=MODULES,
    prefix="model.",
    ignored=IGNORED,
)
QWEN3 = Family(
    name="Qwen 3",
    model=CausalLM,
    read=_read_3,
    write=_write_3,
    modules=MODULES,
    prefix="model.",
    ignored=IGNORED,
)
