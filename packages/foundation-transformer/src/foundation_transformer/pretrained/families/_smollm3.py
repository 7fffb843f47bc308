"""SmolLM3 [1]_: every fourth layer has no positions.

References
----------
.. [1] E. Bakouch et al., "SmolLM3: smol, multilingual, long-context reasoner", 2025,
   huggingface.co/blog/smollm3; the layers: B. Yang et al., "RoPE to NoPE and Back Again", 2025,
   arXiv:2501.18795.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._decoder import (
    IGNORED,
    MODULES,
    read_decoder,
    shortest_pattern,
    write_decoder,
)
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields


def _read(c: Fields) -> TransformerConfig:
    c.only("hidden_act", "silu")
    c.only("use_sliding_window", False)
    c.only("attention_bias", False)
    c.only("mlp_bias", False)
    c.get("sliding_window", int | None, None)  # not used
    c.get("layer_types", list[str] | None, None)  # all the same without it
    period = c.get("no_rope_layer_interval", int, 4)
    turns = c.get("no_rope_layers", list[int] | None, None)
    if turns is None:
        if not 1 <= period <= 100:
            raise ValueError(f"no_rope_layer_interval: expected 1 to 100, got {period}")
        turns = [1] * (period - 1) + [0]
    elif len(turns) != c.count("num_hidden_layers"):
        raise ValueError(
            f"no_rope_layers: expected a number for each of {c.count('num_hidden_layers')} layers, "
            f"got {len(turns)}"
        )
    pattern = shortest_pattern(["global" if turn else "no_positions" for turn in turns])
    return TransformerConfig.llama(**read_decoder(c, base=2e6, tied=True), layer_pattern=pattern)


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        **write_decoder(c, "smollm3", "SmolLM3ForCausalLM"),
        "hidden_act": "silu",
        "no_rope_layers": [int(kind != "no_positions") for kind in c.layer_kinds],
        "use_sliding_window": False,
    }


SMOLLM3 = Family(
    name="SmolLM3",
    model=CausalLM,
    read=_read,
    write=_write,
    modules=MODULES,
    prefix="model.",
    ignored=IGNORED,
)
